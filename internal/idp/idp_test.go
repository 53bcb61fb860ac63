package idp

import (
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestASignInGivesTokensThatSayWho(t *testing.T) {
	s := newSite(t)
	got := s.redeem(s.signIn(s.browser()))
	c := s.read(got.ID)
	want := map[string]any{"iss": s.issuer, "aud": "web", "name": "A. Berg", "preferred_username": "anna", "email": "anna@example.com", "nonce": "no",
		"groups": []any{"technicians"}, "amr": []any{"pwd"}}
	for k, v := range want {
		if !reflect.DeepEqual(c[k], v) {
			t.Errorf("%s: got %v, want %v", k, c[k], v)
		}
	}
	for _, k := range []string{"sub", "exp", "iat", "auth_time", "at_hash", "sid"} {
		if c[k] == nil {
			t.Errorf("no %s in %v", k, c)
		}
	}
	if c["sub"] == "anna" {
		t.Errorf("sub is a name, which is given to others one day")
	}
	if got.Type != "Bearer" || got.Expires != 600 || got.Refresh == "" {
		t.Errorf("got %+v", got)
	}
}

func TestABrowserThatIsSignedInIsNotAskedAgain(t *testing.T) {
	s := newSite(t)
	b := s.browser()
	s.signIn(b)
	for name, c := range map[string]struct {
		pairs []string
		asked bool
	}{
		"again":                 {nil, false},
		"prompt none":           {[]string{"prompt", "none"}, false},
		"prompt login":          {[]string{"prompt", "login"}, true},
		"max_age 0, later":      {[]string{"max_age", "0"}, true},
		"max_age of ten hours":  {[]string{"max_age", "36000"}, false},
		"max_age of one minute": {[]string{"max_age", "60"}, true},
	} {
		s.clock.forward(2 * time.Minute)
		b.Open(s.ask(c.pairs...))
		if asked := b.At.Query().Get("code") == ""; asked != c.asked {
			t.Errorf("%s: asked for a password: got %t, want %t (%s)", name, asked, c.asked, b.At)
		}
	}
	s.clock.forward(SessionTime)
	if b.Open(s.ask("prompt", "none")); b.At.Query().Get("error") != "login_required" {
		t.Errorf("after the session's time: got %s, want login_required", b.At)
	}
}

func TestRequestsThatMustNotLeaveThePage(t *testing.T) {
	s := newSite(t)
	for name, pairs := range map[string][]string{
		"an unknown client":              {"client_id", "evil"},
		"a foreign address":              {"redirect_uri", "https://evil.example/"},
		"an address with a slash more":   {"redirect_uri", s.back + "/"},
		"an address with a query more":   {"redirect_uri", s.back + "?x=1"},
		"no address":                     {"redirect_uri", ""},
		"loopback for a web client":      {"redirect_uri", "http://127.0.0.1:9/rp/callback"},
		"a loopback name for the tool":   {"client_id", "tool", "redirect_uri", "http://localhost:99/done"},
		"another path for the tool":      {"client_id", "tool", "redirect_uri", "http://127.0.0.1:99/other"},
		"a user in the tool's address":   {"client_id", "tool", "redirect_uri", "http://x@127.0.0.1:99/done"},
		"another loopback for the tool":  {"client_id", "tool", "redirect_uri", "http://127.0.0.1.evil.example/done"},
		"a fragment in the tool's place": {"client_id", "tool", "redirect_uri", "http://127.0.0.1:99/done#x"},
	} {
		b := s.browser()
		b.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		b.Open(s.ask(pairs...))
		if b.Status != http.StatusBadRequest || b.Head.Get("Location") != "" {
			t.Errorf("%s: got %d %s", name, b.Status, b.Head.Get("Location"))
		}
	}
}

func TestRequestsThatAreSentBackWithAnError(t *testing.T) {
	s := newSite(t)
	for name, c := range map[string]struct {
		pairs []string
		want  string
	}{
		"no PKCE":             {[]string{"code_challenge", ""}, "invalid_request"},
		"plain PKCE":          {[]string{"code_challenge_method", "plain"}, "invalid_request"},
		"the implicit flow":   {[]string{"response_type", "id_token"}, "unsupported_response_type"},
		"no openid":           {[]string{"scope", "profile"}, "invalid_scope"},
		"a request object":    {[]string{"request", "x.y.z"}, "request_not_supported"},
		"a fragment response": {[]string{"response_mode", "fragment"}, "invalid_request"},
		"a max_age in words":  {[]string{"max_age", "soon"}, "invalid_request"},
		"nobody is signed in": {[]string{"prompt", "none"}, "login_required"},
	} {
		b := s.browser().Open(s.ask(c.pairs...))
		if q := b.At.Query(); q.Get("error") != c.want || q.Get("state") != "st" || q.Get("iss") != s.issuer {
			t.Errorf("%s: got %s, want %s", name, b.At, c.want)
		}
	}
}

func TestATokenRequestThatMustFail(t *testing.T) {
	s := newSite(t)
	b := s.browser()
	for name, c := range map[string]struct {
		pairs []string
		want  string
	}{
		"a wrong secret":         {[]string{"client_secret", "wrong"}, "invalid_client"},
		"no secret":              {[]string{"client_secret", ""}, "invalid_client"},
		"another client":         {[]string{"client_id", "tool", "client_secret", ""}, "invalid_grant"},
		"a wrong verifier":       {[]string{"code_verifier", "wrong"}, "invalid_grant"},
		"no verifier":            {[]string{"code_verifier", ""}, "invalid_grant"},
		"another address":        {[]string{"redirect_uri", s.back + "/x"}, "invalid_grant"},
		"a made-up code":         {[]string{"code", "x"}, "invalid_grant"},
		"the password grant":     {[]string{"grant_type", "password"}, "unsupported_grant_type"},
		"secret of a public one": {[]string{"client_id", "tool", "client_secret", "x"}, "invalid_client"},
	} {
		code := s.signIn(b, "prompt", "login")
		got := s.token(append([]string{"grant_type", "authorization_code", "code", code, "redirect_uri", s.back, "code_verifier", verifier}, c.pairs...)...)
		if got.Code != c.want || got.ID != "" {
			t.Errorf("%s: got %d %s, want %s", name, got.HTTP, got.Code, c.want)
		}
	}
	code := s.signIn(b, "prompt", "login")
	s.clock.forward(codeTime)
	if got := s.redeem(code); got.Code != "invalid_grant" {
		t.Errorf("a code of a minute ago: got %s", got.Code)
	}
}

func TestACodeUsedTwiceEndsWhatItBegan(t *testing.T) {
	s := newSite(t)
	code := s.signIn(s.browser())
	first := s.redeem(code)
	if second := s.redeem(code); second.Code != "invalid_grant" {
		t.Errorf("second use: got %s", second.Code)
	}
	if got := s.renew(first.Refresh); got.Code != "invalid_grant" {
		t.Errorf("refresh after it: got %+v, want invalid_grant", got)
	}
	if code := s.userInfo(first.Access); code != http.StatusUnauthorized {
		t.Errorf("userinfo after it: got %d", code)
	}
}

func (s *site) userInfo(access string) int {
	s.t.Helper()
	r, _ := http.NewRequest("GET", s.issuer+"/userinfo", nil)
	r.Header.Set("Authorization", "Bearer "+access)
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	res.Body.Close()
	return res.StatusCode
}

func TestARefreshTokenUsedTwiceRevokesItsFamily(t *testing.T) {
	s := newSite(t)
	first := s.redeem(s.signIn(s.browser()))
	s.clock.forward(time.Minute)
	second := s.renew(first.Refresh)
	if second.ID == "" || second.Refresh == first.Refresh {
		t.Fatalf("rotation: got %+v", second)
	}
	was, is := s.read(first.ID), s.read(second.ID)
	if was["auth_time"] != is["auth_time"] || was["sub"] != is["sub"] || was["sid"] != is["sid"] || was["iat"] == is["iat"] {
		t.Errorf("got %v, before %v", is, was)
	}
	if got := s.renew(first.Refresh); got.Code != "invalid_grant" {
		t.Errorf("reuse: got %+v", got)
	}
	if got := s.renew(second.Refresh); got.Code != "invalid_grant" {
		t.Errorf("the newest after the reuse: got %+v, want the family revoked", got)
	}
}

func TestARefreshTokenOfAnotherClientIsWorthNothing(t *testing.T) {
	s := newSite(t)
	first := s.redeem(s.signIn(s.browser()))
	if got := s.token("client_id", "tool", "client_secret", "", "grant_type", "refresh_token", "refresh_token", first.Refresh); got.Code != "invalid_grant" {
		t.Errorf("got %+v", got)
	}
	if got := s.renew(first.Refresh); got.ID == "" {
		t.Errorf("its own client after that: got %+v", got)
	}
}

func TestAProviderKeepsItsSessionsAndKeysOverARestart(t *testing.T) {
	s := newSite(t)
	first := s.redeem(s.signIn(s.browser()))
	again, err := New(s.cfg)
	if err != nil {
		t.Fatal(err)
	}
	c := map[string]any{}
	if err := again.keys.verify(first.ID, &c); err != nil {
		t.Errorf("id token after a restart: %v", err)
	}
	name, _, _ := strings.Cut(first.Refresh, ".")
	if _, _, ok := again.state.family(name); !ok {
		t.Errorf("the refresh family is gone after a restart")
	}
	filepath.WalkDir(s.cfg.Dir, func(path string, d os.DirEntry, _ error) error {
		info, _ := d.Info()
		if info.Mode().Perm()&0o077 != 0 && !d.IsDir() {
			t.Errorf("%s may be read by others: %o", path, info.Mode().Perm())
		}
		raw, _ := os.ReadFile(path)
		for _, secret := range []string{password, first.Refresh, first.Access} {
			if strings.Contains(string(raw), secret) {
				t.Errorf("%s holds a secret in clear", path)
			}
		}
		return nil
	})
}

func TestANewKeySignsAndTheOldOneStillCounts(t *testing.T) {
	s := newSite(t)
	b := s.browser()
	first := s.redeem(s.signIn(b))
	s.clock.forward(time.Second)
	if err := s.keys.rotate(); err != nil {
		t.Fatal(err)
	}
	second := s.redeem(s.signIn(b, "prompt", "login"))
	if head(first.ID) == head(second.ID) {
		t.Errorf("the old key still signs")
	}
	s.read(first.ID)
	s.read(second.ID)
	if n := len(s.keys.public().Keys); n != 2 {
		t.Errorf("published keys: got %d, want 2", n)
	}
	for _, k := range s.keys.public().Keys {
		if !k.IsPublic() {
			t.Errorf("a private key is published")
		}
	}
}

func head(raw string) string { h, _, _ := strings.Cut(raw, "."); return h }

func TestAPageAllowsNothingButItself(t *testing.T) {
	s := newSite(t)
	b := s.browser().Open(s.ask())
	csp := b.Head.Get("Content-Security-Policy")
	u, _ := url.Parse(s.back)
	if !has(csp, "default-src 'none'", "frame-ancestors 'none'", "form-action 'self' http://"+u.Host) || has(csp, "unsafe") {
		t.Errorf("got %s", csp)
	}
	if has(b.Body, "<script") || has(b.Body, "style=\"") || has(b.Body, "onclick") {
		t.Errorf("the page has script or style inside")
	}
	if !has(b.Body, `autocomplete="username"`, `autocomplete="current-password"`, `<label for="password">`) {
		t.Errorf("a password manager finds no form: %s", b.Body)
	}
}
