package login

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/audit"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/idp"
	"github.com/sallyport/sallyport/internal/oidcauth"
	"github.com/sallyport/sallyport/internal/signer"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/internal/store/sqlite"
	"github.com/sallyport/sallyport/internal/testenv"
	"github.com/sallyport/sallyport/internal/wire"
	"github.com/sallyport/sallyport/recorder/ledger"
)

const password = "correct horse battery"

// clock is the time of a test; it stands still until moved.
type clock struct{ ns atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.ns.Store(time.Now().UnixNano())
	return c
}

func (c *clock) now() time.Time          { return time.Unix(0, c.ns.Load()) }
func (c *clock) forward(d time.Duration) { c.ns.Add(int64(d)) }

// site is a gateway's front with the built-in provider behind it.
type site struct {
	*Service
	t      *testing.T
	url    string
	people string // directory of the built-in provider
	file   string // of the database
	idp    *idp.Provider
	db     *sqlite.DB
	clock  *clock

	last *testenv.Browser // of tests that name their ends

	mu      sync.Mutex
	ended   map[string]string // key → why
	events  []audit.Event
	changed []id.Principal
	inUse   map[string]bool
	auditNo error
	logout  string // the last logout token that came
	closed  []wire.Hash
	deaf    bool // the signer does not answer
}

func (s *site) Record(_ context.Context, e audit.Event) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.auditNo != nil {
		return s.auditNo
	}
	if !slices.Contains(ledger.Types, e.Type) { // as the signer does
		return fmt.Errorf("leaf type %q does not exist", e.Type)
	}
	s.events = append(s.events, e)
	return nil
}

func newSite(t *testing.T, edit ...func(*oidcauth.Config)) *site {
	t.Helper()
	s := &site{t: t, people: t.TempDir(), clock: newClock(), ended: map[string]string{}, inUse: map[string]bool{}}
	mux := http.NewServeMux()
	srv := httptest.NewUnstartedServer(mux)
	s.url = "http://" + srv.Listener.Addr().String()
	var err error
	s.file = filepath.Join(t.TempDir(), "db")
	if s.db, err = sqlite.Open(t.Context(), s.file, sqlite.Options{}); err != nil {
		t.Fatal(err)
	}
	client := idp.Client{ID: "sallyport", Secret: "shared", Redirects: []string{s.url + "/callback/builtin"}, AfterLogout: []string{s.url + "/signin"}, BackChannel: s.url + "/backchannel/builtin"}
	s.idp, err = idp.New(idp.Config{Issuer: s.url + "/idp", Dir: s.people, Clients: []idp.Client{client},
		Now: s.clock.now, Log: s.log()})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"technician", "officer"} {
		if _, err := s.idp.Users().Add(idp.User{Name: name, Groups: []string{name + "s"}}, password); err != nil {
			t.Fatal(err)
		}
	}
	c := oidcauth.Config{Name: "builtin", ShownAs: "Guests", Issuer: s.url + "/idp", ClientID: "sallyport",
		ClientSecret: "shared",
		RedirectURL:  s.url + "/callback/builtin", Groups: map[string]string{"technicians": "technicians"},
		AMR: []string{"mfa"}, MaxAge: 12 * time.Hour, Now: s.clock.now}
	for _, e := range edit {
		e(&c)
	}
	p, err := oidcauth.New(c)
	if err != nil {
		t.Fatal(err)
	}
	set, err := oidcauth.NewSet(p)
	if err != nil {
		t.Fatal(err)
	}
	s.Service, err = New(Config{URL: s.url, Providers: set, Store: s.db, Audit: s, Now: s.clock.now, Log: s.log(),
		OnSignedOut: func(key, why string) { s.mu.Lock(); defer s.mu.Unlock(); s.ended[key] = why },
		OnChanged:   func(p id.Principal) { s.mu.Lock(); defer s.mu.Unlock(); s.changed = append(s.changed, p) },
		SignOut:     s.closeAtSigner,
		InUse:       func(key string) bool { s.mu.Lock(); defer s.mu.Unlock(); return s.inUse[key] }})
	if err != nil {
		t.Fatal(err)
	}
	s.Register(overhearing{mux, s})
	mux.Handle("/idp/", s.idp.Handler())
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "app "+r.URL.RequestURI()) })
	srv.Start()
	t.Cleanup(func() { srv.Close(); s.db.Close() })
	return s
}

// closeAtSigner is the signer's side of a sign-out.
func (s *site) closeAtSigner(_ context.Context, token wire.Hash) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.deaf {
		return errkind.New(errkind.Unavailable, "the signer does not answer")
	}
	s.closed = append(s.closed, token)
	return nil
}

// closedAtSigner reports whether the signer was told of the end of a sign-in.
func (s *site) closedAtSigner(e signer.Evidence) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Contains(s.closed, signer.TokenHash(e.IDToken))
}

// reseal changes the tokens in a row of a sign-in that was used.
func (s *site) reseal(row *store.WebSession, edit func(*tokens)) {
	s.t.Helper()
	k, ok := s.keyOf(*row)
	t, err := k.get(*row)
	if edit(&t); !ok || err != nil || k.put(row, t) != nil {
		s.t.Fatalf("a row cannot be sealed again: %v, %v", ok, err)
	}
}

func (s *site) log() *slog.Logger { return slog.New(slog.NewTextHandler(s.t.Output(), nil)) }

// why says why what was opened under a key was closed.
func (s *site) why(key string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ended[key]
}

// overhearing keeps what the provider sends by the back channel.
type overhearing struct {
	*http.ServeMux
	s *site
}

func (o overhearing) Handle(pattern string, h http.Handler) {
	o.ServeMux.Handle(pattern, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, "/backchannel/") {
			h.ServeHTTP(w, r)
			return
		}
		token := r.PostFormValue("logout_token")
		h.ServeHTTP(w, r)
		o.s.mu.Lock()
		defer o.s.mu.Unlock()
		o.s.logout = token
	}))
}

// told is the last logout token that came.
func (s *site) told() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.logout
}

// refuse lets no more evidence be written.
func (s *site) refuse(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.auditNo = err
}

// browser is one with nothing in it.
func (s *site) browser() *testenv.Browser { return testenv.NewBrowser(s.t) }

// signIn signs the technician in with a browser, which lands on a page of the app.
func (s *site) signIn(b *testenv.Browser) *testenv.Browser {
	s.t.Helper()
	b.Open(s.url+"/login/builtin?next=/machines").Submit("username", "technician", "password", password)
	if b.At.Path != "/machines" {
		s.t.Fatalf("after sign-in: got %s (%d)\n%s", b.At, b.Status, b.Body)
	}
	return b
}

// request is one with a browser's cookies, as a handler sees it.
func (s *site) request(b *testenv.Browser) *http.Request {
	r := httptest.NewRequest(http.MethodGet, s.url+"/api/v1/me", nil)
	u, _ := url.Parse(s.url)
	for _, c := range b.Jar.Cookies(u) {
		r.AddCookie(c)
	}
	return r
}

func (s *site) who(b *testenv.Browser) Identity {
	s.t.Helper()
	who, err := s.Who(s.request(b))
	if err != nil {
		s.t.Fatalf("who: %v", err)
	}
	return who
}
