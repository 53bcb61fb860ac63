package login

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/idp"
	"github.com/sallyport/sallyport/internal/testenv"
)

// soon waits for what a logout token brings about, which comes by another way than the browser.
func soon(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within 10 s: %s", what)
		}
	}
}

func (s *site) signOut(b *testenv.Browser) *testenv.Browser {
	s.t.Helper()
	r, _ := http.NewRequest(http.MethodPost, s.url+"/logout", nil)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return b.Took(b.Do(r))
}

func TestSigningOutEndsBrowserCommandLineAndTheProvidersSession(t *testing.T) {
	s := newSite(t)
	b := s.signIn(s.browser())
	web, tok := s.who(b), s.cli(b)
	before := s.request(b)
	cli, err := s.Who(bearer(tok.Bearer))
	if err != nil {
		t.Fatal(err)
	}
	if s.signOut(b); b.At.Path != "/signin" {
		t.Errorf("after sign-out: got %s", b.At)
	}
	if _, err := s.Who(before); err == nil {
		t.Error("the old cookie is still good")
	}
	if got := s.why(web.Key); got != "signed out" {
		t.Errorf("what the browser opened: ended %q", got)
	}
	soon(t, "the command line is signed out by back-channel logout", func() bool { return s.why(cli.Key) == "the provider signed you out" })
	if _, err := s.Who(bearer(tok.Bearer)); err == nil {
		t.Error("the bearer is still good")
	}
	if b.Open(s.url + "/login/builtin"); !strings.Contains(b.Body, `name="password"`) {
		t.Errorf("the provider still knows the browser: %s", b.At)
	}
}

func TestACommandLineSignsOutAlone(t *testing.T) {
	s := newSite(t)
	b := s.signIn(s.browser())
	tok := s.cli(b)
	r, _ := http.NewRequest(http.MethodPost, s.url+"/logout", nil)
	r.Header.Set("Authorization", "Bearer "+tok.Bearer)
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if _, err := s.Who(bearer(tok.Bearer)); err == nil {
		t.Error("the bearer is still good")
	}
	s.who(b)
}

func TestALogoutIsOfOneSignInOrOfAll(t *testing.T) {
	s := newSite(t)
	one, two := s.signIn(s.browser()), s.signIn(s.browser())
	first, second := s.who(one), s.who(two)
	row, err := s.db.WebSession(t.Context(), first.hash)
	if err != nil {
		t.Fatal(err)
	}
	end := func(sid string) {
		t.Helper()
		if err := s.endAllOf(s.request(one), first.Person.ID, sid); err != nil {
			t.Fatal(err)
		}
	}
	end("a sid of nobody")
	if s.why(first.Key)+s.why(second.Key) != "" {
		t.Error("a logout of another session ended one of these")
	}
	end(row.SID)
	if s.why(first.Key) == "" || s.why(second.Key) != "" {
		t.Errorf("of one: the first ended %q, the second %q", s.why(first.Key), s.why(second.Key))
	}
	end("")
	if s.why(second.Key) == "" {
		t.Error("of all: one is left")
	}
}

func TestAForeignPageCannotSignAnybodyOut(t *testing.T) {
	s := newSite(t)
	b := s.signIn(s.browser())
	r, _ := http.NewRequest(http.MethodPost, s.url+"/logout", nil)
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	if b.Took(b.Do(r)); b.Status != http.StatusForbidden {
		t.Errorf("got %d", b.Status)
	}
	s.who(b)
}

// backChannel posts a logout token, and gives the status.
func (s *site) backChannel(provider, token string) int {
	s.t.Helper()
	res, err := http.PostForm(s.url+"/backchannel/"+provider, url.Values{"logout_token": {token}})
	if err != nil {
		s.t.Fatal(err)
	}
	res.Body.Close()
	return res.StatusCode
}

func TestALogoutTokenIsTakenOnceAndNothingElseIs(t *testing.T) {
	s := newSite(t)
	b := s.signIn(s.browser())
	who := s.who(b)
	if got := s.backChannel("builtin", who.Evidence.IDToken); got != http.StatusBadRequest {
		t.Errorf("an id token: got %d", got)
	}
	for _, text := range []string{"", "a.b.c", strings.Repeat("x", 60<<10)} {
		if got := s.backChannel("builtin", text); got != http.StatusBadRequest {
			t.Errorf("%.5q: got %d", text, got)
		}
	}
	if got := s.backChannel("other", who.Evidence.IDToken); got != http.StatusNotFound {
		t.Errorf("a provider that is not there: got %d", got)
	}
	s.who(b)
	s.backChannel("builtin", "")
	s.signOut(b)
	soon(t, "a logout token comes", func() bool { return strings.HasPrefix(s.told(), "eyJ") })
	s.signIn(b)
	if got := s.backChannel("builtin", s.told()); got != http.StatusBadRequest {
		t.Errorf("the same logout token again: got %d", got)
	}
	s.who(b)
}

func TestAUserWhoIsRemovedIsSignedOutEverywhere(t *testing.T) {
	s := newSite(t)
	b := s.signIn(s.browser())
	web := s.who(b)
	if err := s.idp.Users().Change("technician", func(u *idp.User) error { u.Disabled = true; return nil }); err != nil {
		t.Fatal(err)
	}
	s.refresh(t.Context(), web.hash)
	if got := s.why(web.Key); got != "the provider no longer confirms it" {
		t.Errorf("ended %q", got)
	}
	if _, err := s.Who(s.request(b)); err == nil {
		t.Error("the browser is still signed in")
	}
}

func TestABackChannelIsBounded(t *testing.T) {
	s := newSite(t)
	for range 60 {
		s.backChannel("builtin", "x")
	}
	if got := s.backChannel("builtin", "x"); got != http.StatusTooManyRequests {
		t.Errorf("the 61st within a minute: got %d", got)
	}
	b := s.browser()
	b.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if b.Open(s.url + "/login/builtin"); b.Status != http.StatusSeeOther {
		t.Errorf("a sign-in meanwhile: got %d", b.Status)
	}
}

func TestAProviderMaySignManyOutAtOnce(t *testing.T) {
	s := newSite(t)
	for range 59 {
		s.backChannel("builtin", "x")
	}
	for range 3 {
		b := s.signIn(s.browser())
		tok := s.cli(b)
		s.signOut(b)
		soon(t, "the command line is signed out", func() bool { _, err := s.Who(bearer(tok.Bearer)); return err != nil })
	}
}
