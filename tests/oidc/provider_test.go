package oidc

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/oidcauth"
	"github.com/sallyport/sallyport/internal/testenv"
)

const clientSecret = "a secret of thirty-two characters"

// person is somebody whom a foreign provider knows.
type person struct {
	Name   string   `json:"name"`
	Groups []string `json:"groups"`
}

// foreign is what the foreign provider is started with.
type foreign struct {
	Client           string            `json:"client"`
	Secret           string            `json:"secret"`
	Redirect         string            `json:"redirect"`
	AfterLogout      string            `json:"afterLogout"`
	BackChannel      string            `json:"backChannel"`
	Alg              string            `json:"alg"`
	NoRefresh        bool              `json:"noRefresh"`
	GroupsInUserInfo bool              `json:"groupsInUserInfo"`
	AsksConsent      bool              `json:"asksConsent"`
	TakesPosts       bool              `json:"takesPosts"`
	People           map[string]person `json:"people"`
}

func (f foreign) start(t *testing.T) (run *program, issuer string) {
	t.Helper()
	run = start(t, "provider.mjs", f)
	var said struct{ Issuer string }
	if !run.next(&said) || said.Issuer == "" {
		t.Fatal("the provider did not start")
	}
	return run, said.Issuer
}

// party is our relying party beside a foreign provider, without a gateway.
type party struct {
	*oidcauth.Provider
	t     *testing.T
	run   *program
	tells chan string // logout tokens
	back  string
}

func newParty(t *testing.T, f foreign, edit ...func(*oidcauth.Config)) *party {
	t.Helper()
	p := &party{t: t, tells: make(chan string, 4)}
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			p.tells <- r.PostFormValue("logout_token")
		}
	}))
	t.Cleanup(srv.Close)
	f.Client, f.Secret, f.Redirect, f.AfterLogout, f.BackChannel = "sallyport", clientSecret, srv.URL+"/callback", srv.URL+"/signin", srv.URL+"/backchannel"
	f.People = map[string]person{"tess": {"Tess T.", []string{"service", "canteen"}}}
	c := oidcauth.Config{Name: "acme", ClientID: "sallyport", ClientSecret: clientSecret, RedirectURL: f.Redirect, Groups: map[string]string{"service": "technicians"}}
	p.run, c.Issuer = f.start(t)
	for _, e := range edit {
		e(&c)
	}
	var err error
	if p.Provider, err = oidcauth.New(c); err != nil {
		t.Fatal(err)
	}
	p.back = f.AfterLogout
	return p
}

// told is the logout token that came.
func (p *party) told() string {
	p.t.Helper()
	select {
	case raw := <-p.tells:
		return raw
	case <-time.After(50 * time.Second):
		p.t.Fatal("no logout token came")
		return ""
	}
}

// signIn goes through the flow with a browser. Change, unless nil, edits the flow in between.
func (p *party) signIn(b *testenv.Browser, fresh bool, change func(*oidcauth.Flow)) (oidcauth.SignIn, error) {
	p.t.Helper()
	f, to, err := p.Start(p.t.Context(), fresh)
	if err != nil {
		return oidcauth.SignIn{}, err
	}
	if b.Open(to); b.At.Path != "/callback" {
		b.Submit("login", "tess", "password", "any")
	}
	if b.At.Path != "/callback" {
		p.t.Fatalf("not back but at %s (%d)\n%s", b.At, b.Status, b.Body)
	}
	if change != nil {
		change(&f)
	}
	return p.Finish(p.t.Context(), f, b.At.Query())
}

func TestAForeignProviderSignsPeopleIn(t *testing.T) {
	for _, alg := range []string{"RS256", "ES256"} {
		t.Run(alg, func(t *testing.T) {
			p := newParty(t, foreign{Alg: alg}, func(c *oidcauth.Config) { c.MaxAge = time.Hour })
			b := testenv.NewBrowser(t)
			in, err := p.signIn(b, false, nil)
			if err != nil {
				t.Fatal(err)
			}
			if in.Principal.Subject != "tess" || in.Name != "Tess T." || !slices.Equal(in.Groups, []string{"technicians"}) || in.SID == "" || in.RefreshToken == "" {
				t.Errorf("got %+v", in)
			}
			again, err := p.signIn(b, false, nil)
			if err != nil || !again.SignedInAt.Equal(in.SignedInAt) || again.SID != in.SID {
				t.Errorf("a second time in the same browser: got %+v, %v", again, err)
			}
			time.Sleep(time.Until(in.SignedInAt.Add(time.Second))) // auth_time counts seconds
			if fresh, err := p.signIn(b, true, nil); err != nil || !fresh.SignedInAt.After(in.SignedInAt) {
				t.Errorf("asked to sign in afresh: got %+v, %v", fresh, err)
			}
		})
	}
}

