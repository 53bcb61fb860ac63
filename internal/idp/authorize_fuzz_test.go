package idp

import (
	"net/url"
	"strings"
	"testing"
)

// A request that is taken, and a refusal that is sent back, go to a registered address only.
func FuzzAuthorize(f *testing.F) {
	p := &Provider{cfg: Config{Clients: []Client{{ID: "c", Redirects: []string{"https://gw.example/callback/x", "http://127.0.0.1/cli"}}}}}
	good := url.Values{"client_id": {"c"}, "redirect_uri": {"https://gw.example/callback/x"}, "response_type": {"code"}, "scope": {"openid"},
		"code_challenge": {strings.Repeat("a", 43)}, "code_challenge_method": {"S256"}, "state": {"s"}}
	f.Add(good.Encode())
	good.Set("redirect_uri", "http://127.0.0.1:8080/cli")
	f.Add(good.Encode())
	good.Set("redirect_uri", "http://127.0.0.1:80@evil.example/cli")
	f.Add(good.Encode())
	f.Fuzz(func(t *testing.T, query string) {
		q, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		r, err := p.readRequest(q)
		if _, back := err.(*refusal); err != nil && !back {
			return
		}
		u, err := url.Parse(r.redirect)
		if err != nil || u.Host != "gw.example" && u.Hostname() != "127.0.0.1" {
			t.Errorf("would answer to %q", r.redirect)
		}
	})
}
