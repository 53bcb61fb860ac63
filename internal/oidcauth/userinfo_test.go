package oidcauth

import (
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/errkind"
)

// says answers userinfo with claims, only for the access token of the sign-in.
func says(c map[string]any) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer access" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		writeJSON(w, c)
	}
}

// groupless is a provider whose id tokens have no groups and whose userinfo has.
func groupless(t *testing.T, userinfo http.HandlerFunc) *liar {
	l := newLiar(t)
	l.claims = map[string]any{"groups": nil}
	l.userinfo = userinfo
	return l
}

func tess(more map[string]any) map[string]any {
	c := map[string]any{"sub": "u-1", "groups": []string{"sp-tech"}, "email": "t@example.com",
		"preferred_username": "tess"}
	maps.Copy(c, more)
	return c
}

func TestGroupsOfUserInfoCountAndAreAskedForOnceASignIn(t *testing.T) {
	l := groupless(t, says(tess(map[string]any{"name": "Somebody Else", "amr": []string{"mfa"}, "auth_time": 1})))
	p := l.party()
	in, err := l.signIn(p)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(in.Groups, []string{"technicians"}) || in.Email != "t@example.com" || in.Username != "tess" ||
		in.AccessToken != "access" {
		t.Errorf("got %+v", in)
	}
	if in.Name != "T. Nowak" || !in.SecondFactorAt.IsZero() {
		t.Errorf("userinfo overrides the id token: got %+v", in)
	}
	for range 3 {
		if who, err := p.VerifyIDToken(t.Context(), in.IDToken, in.AccessToken); err != nil ||
			!slices.Equal(who.Groups, in.Groups) {
			t.Errorf("got %+v, %v", who, err)
		}
	}
	if n := l.asked.Load(); n != 1 {
		t.Errorf("userinfo was asked %d times, want once", n)
	}
	l.clock.forward(5 * time.Minute)
	l.userinfo = says(tess(map[string]any{"groups": []string{}}))
	l.claims = map[string]any{"groups": nil, "nonce": nil, "auth_time": in.SignedInAt.Unix()}
	next, err := p.Refresh(t.Context(), in)
	if err != nil || len(next.Groups) != 0 || l.asked.Load() != 2 {
		t.Errorf("refreshed: got %+v, %v, asked %d times", next, err, l.asked.Load())
	}
}

func TestASignerOfItsOwnAsksUserInfoItself(t *testing.T) {
	l := groupless(t, says(tess(nil)))
	in, err := l.signIn(l.party())
	if err != nil {
		t.Fatal(err)
	}
	apart := l.party(func(c *Config) { c.ClientSecret = "" })
	for what, access := range map[string]string{"none": "", "that of another sign-in": "another"} {
		if who, err := apart.VerifyIDToken(t.Context(), in.IDToken, access); errkind.KindOf(err) != errkind.Signin {
			t.Errorf("access token: %s: got %+v, %v", what, who, err)
		}
	}
	if n := l.asked.Load(); n != 1 {
		t.Errorf("userinfo was asked %d times with a token that at_hash excludes", n-1)
	}
	for range 2 {
		if who, err := apart.VerifyIDToken(t.Context(), in.IDToken, "access"); err != nil ||
			!slices.Equal(who.Groups, []string{"technicians"}) {
			t.Errorf("got %+v, %v", who, err)
		}
	}
	if n := l.asked.Load(); n != 2 {
		t.Errorf("userinfo was asked %d times, want once by each", n)
	}
}

