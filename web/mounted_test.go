package web

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/internal/page"
)

// TestNoAnswerCarriesASecurityHeaderTwice requests everything that the site serves, including a handler of another
// process behind a reverse proxy.
func TestNoAnswerCarriesASecurityHeaderTwice(t *testing.T) {
	const own = "default-src 'none'; style-src 'self'; form-action 'self' https://app.example; " +
		"frame-ancestors 'none'; base-uri 'none'"
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		page.Guard(w.Header(), "https://app.example/callback")
		w.Header()["Set-Cookie"] = []string{"a=1", "b=2"}
		switch r.URL.Path {
		case "/idp/moved":
			w.WriteHeader(http.StatusSeeOther)
		case "/idp/hinted":
			w.Header().Set("Link", "</idp/style.css>; rel=preload")
			w.WriteHeader(http.StatusEarlyHints)
			w.Write([]byte("page"))
		default:
			w.Write([]byte("page"))
		}
	}))
	t.Cleanup(other.Close)
	to, err := url.Parse(other.URL)
	if err != nil {
		t.Fatal(err)
	}
	site, err := New(Config{
		URL: "https://gw.example",
		API: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }),
		More: map[string]http.Handler{
			"/idp/":        httputil.NewSingleHostReverseProxy(to),
			"GET /healthz": http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}),
			"GET /readyz": http.HandlerFunc(func(w http.ResponseWriter,
				_ *http.Request) {
				http.Error(w, "no", http.StatusServiceUnavailable)
			}),
		},
		Terminal: http.NotFoundHandler(),
	})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(site) // a real connection, as ResponseRecorder keeps no 1xx
	t.Cleanup(srv.Close)
	for _, path := range []string{"/", "/machines", "/nothing.js", "/api/v1/me", "/idp/authorize", "/idp/moved",
		"/idp/hinted", "/healthz", "/readyz"} {
		req, err := http.NewRequest(http.MethodGet, srv.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = "gw.example"
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		for name, values := range resp.Header {
			if len(values) != 1 && name != "Set-Cookie" {
				t.Errorf("%s: %s is sent %d times: %q", path, name, len(values), values)
			}
		}
		if resp.Header.Get("Content-Security-Policy") == "" || resp.Header.Get("Permissions-Policy") == "" {
			t.Errorf("%s: the guard's headers are missing: %v", path, resp.Header)
		}
		if theirs := path[:min(5, len(path))] == "/idp/"; theirs {
			if got := resp.Header.Get("Content-Security-Policy"); got != own+", "+mountedPolicy {
				t.Errorf("%s: got the policy %q, want the page's own and the one of mounted handlers", path, got)
			}
			if got := resp.Header["Set-Cookie"]; !slices.Equal(got, []string{"a=1", "b=2"}) {
				t.Errorf("%s: got the cookies %q", path, got)
			}
		}
	}
}

// A mounted handler may be another process that was broken into, on the site's own origin: what it sends must not let
// another site frame its forms, or lift HTTPS from the whole host.
func TestAMountedHandlerCannotWeakenTheGuard(t *testing.T) {
	var theirs http.Header
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for name, values := range theirs {
			w.Header()[name] = values
		}
	}))
	t.Cleanup(other.Close)
	to, err := url.Parse(other.URL)
	if err != nil {
		t.Fatal(err)
	}
	site, err := New(Config{URL: "https://gw.example", API: http.NotFoundHandler(), Terminal: http.NotFoundHandler(),
		More: map[string]http.Handler{"/idp/": httputil.NewSingleHostReverseProxy(to)}})
	if err != nil {
		t.Fatal(err)
	}
	get := func(path string) http.Header {
		r := httptest.NewRequest(http.MethodGet, "https://gw.example"+path, nil)
		w := httptest.NewRecorder()
		site.ServeHTTP(w, r)
		return w.Header()
	}
	guards := get("/api/v1/me")
	fixed := []string{"Strict-Transport-Security", "X-Content-Type-Options", "X-Frame-Options",
		"Cross-Origin-Opener-Policy", "Cross-Origin-Resource-Policy", "Permissions-Policy", "Referrer-Policy"}
	for _, name := range fixed {
		for _, values := range [][]string{{"max-age=0"}, {"unsafe"}, {}, {""}, {guards.Get(name), "unsafe"}} {
			theirs = http.Header{name: values}
			if got := get("/idp/authorize")[name]; !slices.Equal(got, guards[name]) {
				t.Errorf("%s %q replaces the guard's: got %q, want %q", name, values, got, guards[name])
			}
		}
	}
	for _, policy := range []string{"", "default-src *", "default-src 'none'; frame-ancestors *",
		"default-src 'none'; frame-ancestors 'none', frame-ancestors *"} {
		theirs = http.Header{"Content-Security-Policy": {policy}}
		got := strings.Join(get("/idp/authorize")["Content-Security-Policy"], ", ")
		if !strings.Contains(got, "frame-ancestors 'none'") || !strings.Contains(got, "default-src 'none'") {
			t.Errorf("the policy %q lets other sites frame the page: got %q", policy, got)
		}
	}
}
