package e2e

import (
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/internal/testenv"
	"github.com/sallyport/sallyport/web/apitype"
)

func (p *page) rebound(t *testing.T) {
	port := p.URL[strings.LastIndexByte(p.URL, ':'):]
	for _, host := range []string{"evil.example", "evil.example" + port, "localhost.evil.example" + port, "127.0.0.2" + port, "localhost", "localhost:1", "[::1]" + port} {
		for _, path := range []string{"/", "/api/v1/me", "/api/v1/signin", "/login/guests", "/idp/.well-known/openid-configuration"} {
			if got := p.send(t, "GET", path, "", "Host", host); got.status != http.StatusMisdirectedRequest || strings.Contains(got.body, "evil") {
				t.Errorf("GET %s by the name %s: got %d %.100s, want 421", path, host, got.status, got.body)
			}
		}
		if c, status := p.socket(t, http.Header{"Cookie": {p.cookie}, "Host": {host}, "Origin": {"https://" + host}}); c != nil || status != http.StatusMisdirectedRequest {
			t.Errorf("a socket by the name %s: got %d, want 421", host, status)
		}
	}
}

func (p *page) bodies(t *testing.T) {
	before := p.sessions(t)
	for name, c := range map[string]struct {
		body, kind string
		want       int
	}{
		"66 KiB":                 {`{"device":"` + strings.Repeat("a", 66<<10) + `"}`, "application/json", 413},
		"a deep nest":            {`{"device":` + strings.Repeat("[", 30_000), "application/json", 400},
		"a name twice":           {`{"device":"press-2","device":"press-1"}`, "application/json", 400},
		"a name in another case": {`{"device":"press-2","DEVICE":"press-1"}`, "application/json", 400},
		"a name nobody knows":    {`{"device":"press-1","admin":true}`, "application/json", 400},
		"two documents":          {`{"device":"press-1"}{"device":"press-2"}`, "application/json", 400},
		"no document":            {``, "application/json", 400},
		"no object":              {`["press-1"]`, "application/json", 400},
		"not UTF-8":              {"{\"device\":\"\xff\"}", "application/json", 400},
		"a form":                 {`device=press-1`, "application/x-www-form-urlencoded", 415},
		"a form's plain text":    {askShell, "text/plain", 415},
		"a file":                 {askShell, "multipart/form-data; boundary=x", 415},
	} {
		got := p.send(t, "POST", "/api/v1/sessions", c.body, "Content-Type", c.kind, "Sec-Fetch-Site", "same-origin")
		if got.status != c.want || !strings.HasPrefix(got.Get("Content-Type"), "application/problem+json") {
			t.Errorf("%s: got %d %s %.200s, want %d and a problem document", name, got.status, got.Get("Content-Type"), got.body, c.want)
		}
	}
	if after := p.sessions(t); after != before {
		t.Errorf("%d sessions were asked for", after-before)
	}
}

func (p *page) headers(t *testing.T) {
	for _, path := range []string{"/", "/machines", "/nowhere/at/all", "/favicon.svg", "/api/v1/me", "/api/v1/nothing", "/api/openapi.yaml", "/login/guests", "/idp/.well-known/openid-configuration", "/healthz", "/readyz"} {
		got := p.send(t, "GET", path, "")
		csp := strings.Join(got.Values("Content-Security-Policy"), ", ") // one: a browser enforces all that it gets
		if !strings.Contains(csp, "default-src 'none'") || !strings.Contains(csp, "frame-ancestors 'none'") ||
			strings.Contains(csp, "unsafe-eval") || strings.ContainsAny(csp, "*,") {
			t.Errorf("%s (%d): Content-Security-Policy is %q", path, got.status, csp)
		}
		for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Strict-Transport-Security": "max-age=31536000", "Referrer-Policy": "no-referrer",
			"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin"} {
			if v := got.Get(name); v != want {
				t.Errorf("%s (%d): %s is %q, want %q", path, got.status, name, v, want)
			}
		}
		if v := got.Get("Access-Control-Allow-Origin"); v != "" {
			t.Errorf("%s: other sites may read it: %q", path, v)
		}
	}
}

func (p *page) planted(t *testing.T) {
	b := testenv.NewBrowser(t)
	b.Transport = p.Client().Transport
	b.Jar, _ = cookiejar.New(nil)
	u, _ := url.Parse(p.URL)
	fixed := strings.Repeat("p", 43)
	b.Jar.SetCookies(u, []*http.Cookie{{Name: cookieName, Value: fixed, Path: "/", Secure: true}})
	b.Open(p.URL + "/login/guests")
	b.Submit("username", "tess", "password", testenv.Password)
	if got := cookieOf(t, b, p.URL); got == cookieName+"="+fixed {
		t.Error("the planted value is the cookie of the sign-in")
	}
	thief := &page{plant: p.plant, cookie: cookieName + "=" + fixed}
	if got := thief.send(t, "GET", "/api/v1/me", ""); got.status != http.StatusUnauthorized {
		t.Errorf("whoever planted it: got %d, want 401", got.status)
	}
}

func (p *page) signedOut(t *testing.T) {
	gone := &page{plant: p.plant, cookie: cookieOf(t, p.again(t), p.URL)}
	ticket := gone.ticket(t)
	if got := gone.send(t, "POST", "/logout", "", "Sec-Fetch-Site", "same-origin", "Content-Type", "application/x-www-form-urlencoded"); got.status >= 400 {
		t.Fatalf("sign-out: %d %s", got.status, got.body)
	}
	if got := gone.send(t, "GET", "/api/v1/me", ""); got.status != http.StatusUnauthorized {
		t.Errorf("the cookie after sign-out: got %d, want 401", got.status)
	}
	if c, status := gone.socket(t, gone.ours()); c != nil || status != http.StatusUnauthorized {
		t.Errorf("a socket after sign-out: got %d, want 401", status)
	}
	c, _ := p.socket(t, p.ours())
	if got := redeem(t, c, ticket); got.T != apitype.TermError {
		t.Errorf("a ticket of a sign-in that has ended: got %+v, want an error", got)
	}
	if got := p.send(t, "GET", "/api/v1/me", ""); got.status != http.StatusOK {
		t.Errorf("the other browser's sign-in: got %d, want it untouched", got.status)
	}
}