func TestAForeignProviderRefusesWhatIsNotTheFlowThatBegan(t *testing.T) {
	p := newParty(t, foreign{Alg: "ES256"})
	b := testenv.NewBrowser(t)
	for name, change := range map[string]func(*oidcauth.Flow){
		"another verifier": func(f *oidcauth.Flow) { f.Verifier = strings.Repeat("v", 43) },
		"another nonce":    func(f *oidcauth.Flow) { f.Nonce = "other" },
		"another state":    func(f *oidcauth.Flow) { f.State = "other" },
	} {
		if in, err := p.signIn(b, false, change); errkind.KindOf(err) != errkind.Signin || err == nil {
			t.Errorf("%s: got %+v, %v", name, in, err)
		}
	}
	var used oidcauth.Flow
	if _, err := p.signIn(b, false, func(f *oidcauth.Flow) { used = *f }); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Finish(t.Context(), used, b.At.Query()); !errors.Is(err, oidcauth.ErrEnded) {
		t.Errorf("the same code twice: got %v", err)
	}
}

func TestARefreshAtAForeignProviderSpeaksOfTheSamePersonAsOfNow(t *testing.T) {
	p := newParty(t, foreign{Alg: "RS256"})
	first, err := p.signIn(testenv.NewBrowser(t), false, nil)
	if err != nil {
		t.Fatal(err)
	}
	p.run.tell(map[string]person{"tess": {"Tess T.", []string{"canteen"}}})
	var taken struct{ People []string }
	p.run.next(&taken)
	second, err := p.Refresh(t.Context(), first)
	if err != nil {
		t.Fatal(err)
	}
	if second.Principal != first.Principal || second.RefreshToken == first.RefreshToken || len(second.Groups) != 0 || second.IDToken == first.IDToken {
		t.Errorf("got %+v", second)
	}
	if _, err := p.Refresh(t.Context(), first); !errors.Is(err, oidcauth.ErrEnded) {
		t.Errorf("the old refresh token again: got %v", err)
	}
	if _, err := p.Refresh(t.Context(), second); !errors.Is(err, oidcauth.ErrEnded) {
		t.Errorf("the newest after the reuse: got %v, want the provider to have ended it", err)
	}
}

func TestGroupsThatAForeignProviderKeepsForUserInfoCount(t *testing.T) {
	p := newParty(t, foreign{Alg: "RS256", GroupsInUserInfo: true})
	in, err := p.signIn(testenv.NewBrowser(t), false, nil)
	if err != nil || !slices.Equal(in.Groups, []string{"technicians"}) || in.Name != "Tess T." || in.AccessToken == "" {
		t.Fatalf("got %+v, %v", in, err)
	}
	p.run.tell(map[string]person{"tess": {"Tess T.", []string{"canteen"}}})
	var taken struct{ People []string }
	p.run.next(&taken)
	if again, err := p.Refresh(t.Context(), in); err != nil || len(again.Groups) != 0 {
		t.Errorf("refreshed: got %+v, %v", again, err)
	}
}

func TestAForeignLogoutTokenCountsOnceAndIsNoSignIn(t *testing.T) {
	p := newParty(t, foreign{Alg: "RS256"})
	b := testenv.NewBrowser(t)
	in, err := p.signIn(b, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	g := p.Goodbye(t.Context(), in.IDToken, in.SID, p.back)
	if strings.Contains(g.To, in.IDToken) || !strings.Contains(g.To, "client_id=sallyport") ||
		!strings.Contains(g.To, "logout_hint=") {
		t.Errorf("sign-out begins at %s", g.To)
	}
	if b.Open(g.To).Submit("logout", "yes"); b.At.String() != p.back {
		t.Errorf("after sign-out: got %s, want %s\n%s", b.At, p.back, b.Body)
	}
	raw := p.told()
	if _, err := p.VerifyIDToken(t.Context(), raw, ""); err == nil {
		t.Error("a logout token passes for an id token")
	}
	out, err := p.VerifyLogout(t.Context(), raw)
	if err != nil || out.Subject != "tess" || out.SID != in.SID {
		t.Errorf("got %+v, %v; want the sid %s", out, err, in.SID)
	}
	if _, err := p.VerifyLogout(t.Context(), raw); err == nil {
		t.Error("the same logout token counts twice")
	}
	if _, err := p.Refresh(t.Context(), in); !errors.Is(err, oidcauth.ErrEnded) {
		t.Errorf("refresh after sign-out: got %v", err)
	}
}

// TestAForeignProviderTakesTheIDTokenFromAForm is logout = "post_id_token".
func TestAForeignProviderTakesTheIDTokenFromAForm(t *testing.T) {
	p := newParty(t, foreign{Alg: "ES256", TakesPosts: true}, func(c *oidcauth.Config) { c.Logout = oidcauth.LogoutPost })
	b := testenv.NewBrowser(t)
	in, err := p.signIn(b, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	g := p.Goodbye(t.Context(), in.IDToken, in.SID, p.back)
	if strings.Contains(g.To, "?") || g.Fields["id_token_hint"] != in.IDToken {
		t.Fatalf("got %+v", g)
	}
	form := url.Values{}
	for name, value := range g.Fields {
		form.Set(name, value)
	}
	if b.Took(b.PostForm(g.To, form)).Submit("logout", "yes"); b.At.String() != p.back {
		t.Errorf("after sign-out: got %s, want %s\n%s", b.At, p.back, b.Body)
	}
	if out, err := p.VerifyLogout(t.Context(), p.told()); err != nil || out.SID != in.SID {
		t.Errorf("got %+v, %v; want the sid %s", out, err, in.SID)
	}
}
