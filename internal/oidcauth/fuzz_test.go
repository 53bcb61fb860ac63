package oidcauth

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"
)

// What a provider sends is read from bytes here. The provider is one that somebody took over, or what answers in its place.

const issuer = "https://idp.example"

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// pages are what a provider answers, by path.
type pages map[string][]byte

func (p pages) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Write(p[r.URL.Path])
}

// provided is a provider's answers that hold, and a token signed by its key.
type provided struct {
	*liar
	pages pages
}

func newProvided(f *testing.F) *provided {
	l := &liar{t: f, kid: "k1", clock: &clock{}}
	l.clock.ns.Store(noon.UnixNano())
	var err error
	if l.key, err = ecdsa.ParseRawPrivateKey(elliptic.P256(), bytes.Repeat([]byte{1}, 32)); err != nil { // the same in every process of a fuzz run
		f.Fatal(err)
	}
	meta, _ := json.Marshal(map[string]any{"issuer": issuer, "authorization_endpoint": issuer + "/auth", "token_endpoint": issuer + "/token", "jwks_uri": issuer + "/jwks",
		"end_session_endpoint": issuer + "/end", "id_token_signing_alg_values_supported": []string{"ES256", "HS256", "none"}, "scopes_supported": []string{"openid"}})
	keys, _ := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: l.key.Public(), KeyID: "k1", Algorithm: "ES256", Use: "sig"}}})
	return &provided{l, pages{"/.well-known/openid-configuration": meta, "/jwks": keys}}
}

// party gives a relying party that is answered by the pages, some of them others.
func (p *provided) party(t testing.TB, other pages) *Provider {
	t.Helper()
	all := maps.Clone(p.pages)
	maps.Copy(all, other)
	r, err := New(Config{Name: "acme", Issuer: issuer, ClientID: "sallyport", ClientSecret: "s", RedirectURL: "https://gw.example/callback/acme",
		Groups: map[string]string{"sp-tech": "technicians"}, AMR: []string{"otp"}, Now: p.clock.now, Transport: Inside(all)})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (p *provided) claims(typ string) []byte {
	now := noon.Unix()
	c := map[string]any{"iss": issuer, "aud": "sallyport", "sub": "u-1", "iat": now, "exp": now + 120, "sid": "s-1"}
	if typ == "JWT" {
		maps.Copy(c, map[string]any{"auth_time": now, "nonce": "n", "groups": []string{"sp-tech"}, "amr": []string{"otp"}})
	} else {
		maps.Copy(c, map[string]any{"jti": "j-1", "events": map[string]any{logoutEvent: map[string]any{}}})
	}
	raw, _ := json.Marshal(c)
	return raw
}

// token signs any bytes as a token's claims.
func (p *provided) token(typ string, body []byte) string {
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: p.key, KeyID: "k1"}}, (&jose.SignerOptions{}).WithType(jose.ContentType(typ)))
	if err != nil {
		panic(err)
	}
	signed, err := s.Sign(body)
	if err != nil {
		panic(err)
	}
	raw, err := signed.CompactSerialize()
	if err != nil {
		panic(err)
	}
	return raw
}

// finish goes through the end of a sign-in with what the token endpoint answers.
func (p *provided) finish(t testing.TB, answer []byte) (SignIn, error) {
	t.Helper()
	return p.party(t, pages{"/token": answer}).Finish(t.Context(), Flow{Provider: "acme", State: "s", Nonce: "n", Verifier: "v"},
		url.Values{"state": {"s"}, "code": {"c"}})
}

func tokenAnswer(idToken string) []byte {
	raw, _ := json.Marshal(map[string]any{"access_token": "access", "token_type": "Bearer", "refresh_token": "r", "id_token": idToken})
	return raw
}

func FuzzDiscovery(f *testing.F) {
	p := newProvided(f)
	f.Add(p.pages["/.well-known/openid-configuration"])
	f.Add([]byte(`{"issuer":"https://idp.example","jwks_uri":"http://127.0.0.1:80@evil.example/"}`))
	f.Add([]byte(`{"issuer":"https://idp.example","issuer":"https://evil.example"}`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		party := p.party(t, pages{"/.well-known/openid-configuration": doc})
		m, _, err := party.discover(t.Context())
		if err != nil {
			return
		}
		if m.Issuer != issuer || !allowedURL(m.Auth) || !allowedURL(m.Token) || !allowedURL(m.Keys) {
			t.Errorf("took %s", doc)
		}
		for _, a := range m.algorithms() {
			if !slices.Contains(signing, a) {
				t.Errorf("would take the algorithm %q", a)
			}
		}
		if out := party.Goodbye(t.Context(), "", "sid", "https://gw.example/"); out.To != "" && !allowedURL(out.To) {
			t.Errorf("would send a browser to %q", out.To)
		}
		if _, to, err := party.Start(t.Context(), true); err != nil || !allowedURL(to) {
			t.Errorf("would send a browser to %q, %v", to, err)
		}
	})
}

