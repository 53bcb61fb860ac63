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
