package idp

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/testenv"
)

const (
	password = "correct horse battery"
	verifier = "a-verifier-that-is-long-enough-for-anybody-to-use"
)

// clock stands still until it is moved.
type clock struct{ ns atomic.Int64 }

func (c *clock) now() time.Time          { return time.Unix(0, c.ns.Load()) }
func (c *clock) forward(d time.Duration) { c.ns.Add(int64(d)) }

// site is a provider on a loopback address and a client that hears of logouts.
type site struct {
	*Provider
	t      *testing.T
	issuer string
	back   string // of the client
	clock  *clock

	mu      sync.Mutex
	logouts []string // logout tokens that came
	deaf    int      // answers that fail first
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{t: t, clock: &clock{}}
	s.clock.ns.Store(time.Now().UnixNano())
	mux := http.NewServeMux()
	srv := httptest.NewUnstartedServer(mux)
	base := "http://" + srv.Listener.Addr().String()
	s.issuer, s.back = base+"/idp", base+"/rp/callback"
	var err error
	s.Provider, err = New(Config{Issuer: s.issuer, Dir: t.TempDir(), Now: s.clock.now, Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Clients: []Client{
		{ID: "web", Secret: "shared", Redirects: []string{s.back}, AfterLogout: []string{base + "/rp/bye"}, BackChannel: base + "/rp/logout"},
		{ID: "other", Secret: "elsewhere", Redirects: []string{base + "/other"}},
		{ID: "tool", Redirects: []string{"http://127.0.0.1/done"}, Device: true},
	}})
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range []User{{Name: "anna", ShownAs: "A. Berg", Email: "anna@example.com", Groups: []string{"technicians"}}, {Name: "otto"}} {
		if _, err := s.users.Add(u, password); err != nil {
			t.Fatal(err)
		}
	}
	mux.Handle("/idp/", s.Handler())
	mux.HandleFunc("POST /rp/logout", s.hearLogout)
	mux.HandleFunc("GET /rp/", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "client") })
	srv.Start()
	t.Cleanup(func() { s.under().Wait(); srv.Close() })
	return s
}

func (s *site) under() *sync.WaitGroup { return &s.Provider.logouts }

func (s *site) hearLogout(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.deaf > 0 {
		s.deaf--
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	s.logouts = append(s.logouts, r.PostFormValue("logout_token"))
}

// heard waits for what is under way and gives the logout tokens that came.
func (s *site) heard() []string {
	s.under().Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.logouts
}

// browser is one with nothing in it.
func (s *site) browser() *testenv.Browser { return testenv.NewBrowser(s.t) }

func challenge() string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// ask is an authorization request; pairs change it, an empty value takes a parameter away.
func (s *site) ask(pairs ...string) string {
	q := url.Values{"client_id": {"web"}, "redirect_uri": {s.back}, "response_type": {"code"}, "scope": {"openid profile email"}, "state": {"st"}, "nonce": {"no"},
		"code_challenge": {challenge()}, "code_challenge_method": {"S256"}}
	for i := 0; i+1 < len(pairs); i += 2 {
		if q.Set(pairs[i], pairs[i+1]); pairs[i+1] == "" {
			q.Del(pairs[i])
		}
	}
	return s.issuer + "/authorize?" + q.Encode()
}

// signIn gives the code that the client gets.
func (s *site) signIn(b *testenv.Browser, pairs ...string) string {
	s.t.Helper()
	b.Open(s.ask(pairs...)).Submit("username", "anna", "password", password)
	code := b.At.Query().Get("code")
	if code == "" || b.At.Query().Get("iss") != s.issuer || b.At.Query().Get("state") != "st" {
		s.t.Fatalf("no code at %s (%d): %s", b.At, b.Status, b.Body)
	}
	return code
}

type reply struct {
	tokens
	Code string `json:"error"`
	HTTP int    `json:"-"`
}

// token is a request to the token endpoint, as the client web unless said otherwise.
func (s *site) token(pairs ...string) reply {
	s.t.Helper()
	form := url.Values{"client_id": {"web"}, "client_secret": {"shared"}}
	for i := 0; i+1 < len(pairs); i += 2 {
		if form.Set(pairs[i], pairs[i+1]); pairs[i+1] == "" {
			form.Del(pairs[i])
		}
	}
	return s.post("/token", form)
}

func (s *site) post(path string, form url.Values) reply {
	s.t.Helper()
	res, err := http.PostForm(s.issuer+path, form)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	var r reply
	if err := json.NewDecoder(res.Body).Decode(&r); err != nil {
		s.t.Fatal(err)
	}
	r.HTTP = res.StatusCode
	return r
}

func (s *site) redeem(code string) reply {
	s.t.Helper()
	return s.token("grant_type", "authorization_code", "code", code, "redirect_uri", s.back, "code_verifier", verifier)
}

func (s *site) renew(refresh string) reply {
	s.t.Helper()
	return s.token("grant_type", "refresh_token", "refresh_token", refresh)
}

// read checks a token's signature and gives its claims.
func (s *site) read(raw string) map[string]any {
	s.t.Helper()
	c := map[string]any{}
	if err := s.keys.verify(raw, &c); err != nil {
		s.t.Fatal(err)
	}
	return c
}

func has(s string, words ...string) bool {
	for _, w := range words {
		if !strings.Contains(s, w) {
			return false
		}
	}
	return true
}
