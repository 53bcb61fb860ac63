package oidcauth

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/errkind"
)

func TestAnHonestSignInIsBelieved(t *testing.T) {
	l := newLiar(t)
	in, err := l.signIn(l.party())
	if err != nil {
		t.Fatal(err)
	}
	if in.Principal.Issuer != l.srv.URL || in.Principal.Subject != "u-1" || in.Name != "T. Nowak" || in.SID != "s-1" || in.RefreshToken != "refresh-1" {
		t.Errorf("got %+v", in)
	}
	if !slices.Equal(in.Groups, []string{"technicians"}) {
		t.Errorf("groups: got %v, want technicians only: what is not mapped does not exist", in.Groups)
	}
	if !in.SecondFactorAt.IsZero() {
		t.Errorf("second factor: got %s for amr pwd", in.SecondFactorAt)
	}
	form := l.forms[0]
	if form.Get("code") != "code-1" || len(form.Get("code_verifier")) < 43 || form.Get("redirect_uri") != "https://gw.example/callback/acme" {
		t.Errorf("token request: got %v", form)
	}
}

func TestTheAuthorizationRequestAsksForWhatIsCheckedLater(t *testing.T) {
	l := newLiar(t)
	_, to, err := l.party(func(c *Config) { c.MaxAge = time.Hour }).Start(t.Context(), true)
	if err != nil {
		t.Fatal(err)
	}
	u, _ := url.Parse(to)
	q := u.Query()
	if q.Get("code_challenge_method") != "S256" || len(q.Get("code_challenge")) != 43 || len(q.Get("state")) != 43 || len(q.Get("nonce")) != 43 ||
		q.Get("max_age") != "3600" || q.Get("prompt") != "login" || q.Get("response_type") != "code" {
		t.Errorf("got %v", q)
	}
}

// TestIDTokensThatMustFail is the list of lies. Each is one change to an honest token.
func TestIDTokensThatMustFail(t *testing.T) {
	now := func(l *liar, d time.Duration) int64 { return l.clock.now().Add(d).Unix() }
	set := func(name string, v any) func(*liar) {
		return func(l *liar) { l.claims = map[string]any{name: v} }
	}
	at := func(name string, d time.Duration) func(*liar) {
		return func(l *liar) { l.claims = map[string]any{name: now(l, d)} }
	}
	for name, c := range map[string]struct {
		lie  func(*liar)
		want string
	}{
		"another issuer":                {set("iss", "https://evil.example"), "issued by a different provider"},
		"no issuer":                     {set("iss", nil), "different provider"},
		"another audience":              {set("aud", "somebody"), "audience"},
		"no audience":                   {set("aud", nil), "audience"},
		"several audiences without azp": {set("aud", []string{"sallyport", "other"}), "no azp"},
		"azp of somebody else":          {set("azp", "other"), "azp"},
		"azp that is no text":           {set("azp", 7), "azp"},
		"no sub":                        {set("sub", nil), "no sub"},
		"an empty sub":                  {set("sub", ""), "no sub"},
		"sub in capitals only":          {func(l *liar) { l.claims = map[string]any{"sub": nil, "SUB": "admin"} }, "no sub"},
		"expired by 61 s": {func(l *liar) {
			l.claims = map[string]any{"exp": now(l, -61*time.Second), "iat": now(l, -120*time.Second)}
		}, "expired"},
		"no exp":                               {set("exp", nil), "no exp"},
		"exp in ten years":                     {at("exp", 10*365*24*time.Hour), "it is valid for 87600h0m0s, and at most 24h0m0s is accepted"},
		"no iat":                               {set("iat", nil), "no iat"},
		"iat two minutes ahead":                {at("iat", 2*time.Minute), "from the future"},
		"iat an hour ago":                      {func(l *liar) { l.claims = map[string]any{"iat": now(l, -time.Hour), "auth_time": now(l, -time.Hour)} }, "too old"},
		"nbf two minutes ahead":                {at("nbf", 2*time.Minute), "from the future"},
		"nbf that is no time":                  {set("nbf", true), "nbf"},
		"another nonce":                        {set("nonce", "other"), "nonce"},
		"no nonce":                             {set("nonce", nil), "nonce"},
		"at_hash of another access token":      {set("at_hash", "AAAAAAAAAAAAAAAAAAAAAA"), "at_hash"},
		"an empty at_hash":                     {set("at_hash", ""), "at_hash"},
		"no auth_time though max_age was sent": {set("auth_time", nil), "no auth_time"},
		"auth_time older than max_age":         {at("auth_time", -2*time.Hour), "older than max_age"},
		"auth_time ahead":                      {at("auth_time", 5*time.Minute), "from the future"},
		"a logout token with a nonce":          {set("events", map[string]any{logoutEvent: map[string]any{}}), "logout token"},
		"an access token in its place":         {func(l *liar) { l.sign = func(c map[string]any) string { return l.signed("at+jwt", l.kid, c) } }, "kind"},
		"a logout token by its kind":           {func(l *liar) { l.sign = func(c map[string]any) string { return l.signed("logout+jwt", l.kid, c) } }, "kind"},
		"a key that nobody publishes":          {func(l *liar) { l.sign = func(c map[string]any) string { return l.signed("JWT", "other", c) } }, "no key"},
		"alg none": {func(l *liar) {
			l.sign = func(c map[string]any) string { return byHand(`{"alg":"none"}`, c, func(string) []byte { return nil }) }
		}, "id token"},
		"HS256 with the public key": {func(l *liar) {
			l.sign = func(c map[string]any) string {
				return byHand(`{"alg":"HS256","kid":"k1"}`, c, hs256(pemOf(l.key.Public())))
			}
		}, "id token"},
		"HS256 with the client secret": {func(l *liar) {
			l.sign = func(c map[string]any) string { return byHand(`{"alg":"HS256"}`, c, hs256([]byte("s"))) }
		}, "id token"},
		"an algorithm the provider does not use": {func(l *liar) { l.meta = map[string]any{"id_token_signing_alg_values_supported": []string{"RS256"}} }, "id token"},
		"claims changed after signing":           {func(l *liar) { l.sign = func(c map[string]any) string { return tamper(l.signed("JWT", l.kid, c)) } }, "no key"},
		"no token at all":                        {func(l *liar) { l.sign = func(map[string]any) string { return "" } }, "no id token"},
		"words instead of a token":               {func(l *liar) { l.sign = func(map[string]any) string { return "a.b" } }, "id token"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLiar(t)
			c.lie(l)
			_, err := l.signIn(l.party(func(c *Config) { c.MaxAge = time.Hour }))
			if err == nil || !strings.Contains(chain(err), c.want) {
				t.Errorf("got %v, want …%s…", err, c.want)
			}
		})
	}
}