func TestBadUserInfoIsRefused(t *testing.T) {
	page := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.Write([]byte("<html>Sign in</html>"))
	}
	huge := says(tess(map[string]any{"padding": strings.Repeat("x", maxBody)}))
	slow := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	away := func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/token", http.StatusTemporaryRedirect)
	}
	for name, c := range map[string]struct {
		say  http.HandlerFunc
		want string
		kind errkind.Kind
	}{
		"another sub":     {says(tess(map[string]any{"sub": "u-2"})), "another sub", errkind.Signin},
		"sub in capitals": {says(tess(map[string]any{"sub": nil, "SUB": "u-1"})), "another sub", errkind.Signin},
		"no groups":       {says(tess(map[string]any{"groups": nil})), "no list of groups", errkind.Denied},
		"groups elsewhere": {says(tess(map[string]any{"groups": nil,
			"_claim_names": map[string]any{"groups": "s"}})), "too many", errkind.Denied},
		"a page":            {page, "not JSON", errkind.Unavailable},
		"a redirect":        {away, "answered 307", errkind.Unavailable},
		"more than 512 KiB": {huge, "longer than", errkind.Unavailable},
		"no answer":         {slow, "userinfo", errkind.Unavailable},
		"401": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(401) }, "answered 401",
			errkind.Signin},
	} {
		t.Run(name, func(t *testing.T) {
			l := groupless(t, c.say)
			p := l.party()
			if err := p.Check(t.Context()); err != nil {
				t.Fatal(err)
			}
			if name == "no answer" {
				p.http.Timeout = 300 * time.Millisecond
			}
			_, err := l.signIn(p)
			if errkind.KindOf(err) != c.kind || err == nil || !strings.Contains(chain(err), c.want) {
				t.Errorf("got %v, want kind %d …%s…", err, c.kind, c.want)
			}
		})
	}
}

func TestUserInfoWithoutTLSIsNotRequested(t *testing.T) {
	l := groupless(t, nil)
	l.meta = map[string]any{"userinfo_endpoint": "http://idp.example/userinfo"}
	if _, err := l.signIn(l.party()); err == nil || !strings.Contains(chain(err), "neither https nor loopback") {
		t.Errorf("got %v", err)
	}
}

func TestAnotherSubAtUserInfoIsRefusedEvenWhereOnlyANameIsMissing(t *testing.T) {
	l := newLiar(t) // its id tokens have groups and no email
	l.userinfo = says(tess(map[string]any{"sub": "u-2"}))
	if in, err := l.signIn(l.party()); errkind.KindOf(err) != errkind.Signin || err == nil {
		t.Errorf("got %+v, %v", in, err)
	}
	l.userinfo = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }
	if in, err := l.signIn(l.party()); err != nil || in.Email != "" || in.AccessToken != "" ||
		!slices.Equal(in.Groups, []string{"technicians"}) {
		t.Errorf("userinfo that is down: got %+v, %v", in, err)
	}
}

func TestARefreshWhoseUserInfoIsDownKeepsTheNewRefreshToken(t *testing.T) {
	l := groupless(t, says(tess(nil)))
	p := l.party()
	in, err := l.signIn(p)
	if err != nil {
		t.Fatal(err)
	}
	l.clock.forward(time.Minute)
	l.refresh, l.claims = "refresh-2", map[string]any{"groups": nil, "auth_time": in.SignedInAt.Unix()}
	l.userinfo = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }
	next, err := p.Refresh(t.Context(), in)
	if err == nil || errors.Is(err, ErrEnded) || next.RefreshToken != "refresh-2" || next.IDToken != in.IDToken {
		t.Errorf("got %+v, %v", next, err)
	}
}

func TestAProviderOfAPrivateAuthorityIsReachedWithItsCertificateOnly(t *testing.T) {
	l := newLiar(t)
	l.userinfo = says(tess(nil))
	plain := l.srv
	l.srv = httptest.NewTLSServer(plain.Config.Handler)
	t.Cleanup(l.srv.Close)
	if _, err := l.signIn(l.party()); err == nil || !strings.Contains(chain(err), "certificate") {
		t.Errorf("without ca_file: got %v", err)
	}
	trusted := l.srv.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	if _, err := l.signIn(l.party(func(c *Config) { c.Roots = trusted })); err != nil {
		t.Errorf("with ca_file: %v", err)
	}
}

func TestOnlyWhatIsUsedOfUserInfoIsKept(t *testing.T) {
	l := groupless(t, says(tess(map[string]any{"picture": strings.Repeat("x", maxBody/2)})))
	p := l.party()
	if _, err := l.signIn(p); err != nil {
		t.Fatal(err)
	}
	kept := 0
	for _, a := range p.said.of["u-1"].kept {
		for name, value := range a.claims {
			kept += len(name) + len(value)
		}
	}
	if kept == 0 || kept > 1<<10 {
		t.Errorf("%d bytes of an answer are kept, want those of groups and names", kept)
	}
}
