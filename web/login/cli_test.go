package login

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/pending"
	"github.com/sallyport/sallyport/internal/testenv"
	"github.com/sallyport/sallyport/web/apitype"
)

const (
	verifier = "a-verifier-that-is-long-enough-for-anybody-to-use"
	loopURL  = "http://127.0.0.1:49152/callback"
)

func challenge() string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// cliPage is where `sallyport login` sends the browser; pairs change it.
func (s *site) cliPage(pairs ...string) string {
	q := url.Values{"challenge": {challenge()}, "state": {strings.Repeat("s", 43)}, "redirect": {loopURL}}
	for i := 0; i+1 < len(pairs); i += 2 {
		q.Set(pairs[i], pairs[i+1])
	}
	return s.url + "/login/cli?" + q.Encode()
}

// answerCLI answers the question in the browser, and gives what goes back to the command line.
func (s *site) answerCLI(b *testenv.Browser, answer string) url.Values {
	s.t.Helper()
	b.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	defer func() { b.CheckRedirect = nil }()
	to, err := url.Parse(b.Open(s.cliPage()).Submit("answer", answer).Head.Get("Location"))
	if err != nil || !strings.HasPrefix(to.String(), loopURL+"?") || to.Query().Get("state") != strings.Repeat("s", 43) {
		s.t.Fatalf("got %s, %v (%d)\n%s", to, err, b.Status, b.Body)
	}
	return to.Query()
}

// post sends JSON as a command line does, and reads the answer into out.
func (s *site) post(path string, body, out any) int {
	s.t.Helper()
	raw, _ := json.Marshal(body)
	res, err := http.Post(s.url+path, "application/json", strings.NewReader(string(raw)))
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	if out != nil && res.StatusCode < 300 {
		if err := json.NewDecoder(res.Body).Decode(out); err != nil {
			s.t.Fatal(err)
		}
	}
	return res.StatusCode
}

// cli signs a command line in.
func (s *site) cli(b *testenv.Browser) apitype.CLIToken {
	s.t.Helper()
	var t apitype.CLIToken
	code := s.answerCLI(b, "allow").Get("code")
	if got := s.post("/api/v1/login/cli/token", apitype.CLICode{Code: code, Verifier: verifier}, &t); got != http.StatusOK {
		s.t.Fatalf("code for a bearer: got %d", got)
	}
	return t
}

// bearer is a request with a bearer, as a handler sees it.
func bearer(text string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/api/v1/me", nil)
	r.Header.Set("Authorization", "Bearer "+text)
	return r
}

func TestACommandLineIsSignedInByItsPersonsBrowser(t *testing.T) {
	s := newSite(t)
	b := s.signIn(s.browser())
	tok := s.cli(b)
	who, err := s.Who(bearer(tok.Bearer))
	if err != nil {
		t.Fatal(err)
	}
	if who.Via != "cli" || who.Cookie || who.Person.Name != "technician" || who.Evidence.IDToken == "" || who.Evidence.APIToken != "" || who.Person.ViaToken {
		t.Errorf("got %+v", who)
	}
	if !tok.Expires.Equal(s.who(b).Expires) {
		t.Errorf("got %s, want the end of the sign-in that it came of, %s", tok.Expires, s.who(b).Expires)
	}
	if _, err := s.db.WebSession(t.Context(), pending.Hash(tok.Bearer)); err != nil {
		t.Errorf("the bearer's hash is not what is kept: %v", err)
	}
	asCookie := httptest.NewRequest(http.MethodGet, "/", nil)
	asCookie.AddCookie(&http.Cookie{Name: s.cookieName(), Value: tok.Bearer})
	if _, err := s.Who(asCookie); err == nil {
		t.Error("a bearer is good as a cookie")
	}
	if _, err := s.Who(bearer(PrefixCLI + s.request(b).CookiesNamed(s.cookieName())[0].Value)); err == nil {
		t.Error("a cookie is good as a bearer")
	}
	s.clock.forward(s.cfg.Life)
	if _, err := s.Who(bearer(tok.Bearer)); err == nil {
		t.Error("a bearer outlives the sign-in that it came of")
	}
}

func TestACodeIsForTheCommandLineThatBegan(t *testing.T) {
	s := newSite(t)
	b := s.signIn(s.browser())
	for name, c := range map[string]struct {
		verifier string
		wait     time.Duration
	}{
		"another verifier":    {strings.Repeat("v", 49), 0},
		"no verifier":         {"", 0},
		"after a minute":      {verifier, cliCodeTime},
		"after a sign-out":    {verifier, -1},
		"the challenge again": {challenge(), 0},
	} {
		code := s.answerCLI(b, "allow").Get("code")
		if c.wait < 0 {
			s.end(t.Context(), s.who(b).hash, "signed out")
		} else {
			s.clock.forward(c.wait)
		}
		if got := s.post("/api/v1/login/cli/token", apitype.CLICode{Code: code, Verifier: c.verifier}, nil); got != http.StatusUnauthorized {
			t.Errorf("%s: got %d", name, got)
		}
		if got := s.post("/api/v1/login/cli/token", apitype.CLICode{Code: code, Verifier: verifier}, nil); got != http.StatusUnauthorized {
			t.Errorf("%s, and then right: got %d, want the code used up", name, got)
		}
		if c.wait < 0 {
			b.Open(s.url + "/login/builtin") // the provider still knows them
		}
	}
}

func TestACommandLineIsNotSignedInUnasked(t *testing.T) {
	s := newSite(t)
	b := s.signIn(s.browser())
	if q := s.answerCLI(b, "deny"); q.Get("error") != "access_denied" || q.Has("code") {
		t.Errorf("denied: got %v", q)
	}
	for name, pairs := range map[string][]string{
		"an answer to another machine": {"redirect", "http://192.0.2.1:80/callback"},
		"an answer to a name":          {"redirect", "http://localhost:80/callback"},
		"https":                        {"redirect", "https://127.0.0.1:80/callback"},
		"no port":                      {"redirect", "http://127.0.0.1/callback"},
		"somebody before the @":        {"redirect", "http://127.0.0.1:80@evil.example:80/"},
		"no PKCE":                      {"challenge", ""},
		"a state that can be guessed":  {"state", "1"},
	} {
		if b.Open(s.cliPage(pairs...)); b.Status != http.StatusBadRequest {
			t.Errorf("%s: got %d", name, b.Status)
		}
	}
	b.Open(s.cliPage())
	form := url.Values{"challenge": {challenge()}, "state": {strings.Repeat("s", 43)}, "redirect": {loopURL}, "answer": {"allow"}}
	r, _ := http.NewRequest(http.MethodPost, s.url+"/login/cli", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	if b.Took(b.Do(r)); b.Status != http.StatusForbidden {
		t.Errorf("a foreign page's form: got %d", b.Status)
	}
}

func TestABearerCannotSignInAnother(t *testing.T) {
	s := newSite(t)
	tok := s.cli(s.signIn(s.browser()))
	if who, err := s.Service.browser(bearer(tok.Bearer)); err == nil {
		t.Errorf("a bearer answers for a person: %+v", who)
	}
}