// FuzzKeys: a token of the honest key holds if that key is published, and no other does. Keys that must not verify are left out.
func FuzzKeys(f *testing.F) {
	p := newProvided(f)
	honest := p.token("JWT", p.claims("JWT"))
	f.Add(p.pages["/jwks"])
	f.Add([]byte(`{"keys":[{"kty":"oct","k":"AAAA","alg":"HS256"},{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}]}`))
	f.Add([]byte(`{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"},{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		k := newKeySet(issuer+"/jwks", client(Inside(pages{"/jwks": doc}), nil), time.Minute, p.clock.now)
		keys, err := k.get(t.Context())
		if err != nil {
			return
		}
		found := false
		for _, key := range keys {
			if !key.IsPublic() || !key.Valid() || !usable(key) {
				t.Errorf("took the key %+v", key)
			}
			own, ok := key.Key.(*ecdsa.PublicKey)
			found = found || ok && own.Equal(p.key.Public())
		}
		if _, err := k.VerifySignature(t.Context(), honest); err == nil && !found {
			t.Errorf("a token holds under keys that did not sign it: %s", doc)
		}
	})
}

// FuzzToken: what the provider did not sign is no token of any kind.
func FuzzToken(f *testing.F) {
	p := newProvided(f)
	id, logout := p.token("JWT", p.claims("JWT")), p.token("logout+jwt", p.claims("logout+jwt"))
	f.Add(id)
	f.Add(logout)
	f.Add(byHand(`{"alg":"none"}`, map[string]any{"iss": issuer}, func(string) []byte { return nil }))
	f.Add(byHand(`{"alg":"HS256","kid":"k1","crit":["b64"],"b64":false}`, map[string]any{"iss": issuer}, hs256([]byte("s"))))
	f.Fuzz(func(t *testing.T, raw string) {
		party := p.party(t, nil)
		if v, err := party.signed(t.Context(), raw); err == nil && !sameClaims(v.claims, p.claims("JWT")) {
			t.Errorf("took the id token %s", raw)
		}
		if l, err := party.VerifyLogout(t.Context(), raw); err == nil && l != (Logout{issuer, "u-1", "s-1"}) {
			t.Errorf("took the logout token %s", raw)
		}
		claimsOf(raw)
	})
}

func sameClaims(c claims, raw []byte) bool {
	want := claims{}
	return json.Unmarshal(raw, &want) == nil && maps.EqualFunc(c, want, func(a, b json.RawMessage) bool { return bytes.Equal(a, b) })
}

// FuzzIDToken signs whatever it is given: who is believed to be somebody has a token of this provider, for us, now and here.
func FuzzIDToken(f *testing.F) {
	p := newProvided(f)
	good := p.claims("JWT")
	if in, err := p.finish(f, tokenAnswer(p.token("JWT", good))); err != nil || in.Principal.Subject != "u-1" {
		f.Fatalf("the seed: got %+v, %v", in, err)
	}
	f.Add(good)
	f.Add(bytes.Replace(good, []byte(`"sub"`), []byte(`"SUB"`), 1))
	f.Add(bytes.Replace(good, []byte(`"aud":"sallyport"`), []byte(`"aud":["other","sallyport"],"azp":"sallyport"`), 1))
	f.Add(bytes.Replace(good, []byte(`"iss"`), []byte(`"iss":"https://evil.example","ISS"`), 1))
	f.Add([]byte(`{"_claim_names":{"groups":"x"},"hasgroups":true}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		in, err := p.finish(t, tokenAnswer(p.token("JWT", body)))
		if err != nil {
			return
		}
		c := claims{}
		if err := json.Unmarshal(body, &c); err != nil {
			t.Fatalf("took claims that are no object: %q", body)
		}
		aud, _ := c.texts("aud")
		iat, ok := c.time("iat")
		if c.text("iss") != issuer || c.text("sub") == "" || c.text("sub") != in.Principal.Subject || c.text("nonce") != "n" || !slices.Contains(aud, "sallyport") || !ok || noon.Sub(iat) > oldest || c.has("events") {
			t.Errorf("believed %s", body)
		}
		if len(in.Groups) > 1 || len(in.Groups) == 1 && in.Groups[0] != "technicians" || !in.SecondFactorAt.IsZero() && !slices.Contains(in.AMR, "otp") {
			t.Errorf("%s: got %+v", body, in)
		}
	})
}

// FuzzTokenAnswer: nothing but the one token that was signed makes a sign-in, whatever stands around it.
func FuzzTokenAnswer(f *testing.F) {
	p := newProvided(f)
	good := p.token("JWT", p.claims("JWT"))
	f.Add(tokenAnswer(good))
	f.Add([]byte(`{"access_token":"a","id_token":["x"]}`))
	f.Add([]byte(`{"error":"invalid_grant","error_description":"\u001b[2J"}`))
	f.Fuzz(func(t *testing.T, answer []byte) {
		if in, err := p.finish(t, answer); err == nil && (in.Principal.Subject != "u-1" || !bytes.Contains(answer, []byte(good[:40]))) {
			t.Errorf("%s: got %+v", answer, in)
		}
	})
}

// FuzzLogoutToken signs whatever it is given: what ends somebody's sessions is a logout token, fresh, and names them.
func FuzzLogoutToken(f *testing.F) {
	p := newProvided(f)
	good := p.claims("logout+jwt")
	f.Add(good)
	f.Add(p.claims("JWT"))
	f.Add(bytes.Replace(good, []byte(`"jti"`), []byte(`"nonce":"n","jti"`), 1))
	f.Add(bytes.Replace(good, []byte(`{}`), []byte(`null`), 1))
	f.Fuzz(func(t *testing.T, body []byte) {
		party := p.party(t, nil)
		raw := p.token("logout+jwt", body)
		l, err := party.VerifyLogout(t.Context(), raw)
		if err != nil {
			return
		}
		c := claims{}
		iat, ok := time.Time{}, false
		if json.Unmarshal(body, &c) == nil {
			iat, ok = c.time("iat")
		}
		if !ok || noon.Sub(iat) > logoutWindow || c.has("nonce") || !c.has("events") || c.text("jti") == "" || l.Subject == "" && l.SID == "" || l.Subject != c.text("sub") {
			t.Errorf("took %s", body)
		}
		if _, err := party.VerifyLogout(t.Context(), raw); err == nil {
			t.Errorf("took %s twice", body)
		}
	})
}
