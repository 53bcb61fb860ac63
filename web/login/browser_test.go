package login

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/idp"
	"github.com/sallyport/sallyport/internal/oidcauth"
	"github.com/sallyport/sallyport/internal/testenv"
)

// paused begins a sign-in and stops before the provider's answer reaches us; it gives that answer's address.
func (s *site) paused(b *testenv.Browser) string {
	s.t.Helper()
	b.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(r.URL.Path, "/callback/") {
			return http.ErrUseLastResponse
		}
		return nil
	}
	defer func() { b.CheckRedirect = nil }()
	b.Open(s.url+"/login/builtin").Submit("username", "technician", "password", password)
	to := b.Head.Get("Location")
	if !strings.HasPrefix(to, s.url+"/callback/builtin?") {
		s.t.Fatalf("the provider answers with %q (%d)", to, b.Status)
	}
	return to
}

func mustParse(s string) *url.URL { u, _ := url.Parse(s); return u }

func with(address, name, value string) string {
	u := mustParse(address)
	q := u.Query()
	q.Set(name, value)
	u.RawQuery = q.Encode()
	return u.String()
}

func TestAnAnswerThatMustNotSignAnybodyIn(t *testing.T) {
	for name, tamper := range map[string]func(s *site, b *testenv.Browser, to string) (*testenv.Browser, string){
		"a state that nobody began": func(_ *site, b *testenv.Browser, to string) (*testenv.Browser, string) {
			return b, with(to, "state", strings.Repeat("x", 43))
		},
		"a short state": func(_ *site, b *testenv.Browser, to string) (*testenv.Browser, string) {
			return b, with(to, "state", "x")
		},
		"the state of another browser": func(s *site, _ *testenv.Browser, to string) (*testenv.Browser, string) { return s.browser(), to },
		"a browser that made the flow's cookie up": func(s *site, _ *testenv.Browser, to string) (*testenv.Browser, string) {
			o, u := s.browser(), mustParse(to)
			o.Jar.SetCookies(u, []*http.Cookie{{Name: s.flowCookie(u.Query().Get("state")), Value: "made-up", Path: "/"}})
			return o, to
		},
		"at another provider's address": func(_ *site, b *testenv.Browser, to string) (*testenv.Browser, string) {
			return b, strings.Replace(to, "/builtin?", "/other?", 1)
		},
		"the iss of another (RFC 9207)": func(_ *site, b *testenv.Browser, to string) (*testenv.Browser, string) {
			return b, with(to, "iss", "https://evil.example")
		},
		"a code that nobody gave": func(_ *site, b *testenv.Browser, to string) (*testenv.Browser, string) {
			return b, with(to, "code", "made-up")
		},
		"after more than ten minutes": func(s *site, b *testenv.Browser, to string) (*testenv.Browser, string) {
			s.clock.forward(flowTime)
			return b, to
		},
		"a session of somebody else's flow": func(s *site, _ *testenv.Browser, to string) (*testenv.Browser, string) {
			o := s.browser()
			s.paused(o)
			return o, to
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			b := s.browser()
			to := s.paused(b)
			at, address := tamper(s, b, to)
			if at.Open(address); at.Status != http.StatusUnauthorized {
				t.Errorf("got %d at %s", at.Status, at.At)
			}
			if _, err := s.Who(s.request(at)); err == nil {
				t.Error("the browser is signed in")
			}
		})
	}
}

func TestWhatSomebodyTypesAtTheirProviderIsKeptBesideTheirName(t *testing.T) {
	s := newSite(t)
	if _, err := s.idp.Users().Add(idp.User{Name: "tess.t", ShownAs: "Tess Technician", Groups: []string{"technicians"}}, password); err != nil {
		t.Fatal(err)
	}
	b := s.browser()
	b.Open(s.url+"/login/builtin?next=/machines").Submit("username", "tess.t", "password", password)
	who := s.who(b).Person.ID
	if p, err := s.db.Principal(t.Context(), who); err != nil || p.Name != "Tess Technician" || p.Username != "tess.t" {
		t.Errorf("got %+v, %v, want both names", p, err)
	}
}

func TestAStateIsGoodOnceWhateverComesOfIt(t *testing.T) {
	s := newSite(t)
	for name, first := range map[string]func(*testenv.Browser, string) (*testenv.Browser, string){
		"after it worked":                func(b *testenv.Browser, to string) (*testenv.Browser, string) { return b, to },
		"after a forged code":            func(b *testenv.Browser, to string) (*testenv.Browser, string) { return b, with(to, "code", "made-up") },
		"after another browser tried it": func(_ *testenv.Browser, to string) (*testenv.Browser, string) { return s.browser(), to },
	} {
		b := s.browser()
		to := s.paused(b)
		by, address := first(b, to)
		by.Open(address)
		if b.Open(to); b.Status != http.StatusUnauthorized {
			t.Errorf("%s: got %d at %s", name, b.Status, b.At)
		}
	}
}