func tamper(raw string) string {
	parts := strings.Split(raw, ".")
	b := []byte(parts[1])
	b[len(b)/2] ^= 1
	return parts[0] + "." + string(b) + "." + parts[2]
}

func TestIDTokensAtTheEdgeAreBelieved(t *testing.T) {
	for name, lie := range map[string]func(*liar) map[string]any{
		"expired by 60 s": func(l *liar) map[string]any {
			n := l.clock.now().Unix()
			return map[string]any{"iat": n - 120, "exp": n - 60}
		},
		"iat 60 s ahead": func(l *liar) map[string]any { return map[string]any{"iat": l.clock.now().Unix() + 60} },
		"several audiences with azp": func(*liar) map[string]any {
			return map[string]any{"aud": []string{"sallyport", "x"}, "azp": "sallyport"}
		},
		"no at_hash":            func(*liar) map[string]any { return map[string]any{"at_hash": nil} },
		"times with a fraction": func(l *liar) map[string]any { return map[string]any{"iat": float64(l.clock.now().Unix()) + 0.5} },
	} {
		t.Run(name, func(t *testing.T) {
			l := newLiar(t)
			l.claims = lie(l)
			if _, err := l.signIn(l.party(func(c *Config) { c.MaxAge = time.Hour })); err != nil {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestAnswersInTheBrowserThatMustFail(t *testing.T) {
	for name, c := range map[string]struct {
		change func(url.Values)
		want   string
	}{
		"a foreign state":          {func(q url.Values) { q.Set("state", "other") }, "state"},
		"no state":                 {func(q url.Values) { q.Del("state") }, "state"},
		"state twice":              {func(q url.Values) { q.Add("state", "x") }, "twice"},
		"the iss of another (mix)": {func(q url.Values) { q.Set("iss", "https://evil.example") }, "iss"},
		"no iss though promised":   {func(q url.Values) { q.Del("iss") }, "iss"},
		"no code":                  {func(q url.Values) { q.Del("code") }, "neither code nor error"},
		"access denied":            {func(q url.Values) { q.Del("code"); q.Set("error", "access_denied") }, "did not let you in"},
		"a wrong redirect URI": {func(q url.Values) { q.Set("error", "invalid_request"); q.Set("error_description", "bad redirect_uri") },
			"does not take this gateway's redirect URI"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLiar(t)
			_, err := l.signIn(l.party(), c.change)
			if err == nil || !strings.Contains(chain(err), c.want) {
				t.Errorf("got %v, want …%s…", err, c.want)
			}
			if l.token.Load() != 0 {
				t.Errorf("the code was sent although the answer was not good")
			}
		})
	}
}

func TestGroupsThatAreMissingAreADenial(t *testing.T) {
	for name, c := range map[string]struct {
		claims map[string]any
		want   string
	}{
		"no claim":               {map[string]any{"groups": nil}, "sent no list of groups"},
		"null":                   {map[string]any{"groups": []string(nil)}, "sent no list of groups"},
		"a number":               {map[string]any{"groups": 7}, "sent no list of groups"},
		"overage (distributed)":  {map[string]any{"groups": nil, "_claim_names": map[string]string{"groups": "src1"}, "_claim_sources": map[string]any{"src1": map[string]string{"endpoint": "https://graph.example"}}}, "too many"},
		"overage by a flag":      {map[string]any{"groups": nil, "hasgroups": true}, "too many"},
		"overage beside a list":  {map[string]any{"_claim_names": map[string]string{"groups": "src1"}, "_claim_sources": map[string]any{"src1": map[string]string{"endpoint": "https://graph.example"}}}, "too many"},
		"groups in capital only": {map[string]any{"groups": nil, "Groups": []string{"sp-tech"}}, "sent no list of groups"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLiar(t)
			l.claims, l.meta = c.claims, map[string]any{"userinfo_endpoint": ""}
			_, err := l.signIn(l.party())
			if errkind.KindOf(err) != errkind.Denied || !strings.Contains(chain(err), c.want) {
				t.Errorf("got %v, want a denial …%s…", err, c.want)
			}
		})
	}
	l := newLiar(t)
	l.claims = map[string]any{"groups": []string{}}
	if in, err := l.signIn(l.party()); err != nil || len(in.Groups) != 0 {
		t.Errorf("an empty list: got %v, %v; want no groups and no denial", in.Groups, err)
	}
}

func TestTheSecondFactorIsWhatTheConfigurationNames(t *testing.T) {
	for name, c := range map[string]struct {
		claims map[string]any
		want   bool
	}{
		"amr otp":          {map[string]any{"amr": []string{"pwd", "otp"}}, true},
		"amr as one text":  {map[string]any{"amr": "mfa"}, true},
		"acr gold":         {map[string]any{"acr": "gold"}, true},
		"acr silver":       {map[string]any{"acr": "silver"}, false},
		"amr sms":          {map[string]any{"amr": []string{"sms"}}, false},
		"nobody says when": {map[string]any{"amr": []string{"otp"}, "auth_time": nil}, false},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLiar(t)
			l.claims = c.claims
			in, err := l.signIn(l.party())
			if err != nil || in.SecondFactorAt.IsZero() == c.want {
				t.Errorf("got %s, %v; want second factor %t", in.SecondFactorAt, err, c.want)
			}
		})
	}
}

func TestErrorsNeverHoldBodiesOrTokens(t *testing.T) {
	const planted = "PLANTED-SECRET"
	for name, reply := range map[string]func(http.ResponseWriter) bool{
		"an OAuth error": func(w http.ResponseWriter) bool {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(400)
			w.Write([]byte(`{"error":"invalid_grant","error_description":"` + planted + `"}`))
			return true
		},
		"an unknown error code": func(w http.ResponseWriter) bool {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(400)
			w.Write([]byte(`{"error":"` + planted + `"}`))
			return true
		},
		"a page": func(w http.ResponseWriter) bool { w.WriteHeader(502); w.Write([]byte(planted)); return true },
		"broken JSON": func(w http.ResponseWriter) bool {
			w.Header().Set("Content-Type", "application/json")
			w.Write([]byte(`{"access_token":"` + planted))
			return true
		},
		"too much": func(w http.ResponseWriter) bool {
			w.Header().Set("Content-Type", "application/json")
			w.Write([]byte(`{"access_token":"` + planted + strings.Repeat("x", 2<<20) + `"}`))
			return true
		},
		"a redirect elsewhere": func(w http.ResponseWriter) bool {
			w.Header().Set("Location", "https://evil.example/"+planted)
			w.WriteHeader(307)
			return true
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLiar(t)
			l.reply = reply
			_, err := l.signIn(l.party())
			if err == nil || strings.Contains(chain(err), planted) {
				t.Errorf("got %v", err)
			}
			if n := l.token.Load(); n != 1 {
				t.Errorf("code and secret were sent %d times, want once", n)
			}
		})
	}
}

func TestAProviderThatIsNotWhoItShouldBeIsRefused(t *testing.T) {
	for name, meta := range map[string]map[string]any{
		"another issuer":        {"issuer": "https://evil.example"},
		"a slash more":          {"issuer": "http://127.0.0.1/"},
		"a token endpoint open": {"token_endpoint": "http://idp.example/token"},
		"keys over plain http":  {"jwks_uri": "http://idp.example/jwks"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLiar(t)
			l.meta = maps.Clone(meta)
			if err := l.party().Check(t.Context()); errkind.KindOf(err) != errkind.Unavailable {
				t.Errorf("got %v", err)
			}
		})
	}
	if _, err := New(Config{Name: "x", Issuer: "http://idp.example", ClientID: "c", RedirectURL: "https://gw.example/callback/x"}); err == nil {
		t.Errorf("an issuer without TLS was taken")
	}
}
