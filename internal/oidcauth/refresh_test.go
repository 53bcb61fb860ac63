package oidcauth

import (
	"errors"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/signer"
)

func TestARefreshRotatesAndReadsGroupsAnew(t *testing.T) {
	l := newLiar(t)
	p := l.party()
	in, err := l.signIn(p)
	if err != nil {
		t.Fatal(err)
	}
	l.clock.forward(10 * time.Minute)
	l.refresh, l.claims = "refresh-2", map[string]any{"groups": []string{}, "nonce": nil, "auth_time": in.SignedInAt.Unix()}
	next, err := p.Refresh(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	if next.RefreshToken != "refresh-2" || len(next.Groups) != 0 || next.IDToken == in.IDToken || !next.SignedInAt.Equal(in.SignedInAt) {
		t.Errorf("got %+v", next)
	}
	if got := l.forms[1].Get("refresh_token"); got != "refresh-1" {
		t.Errorf("sent %q", got)
	}
}

func TestARefreshThatSpeaksOfSomebodyElseEndsTheSignIn(t *testing.T) {
	for name, claims := range map[string]map[string]any{
		"another sub":                 {"sub": "u-2"},
		"another nonce":               {"nonce": "other"},
		"another sid":                 {"sid": "s-2"},
		"an auth_time of now":         {"auth_time": time.Now().Add(24 * time.Hour).Unix()},
		"another issuer":              {"iss": "https://evil.example"},
		"groups overage":              {"groups": nil, "hasgroups": true},
		"at_hash of another token":    {"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"},
		"an id token of an hour ago":  {"iat": time.Now().Add(-time.Hour).Unix()},
		"an expired id token":         {"exp": time.Now().Add(-time.Hour).Unix()},
		"a token for another program": {"aud": "other"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLiar(t)
			p := l.party()
			in, err := l.signIn(p)
			if err != nil {
				t.Fatal(err)
			}
			l.claims = claims
			if _, err := p.Refresh(t.Context(), in); !errors.Is(err, ErrEnded) {
				t.Errorf("got %v, want the sign-in to end", err)
			}
		})
	}
}

func TestARefusedRefreshEndsAndAProviderThatIsDownDoesNot(t *testing.T) {
	l := newLiar(t)
	p := l.party()
	in, err := l.signIn(p)
	if err != nil {
		t.Fatal(err)
	}
	l.reply = func(w http.ResponseWriter) bool { w.WriteHeader(503); return true }
	if _, err := p.Refresh(t.Context(), in); err == nil || errors.Is(err, ErrEnded) {
		t.Errorf("a provider that is down: got %v", err)
	}
	l.reply = func(w http.ResponseWriter) bool {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(400)
		w.Write([]byte(`{"error":"invalid_grant"}`))
		return true
	}
	if _, err := p.Refresh(t.Context(), in); !errors.Is(err, ErrEnded) {
		t.Errorf("a token that was used twice: got %v", err)
	}
}

func TestAnIDTokenIsEvidenceForNoRefreshAtMostAndNoLonger(t *testing.T) {
	l := newLiar(t)
	l.claims = map[string]any{"amr": []string{"mfa"}}
	p := l.party()
	in, err := l.signIn(p)
	if err != nil {
		t.Fatal(err)
	}
	set, err := NewSet(p)
	if err != nil {
		t.Fatal(err)
	}
	l.clock.forward(DefaultNoRefresh) // its exp was 55 minutes ago
	who, err := set.VerifyIDToken(t.Context(), in.IDToken, "")
	if err != nil {
		t.Fatal(err)
	}
	if who.Principal != in.Principal || !slices.Equal(who.Groups, in.Groups) || !who.SignedInAt.Equal(in.SignedInAt) || !who.SecondFactorAt.Equal(in.SignedInAt) {
		t.Errorf("got %+v", who)
	}
	l.clock.forward(time.Second)
	if who, err := set.VerifyIDToken(t.Context(), in.IDToken, ""); !errors.Is(err, signer.ErrUnconfirmed) {
		t.Errorf("a second later: got %+v, %v", who, err)
	}
	l.claims = map[string]any{"auth_time": in.SignedInAt.Unix(), "nonce": nil}
	next, err := p.Refresh(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	if who, err := set.VerifyIDToken(t.Context(), next.IDToken, ""); err != nil ||
		!who.SignedInAt.Equal(in.SignedInAt) {
		t.Errorf("refreshed: got %+v, %v", who, err)
	}
}

func TestTheSignerRefusesWhatIsNoSignIn(t *testing.T) {
	l := newLiar(t)
	p := l.party()
	set, _ := NewSet(p)
	now := l.clock.now().Unix()
	for name, raw := range map[string]string{
		"a logout token":                 l.logoutToken(nil),
		"a logout token typed as JWT":    l.signed("JWT", l.kid, l.logoutClaims(nil)),
		"another issuer":                 l.signed("JWT", l.kid, map[string]any{"iss": "https://evil.example", "aud": "sallyport", "sub": "u-1", "iat": now, "exp": now + 60}),
		"an exp of a year":               l.signed("JWT", l.kid, map[string]any{"iss": l.srv.URL, "aud": "sallyport", "sub": "u-1", "iat": now, "exp": now + 31e6, "groups": []string{}}),
		"no exp":                         l.signed("JWT", l.kid, map[string]any{"iss": l.srv.URL, "aud": "sallyport", "sub": "u-1", "iat": now, "groups": []string{}}),
		"a sign-in in the future":        l.signed("JWT", l.kid, map[string]any{"iss": l.srv.URL, "aud": "sallyport", "sub": "u-1", "iat": now + 600, "exp": now + 660, "groups": []string{}}),
		"an unsigned one":                byHand(`{"alg":"none"}`, l.honest(), func(string) []byte { return nil }),
		"a token for another audience":   l.signed("JWT", l.kid, map[string]any{"iss": l.srv.URL, "aud": "other", "sub": "u-1", "iat": now, "exp": now + 60, "groups": []string{}}),
		"an API token in the wrong slot": "spt_abc",
		"nothing":                        "",
	} {
		t.Run(name, func(t *testing.T) {
			if who, err := set.VerifyIDToken(t.Context(), raw, ""); err == nil {
				t.Errorf("believed: %+v", who)
			}
		})
	}
}
