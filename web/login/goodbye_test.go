package login

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/internal/oidcauth"
	"github.com/sallyport/sallyport/internal/testenv"
)

// stranger makes of the built-in provider one of somebody else's, which cannot be told of a sign-out directly.
type stranger struct{}

func (stranger) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil || !strings.HasSuffix(r.URL.Path, "/openid-configuration") {
		return res, err
	}
	raw, err := io.ReadAll(res.Body)
	res.Body.Close()
	raw = bytes.Replace(raw, []byte("sallyport_end_session_endpoint"), []byte("x"), 1)
	res.Body, res.ContentLength = io.NopCloser(bytes.NewReader(raw)), int64(len(raw))
	res.Header.Del("Content-Length")
	return res, err
}

// visited collects the addresses to which a browser is sent.
func visited(b *testenv.Browser) *[]*url.URL {
	var all []*url.URL
	b.CheckRedirect = func(r *http.Request, _ []*http.Request) error { all = append(all, r.URL); return nil }
	return &all
}

func TestASignOutTellsTheBuiltInProviderDirectly(t *testing.T) {
	s := newSite(t)
	b := s.signIn(s.browser())
	at := visited(b)
	if s.signOut(b); b.At.String() != s.url+"/signin" || len(*at) != 1 {
		t.Errorf("the browser was sent to %v", *at)
	}
	if b.Open(s.url + "/login/builtin"); !strings.Contains(b.Body, `name="password"`) {
		t.Errorf("the provider still knows the browser: %s", b.At)
	}
}

func TestASignOutGivesAProviderAHintAndNoToken(t *testing.T) {
	s := newSite(t, func(c *oidcauth.Config) { c.Transport = stranger{} })
	b := s.signIn(s.browser())
	who := s.who(b)
	sid := s.row(who.hash).SID
	at := visited(b)
	s.signOut(b)
	q := b.At.Query()
	if b.At.Path != "/idp/logout" || q.Get("client_id") != "sallyport" || q.Get("logout_hint") != sid ||
		q.Get("post_logout_redirect_uri") != s.url+"/signin" || q.Has("id_token_hint") {
		t.Errorf("got %s", b.At)
	}
	for _, u := range *at {
		if strings.Contains(u.String(), who.Evidence.IDToken[:40]) {
			t.Errorf("an id token is in the address %s", u)
		}
	}
	if b.Submit(); b.At.Path != "/signin" {
		t.Errorf("after the person's yes: got %s (%d)", b.At, b.Status)
	}
}

func TestAProviderThatDemandsTheIDTokenGetsItByAForm(t *testing.T) {
	s := newSite(t, func(c *oidcauth.Config) { c.Transport, c.Logout = stranger{}, oidcauth.LogoutPost })
	b := s.signIn(s.browser())
	who := s.who(b)
	at := visited(b)
	s.signOut(b)
	if b.At.Path != goodbyePath || !strings.Contains(b.Body, who.Evidence.IDToken) ||
		!strings.Contains(b.Body, `action="`+s.url+`/idp/logout"`) {
		t.Fatalf("got %s: %s", b.At, b.Body)
	}
	if csp := b.Head.Get("Content-Security-Policy"); !strings.Contains(csp, "form-action 'self' "+s.url+";") {
		t.Errorf("the page may not post there: %s", csp)
	}
	if !s.closedAtSigner(who.Evidence) {
		t.Error("the page shows a token that the signer still accepts")
	}
	if b.Submit(); b.At.String() != s.url+"/signin" {
		t.Errorf("after the form: got %s (%d) %s", b.At, b.Status, b.Body)
	}
	for _, u := range *at {
		if strings.Contains(u.String(), who.Evidence.IDToken[:40]) {
			t.Errorf("an id token is in the address %s", u)
		}
	}
	if b.Open(s.url + goodbyePath); b.At.Path != "/signin" {
		t.Errorf("the page is shown twice: %s", b.At)
	}
	if b.Open(s.url + "/login/builtin"); !strings.Contains(b.Body, `name="password"`) {
		t.Errorf("the provider still knows the browser: %s", b.At)
	}
}