func TestACookieThatWasPlantedIsNotSignedIn(t *testing.T) {
	s := newSite(t)
	b := s.browser()
	u, _ := url.Parse(s.url)
	b.Jar.SetCookies(u, []*http.Cookie{{Name: s.cookieName(), Value: "planted", Path: "/"}})
	s.signIn(b)
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.AddCookie(&http.Cookie{Name: s.cookieName(), Value: "planted"})
	if _, err := s.Who(r); err == nil {
		t.Error("the planted cookie is signed in")
	}
	if c := s.request(b).CookiesNamed(s.cookieName()); len(c) != 1 || c[0].Value == "planted" {
		t.Errorf("got %v, want one new secret", c)
	}
}

func TestASecondSignInWithTheSameBrowserGivesANewSecret(t *testing.T) {
	s := newSite(t)
	b := s.signIn(s.browser())
	before, old := s.request(b), s.who(b)
	b.Open(s.url + "/login/builtin?again&next=/machines")
	b.Submit("username", "technician", "password", password)
	if _, err := s.Who(before); err == nil {
		t.Error("the old cookie is still good")
	}
	is := s.who(b)
	if is.Key == old.Key || s.why(old.Key) != "" {
		t.Errorf("got key %s after %s, ended %q; want a new key and nothing closed", is.Key, old.Key, s.why(old.Key))
	}
	s.end(t.Context(), is.hash, "signed out")
	if s.why(old.Key) == "" || s.why(is.Key) == "" {
		t.Error("what was opened under the old cookie outlives the sign-in")
	}
}

func TestSomebodyElseInTheSameBrowserEndsTheFirst(t *testing.T) {
	s := newSite(t)
	b := s.signIn(s.browser())
	old := s.who(b)
	b.Open(s.url + "/login/builtin?again&next=/machines")
	b.Submit("username", "officer", "password", password)
	if is := s.who(b); is.Person.Name != "officer" || s.why(old.Key) == "" {
		t.Errorf("got %s, and the first ended %q", is.Person.Name, s.why(old.Key))
	}
}

func TestAfterSignInNobodyIsSentElsewhere(t *testing.T) {
	s := newSite(t)
	b := s.signIn(s.browser())
	for _, next := range []string{"https://evil.example/", "//evil.example/", `/\evil.example`, "javascript:alert(1)", "/\tx", "http:/evil.example", "evil"} {
		if b.Open(s.url + "/login/builtin?" + url.Values{"next": {next}}.Encode()); b.At.String() != s.url+"/" {
			t.Errorf("next=%q: got %s", next, b.At)
		}
	}
	if b.Open(s.url + "/login/builtin?next=/sessions/x%3Fy"); b.At.RequestURI() != "/sessions/x?y" {
		t.Errorf("got %s", b.At)
	}
}

func TestTheCookieIsForUsAlone(t *testing.T) {
	s := newSite(t)
	secure, err := New(Config{URL: "https://gw.example", Providers: s.cfg.Providers, Store: s.db, Audit: s})
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	secure.setCookie(w, secure.cookieName(), "secret", time.Hour)
	c := w.Result().Cookies()[0]
	if c.Name != "__Host-sallyport" || !c.HttpOnly || !c.Secure || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" {
		t.Errorf("got %s", c)
	}
}

func TestASignInThatCannotBeWrittenDownDoesNotHappen(t *testing.T) {
	s := newSite(t)
	b := s.browser()
	to := s.paused(b)
	s.refuse(http.ErrServerClosed)
	if b.Open(to); b.Status != http.StatusInternalServerError {
		t.Errorf("got %d", b.Status)
	}
	if _, err := s.Who(s.request(b)); err == nil {
		t.Error("the browser is signed in without evidence of it")
	}
}

func TestSignInsOfOneNetworkAreBounded(t *testing.T) {
	s := newSite(t)
	b := s.browser()
	b.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	for range 60 {
		if b.Open(s.url + "/login/builtin"); b.Status != http.StatusSeeOther {
			t.Fatalf("got %d", b.Status)
		}
	}
	if b.Open(s.url + "/login/builtin"); b.Status != http.StatusTooManyRequests {
		t.Errorf("the 61st within a minute: got %d", b.Status)
	}
	s.clock.forward(time.Minute)
	if b.Open(s.url + "/login/builtin"); b.Status != http.StatusSeeOther {
		t.Errorf("a minute later: got %d", b.Status)
	}
}

