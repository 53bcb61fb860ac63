package oidcauth

import (
	"maps"
	"net/url"
	"strings"
	"testing"
	"time"
)

func (l *liar) logoutClaims(change map[string]any) map[string]any {
	now := l.clock.now().Unix()
	c := map[string]any{"iss": l.srv.URL, "aud": "sallyport", "sub": "u-1", "sid": "s-1", "iat": now, "exp": now + 120, "jti": "j-1",
		"events": map[string]any{logoutEvent: map[string]any{}}}
	maps.Copy(c, change)
	for k, v := range c {
		if v == nil {
			delete(c, k)
		}
	}
	return c
}

func (l *liar) logoutToken(change map[string]any) string {
	return l.signed("logout+jwt", l.kid, l.logoutClaims(change))
}

func TestALogoutTokenCountsOnce(t *testing.T) {
	l := newLiar(t)
	p := l.party()
	raw := l.logoutToken(nil)
	got, err := p.VerifyLogout(t.Context(), raw)
	if err != nil || got != (Logout{l.srv.URL, "u-1", "s-1"}) {
		t.Fatalf("got %+v, %v", got, err)
	}
	if _, err := p.VerifyLogout(t.Context(), raw); err == nil {
		t.Errorf("the same token was taken twice")
	}
	l.clock.forward(3 * time.Minute)
	if _, err := p.VerifyLogout(t.Context(), raw); err == nil {
		t.Errorf("the same token was taken again after it expired")
	}
	if _, err := p.VerifyLogout(t.Context(), l.logoutToken(map[string]any{"jti": "j-2"})); err != nil {
		t.Errorf("the next token: %v", err)
	}
}

func TestLogoutTokensThatMustFail(t *testing.T) {
	for name, c := range map[string]map[string]any{
		"with a nonce":               {"nonce": "n"},
		"no event":                   {"events": nil},
		"another event":              {"events": map[string]any{"http://schemas.openid.net/event/other": map[string]any{}}},
		"an event that is no object": {"events": map[string]any{logoutEvent: "yes"}},
		"an event that is null":      {"events": map[string]any{logoutEvent: nil}},
		"another issuer":             {"iss": "https://evil.example"},
		"another audience":           {"aud": "other"},
		"neither sub nor sid":        {"sub": nil, "sid": nil},
		"no jti":                     {"jti": nil},
		"no exp":                     {"exp": nil},
		"no iat":                     {"iat": nil},
		"expired":                    {"exp": time.Now().Add(-2 * time.Minute).Unix()},
		"issued ten minutes ago":     {"iat": time.Now().Add(-10 * time.Minute).Unix()},
		"issued in ten minutes":      {"iat": time.Now().Add(10 * time.Minute).Unix()},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLiar(t)
			if got, err := l.party().VerifyLogout(t.Context(), l.logoutToken(c)); err == nil {
				t.Errorf("taken: %+v", got)
			}
		})
	}
	l := newLiar(t)
	p := l.party()
	if _, err := l.signIn(p); err != nil {
		t.Fatal(err)
	}
	for name, raw := range map[string]string{
		"an id token":      l.signed("JWT", l.kid, l.honest()),
		"unsigned":         byHand(`{"alg":"none","typ":"logout+jwt"}`, l.logoutClaims(nil), func(string) []byte { return nil }),
		"another kind":     l.signed("at+jwt", l.kid, l.logoutClaims(nil)),
		"a foreign key id": l.signed("logout+jwt", "k9", l.logoutClaims(nil)),
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := p.VerifyLogout(t.Context(), raw); err == nil {
				t.Errorf("taken: %+v", got)
			}
		})
	}
}

func TestNoIDTokenIsInTheAddressOfALogout(t *testing.T) {
	l := newLiar(t)
	const back = "https://gw.example/signin"
	g := l.party().Goodbye(t.Context(), "the-id-token", "the-sid", back)
	u, err := url.Parse(g.To)
	if err != nil {
		t.Fatal(err)
	}
	want := url.Values{"client_id": {"sallyport"}, "logout_hint": {"the-sid"}, "post_logout_redirect_uri": {back}}
	if u.Path != "/end" || u.RawQuery != want.Encode() || g.Fields != nil {
		t.Errorf("got %s and %v", u, g.Fields)
	}
	post := l.party(func(c *Config) { c.Logout = LogoutPost })
	g = post.Goodbye(t.Context(), "the-id-token", "the-sid", back)
	fields := map[string]string{"client_id": "sallyport", "id_token_hint": "the-id-token",
		"post_logout_redirect_uri": back}
	if g.To != l.srv.URL+"/end" || !maps.Equal(g.Fields, fields) {
		t.Errorf("posted: got %+v", g)
	}
	g = post.Goodbye(t.Context(), "", "the-sid", back)
	if !strings.Contains(g.To, "logout_hint=the-sid") || g.Fields != nil {
		t.Errorf("without an id token: got %+v", g)
	}
	if ended, err := post.EndSession(t.Context(), "the-sid"); ended || err != nil {
		t.Errorf("a provider that cannot be told: %v, %v", ended, err)
	}
}
