package idp

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func TestSigningOutAtAClientEndsItEverywhere(t *testing.T) {
	s := newSite(t)
	b := s.browser()
	got := s.redeem(s.signIn(b))
	sid := s.read(got.ID)["sid"]
	bye := strings.TrimSuffix(s.back, "callback") + "bye"
	b.Open(s.issuer + "/logout?" + url.Values{"id_token_hint": {got.ID}, "post_logout_redirect_uri": {bye}, "state": {"x"}}.Encode())
	if b.At.Path != "/rp/bye" || b.At.Query().Get("state") != "x" {
		t.Errorf("got %s: %s", b.At, b.Body)
	}
	heard := s.heard()
	if len(heard) != 1 {
		t.Fatalf("the client heard %d logouts, want 1", len(heard))
	}
	c := s.read(heard[0])
	events, _ := c["events"].(map[string]any)
	if c["sid"] != sid || c["aud"] != "web" || c["jti"] == nil || c["exp"] == nil || c["nonce"] != nil || events[logoutEvent] == nil {
		t.Errorf("logout token: got %v", c)
	}
	if again := s.renew(got.Refresh); again.Code != "invalid_grant" {
		t.Errorf("refresh: got %+v", again)
	}
	if b.Open(s.ask("prompt", "none")); b.At.Query().Get("error") != "login_required" {
		t.Errorf("the browser is still signed in: %s", b.At)
	}
}

func TestNobodyIsSignedOutWithoutBeingAsked(t *testing.T) {
	s := newSite(t)
	b := s.browser()
	got := s.redeem(s.signIn(b))
	forged := got.ID[:len(got.ID)-4] + "AAAA"
	for name, q := range map[string]url.Values{
		"no hint":       {},
		"a forged hint": {"id_token_hint": {forged}},
	} {
		if b.Open(s.issuer + "/logout?" + q.Encode()); !has(b.Body, "Sign out", "<form") {
			t.Errorf("%s: got %s", name, b.Body)
		}
	}
	if b.Open(s.ask("prompt", "none")); b.At.Query().Get("code") == "" {
		t.Errorf("signed out all the same: %s", b.At)
	}
	b.Open(s.issuer + "/logout").Submit()
	if b.Open(s.ask("prompt", "none")); b.At.Query().Get("error") != "login_required" {
		t.Errorf("after the answer: got %s", b.At)
	}
}

func TestSigningOutSendsNobodyElsewhere(t *testing.T) {
	s := newSite(t)
	b := s.browser()
	got := s.redeem(s.signIn(b))
	b.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	b.Open(s.issuer + "/logout?" + url.Values{"id_token_hint": {got.ID}, "post_logout_redirect_uri": {"https://evil.example/"}}.Encode())
	if b.Status != http.StatusOK || b.Head.Get("Location") != "" {
		t.Errorf("got %d %s", b.Status, b.Head.Get("Location"))
	}
}

func TestALogoutIsToldAgainWhenTheClientDidNotAnswer(t *testing.T) {
	s := newSite(t)
	b := s.browser()
	got := s.redeem(s.signIn(b))
	s.mu.Lock()
	s.deaf = 1
	s.mu.Unlock()
	b.Open(s.issuer + "/logout?id_token_hint=" + got.ID)
	if heard := s.heard(); len(heard) != 1 {
		t.Errorf("got %d logouts, want 1", len(heard))
	}
}

func TestAClientEndsItsSessionOverTheBackChannel(t *testing.T) {
	s := newSite(t)
	b := s.browser()
	got := s.redeem(s.signIn(b))
	sid, _ := s.read(got.ID)["sid"].(string)
	end := func(client, secret, sid string) int {
		t.Helper()
		form := url.Values{"client_id": {client}, "client_secret": {secret}, "sid": {sid}}
		res, err := http.PostForm(s.issuer+"/end-session", form)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return res.StatusCode
	}
	for what, c := range map[string]struct {
		client, secret, sid string
		status              int
	}{
		"a wrong secret":               {"web", "guess", sid, 401},
		"a public client":              {"tool", "", sid, 401},
		"another session":              {"web", "shared", "s-1", 400},
		"no session":                   {"web", "shared", "", 400},
		"a client without its tokens":  {"other", "elsewhere", sid, 400},
		"a client that does not exist": {"evil", "", sid, 401},
	} {
		if got := end(c.client, c.secret, c.sid); got != c.status {
			t.Errorf("%s: got %d, want %d", what, got, c.status)
		}
	}
	if b.Open(s.ask("prompt", "none")); b.At.Query().Get("code") == "" {
		t.Fatalf("a refused request ended the session: %s", b.At)
	}
	if got := end("web", "shared", sid); got != http.StatusNoContent {
		t.Errorf("its own: got %d", got)
	}
	if heard := s.heard(); len(heard) != 1 || s.read(heard[0])["sid"] != sid {
		t.Errorf("the client heard %d logouts, want that of %s", len(heard), sid)
	}
	if again := s.renew(got.Refresh); again.Code != "invalid_grant" {
		t.Errorf("refresh: got %+v", again)
	}
	if b.Open(s.ask("prompt", "none")); b.At.Query().Get("error") != "login_required" {
		t.Errorf("the browser is still signed in: %s", b.At)
	}
}
