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
	b.open(s.issuer + "/logout?" + url.Values{"id_token_hint": {got.ID}, "post_logout_redirect_uri": {bye}, "state": {"x"}}.Encode())
	if b.at.Path != "/rp/bye" || b.at.Query().Get("state") != "x" {
		t.Errorf("got %s: %s", b.at, b.body)
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
	if b.open(s.ask("prompt", "none")); b.at.Query().Get("error") != "login_required" {
		t.Errorf("the browser is still signed in: %s", b.at)
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
		if b.open(s.issuer + "/logout?" + q.Encode()); !has(b.body, "Sign out", "<form") {
			t.Errorf("%s: got %s", name, b.body)
		}
	}
	if b.open(s.ask("prompt", "none")); b.at.Query().Get("code") == "" {
		t.Errorf("signed out all the same: %s", b.at)
	}
	b.open(s.issuer + "/logout").submit()
	if b.open(s.ask("prompt", "none")); b.at.Query().Get("error") != "login_required" {
		t.Errorf("after the answer: got %s", b.at)
	}
}

func TestSigningOutSendsNobodyElsewhere(t *testing.T) {
	s := newSite(t)
	b := s.browser()
	got := s.redeem(s.signIn(b))
	b.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	b.open(s.issuer + "/logout?" + url.Values{"id_token_hint": {got.ID}, "post_logout_redirect_uri": {"https://evil.example/"}}.Encode())
	if b.code != http.StatusOK || b.head.Get("Location") != "" {
		t.Errorf("got %d %s", b.code, b.head.Get("Location"))
	}
}

func TestALogoutIsToldAgainWhenTheClientDidNotAnswer(t *testing.T) {
	s := newSite(t)
	b := s.browser()
	got := s.redeem(s.signIn(b))
	s.mu.Lock()
	s.deaf = 1
	s.mu.Unlock()
	b.open(s.issuer + "/logout?id_token_hint=" + got.ID)
	if heard := s.heard(); len(heard) != 1 {
		t.Errorf("got %d logouts, want 1", len(heard))
	}
}