func TestNoCustomerKeepsOthersFromSigningIn(t *testing.T) {
	s := newSite(t)
	from := func(addr string) int {
		r := httptest.NewRequest(http.MethodGet, "/login/builtin", nil)
		r.RemoteAddr = "[" + addr + "]:1"
		r.SetPathValue("provider", "builtin")
		w := httptest.NewRecorder()
		s.serveStart(w, r)
		return w.Code
	}
	if got := from("2001:db8:1:1::1"); got != http.StatusSeeOther {
		t.Errorf("the first of a /48: got %d", got)
	}
	for range flowsOfWider - 1 {
		if _, err := s.flows.Put(flow{wider: "2001:db8:1::/48"}, flowTime); err != nil {
			t.Fatal(err)
		}
	}
	if got := from("2001:db8:1:ffff::1"); got != http.StatusTooManyRequests {
		t.Errorf("one of a /48 that has its share: got %d", got)
	}
	if got := from("2001:db8:2::1"); got != http.StatusSeeOther {
		t.Errorf("somebody else: got %d", got)
	}
	m := newMeter(s.clock.now, 1, time.Minute)
	for i := range mostAskers + 1 {
		if err := m.take(fmt.Sprint(i)); err != nil {
			t.Fatalf("the first attempt of network %d: got %v", i, err)
		}
	}
}

func TestOnePersonDoesNotTakeAllCodesOfCommandLines(t *testing.T) {
	s := newSite(t)
	who := s.who(s.signIn(s.browser()))
	for range codesOfOne {
		if _, err := s.cliCode(who, cliStart{}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.cliCode(who, cliStart{}); errkind.KindOf(err) != errkind.TooMany {
		t.Errorf("got %v, want too many", err)
	}
	s.clock.forward(cliCodeTime)
	if _, err := s.cliCode(who, cliStart{}); err != nil {
		t.Errorf("a minute later: got %v", err)
	}
}

func TestAnswersThatBelongToNoSignInAreBounded(t *testing.T) {
	s := newSite(t)
	b := s.browser()
	for range 60 {
		if b.Open(s.url + "/callback/builtin?state=x&code=y"); b.Status != http.StatusUnauthorized {
			t.Fatalf("got %d", b.Status)
		}
	}
	if b.Open(s.url + "/callback/builtin?state=x&code=y"); b.Status != http.StatusTooManyRequests {
		t.Errorf("the 61st within a minute: got %d", b.Status)
	}
}

// memo is a log that several goroutines write.
type memo struct {
	mu   sync.Mutex
	text strings.Builder
}

func (m *memo) Write(p []byte) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.text.Write(p)
}

func (m *memo) String() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.text.String()
}

// TestARefusedSignInIsLoggedOnce: with a wrong client secret the provider is not set up right, which is unavailable.
func TestARefusedSignInIsLoggedOnce(t *testing.T) {
	s := newSite(t, func(c *oidcauth.Config) { c.ClientSecret = "another" })
	said := &memo{}
	s.cfg.Log = slog.New(slog.NewTextHandler(said, nil))
	b := s.browser().Open(s.url+"/login/builtin").Submit("username", "technician", "password", password)
	if b.Status != http.StatusServiceUnavailable {
		t.Errorf("got %d, want 503", b.Status)
	}
	text := said.String()
	if strings.Count(text, "\n") != 1 || !strings.Contains(text, "provider=builtin addr=127.0.0.1") {
		t.Errorf("want one line with provider and address, got:\n%s", text)
	}
}

// TestASignInAgainComesBackToThePage: where a rule wants a fresh second factor, the provider sees the person again, although
// it still knows them.
func TestASignInAgainComesBackToThePage(t *testing.T) {
	s := newSite(t)
	b := s.signIn(s.browser())
	before := s.who(b).SignedInAt
	s.clock.forward(time.Hour)
	b.Open(s.url + "/login?again&next=/live/new%3Fdevice%3Dpress-1")
	b.Submit("username", "technician", "password", password)
	if b.At.RequestURI() != "/live/new?device=press-1" || !s.who(b).SignedInAt.After(before) {
		t.Errorf("got %s, signed in at %s, before %s", b.At, s.who(b).SignedInAt, before)
	}
}

// TestACommandLineCanWantAFreshSignIn: an old one is not enough, and a fresh one is not asked for twice.
func TestACommandLineCanWantAFreshSignIn(t *testing.T) {
	s := newSite(t)
	b := s.signIn(s.browser())
	s.clock.forward(time.Hour)
	b.Open(s.cliPage("again", "1"))
	if !strings.Contains(b.Body, "password") {
		t.Fatalf("an old sign-in: got %s\n%s", b.At, b.Body)
	}
	b.Submit("username", "technician", "password", password)
	if !strings.Contains(b.Body, "answer") {
		t.Errorf("after it: got %s\n%s", b.At, b.Body)
	}
	if b.Open(s.cliPage("again", "1")); !strings.Contains(b.Body, "answer") {
		t.Errorf("a fresh one: got %s\n%s", b.At, b.Body)
	}
}
