package web

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/sallyport/sallyport/web/apitype"
)

// newTestSite is a site at https://gw.example with a built app; did says which requests reached the API.
func newTestSite(t *testing.T, url string) (http.Handler, *[]string) {
	t.Helper()
	var did []string
	api := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { did = append(did, r.Method+" "+r.URL.Path) })
	h, err := New(Config{URL: url, Hosts: []string{"also.example:8443"}, API: api, Terminal: api, Addr: func(r *http.Request) netip.Addr { return netip.MustParseAddrPort(r.RemoteAddr).Addr() }})
	if err != nil {
		t.Fatal(err)
	}
	return h, &did
}

func get(h http.Handler, change func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", "/api/v1/me", nil)
	r.Host = "gw.example"
	if change != nil {
		change(r)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestOnlyOurOwnNamesAreAnswered(t *testing.T) {
	for url, hosts := range map[string]map[string]int{
		"https://gw.example": {"gw.example": 200, "GW.example": 200, "gw.example:443": 200, "also.example:8443": 200, "also.example": 421, "gw.example:80": 421,
			"evil.example": 421, "gw.example.evil.example": 421, "": 400, "127.0.0.1": 421, "localhost": 421},
		"http://localhost:8080": {"localhost:8080": 200, "localhost": 421, "127.0.0.1:8080": 421, "rebound.evil.example:8080": 421, "[::1]:8080": 421},
	} {
		h, did := newTestSite(t, url)
		reached := 0
		for host, want := range hosts {
			if got := get(h, func(r *http.Request) { r.Host = host }).Code; got != want {
				t.Errorf("%s asked as %q: got %d, want %d", url, host, got, want)
			}
			if want == 200 {
				reached++
			}
		}
		if len(*did) != reached {
			t.Errorf("%s: %d requests reached the API, want %d", url, len(*did), reached)
		}
	}
}

func TestAPageOfAnotherSiteChangesNothing(t *testing.T) {
	h, did := newTestSite(t, "https://gw.example")
	for name, head := range map[string]map[string]string{
		"cross-site by fetch metadata": {"Sec-Fetch-Site": "cross-site"},
		"same-site is not same-origin": {"Sec-Fetch-Site": "same-site"},
		"an old browser's Origin":      {"Origin": "https://evil.example"},
		"no origin at all":             {"Origin": "null"},
	} {
		for _, method := range []string{"POST", "DELETE", "PUT", "PATCH"} {
			got := get(h, func(r *http.Request) {
				r.Method = method
				for k, v := range head {
					r.Header.Set(k, v)
				}
			})
			if got.Code != http.StatusForbidden || got.Header().Get("Content-Type") != "application/problem+json" {
				t.Errorf("%s, %s: got %d %s, want 403 as a problem", name, method, got.Code, got.Body)
			}
		}
	}
	if len(*did) != 0 {
		t.Errorf("the API was reached by %q", *did)
	}
	for name, head := range map[string]string{"our own page": "same-origin", "a program": ""} {
		got := get(h, func(r *http.Request) {
			r.Method = "POST"
			if head != "" {
				r.Header.Set("Sec-Fetch-Site", head)
			}
		})
		if got.Code != 200 {
			t.Errorf("%s: got %d, want 200", name, got.Code)
		}
	}
}

func TestEveryAnswerIsGuarded(t *testing.T) {
	for url, hsts := range map[string]bool{"https://gw.example": true, "http://gw.example": false} {
		h, _ := newTestSite(t, url)
		for name, change := range map[string]func(*http.Request){
			"API": nil, "page": func(r *http.Request) { r.URL.Path = "/" }, "missing file": func(r *http.Request) { r.URL.Path = "/nothing.js" },
			"foreign name": func(r *http.Request) { r.Host = "evil.example" }, "cross-site": func(r *http.Request) { r.Method = "POST"; r.Header.Set("Sec-Fetch-Site", "cross-site") },
		} {
			head := get(h, change).Header()
			csp := head.Get("Content-Security-Policy")
			if !strings.HasPrefix(csp, "default-src 'none'") || !strings.Contains(csp, "frame-ancestors 'none'") || !strings.Contains(csp, "base-uri 'none'") {
				t.Errorf("%s: got the policy %q", name, csp)
			}
			for k, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY", "Cross-Origin-Opener-Policy": "same-origin"} {
				if got := head.Get(k); got != want {
					t.Errorf("%s: got %s %q, want %q", name, k, got, want)
				}
			}
			if got := head.Get("Strict-Transport-Security") != ""; got != hsts {
				t.Errorf("%s at %s: got HSTS %v, want %v", name, url, got, hsts)
			}
			if head.Get("Permissions-Policy") == "" {
				t.Errorf("%s: no Permissions-Policy", name)
			}
		}
	}
}

func TestOneAddressCannotAskForEver(t *testing.T) {
	h, _ := newTestSite(t, "https://gw.example")
	from := func(addr string) func(*http.Request) { return func(r *http.Request) { r.RemoteAddr = addr } }
	limited := false
	for range 1000 {
		if w := get(h, from("192.0.2.1:1")); w.Code == http.StatusTooManyRequests {
			limited = w.Header().Get("Retry-After") != ""
			break
		}
	}
	if !limited {
		t.Error("1000 requests at once from one address went through, want 429 with Retry-After")
	}
	if got := get(h, from("192.0.2.2:1")).Code; got != 200 {
		t.Errorf("another address meanwhile: got %d, want 200", got)
	}
}

func built(t *testing.T) files {
	t.Helper()
	f, err := loadFiles(fstest.MapFS{
		"dist/index.html": {Data: []byte("app")}, "dist/live.html": {Data: []byte("live")}, "dist/replay.html": {Data: []byte("replay")},
		"dist/assets/a-1f.js": {Data: []byte("script")}, "dist/assets/a-1f.js.gz": {Data: []byte("zipped")}, "dist/icon.svg": {Data: []byte("<svg/>")}, "dist/.gitignore": {Data: []byte("*")},
	})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func fetch(f files, method, path string, head ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, nil)
	for i := 0; i < len(head); i += 2 {
		r.Header.Set(head[i], head[i+1])
	}
	w := httptest.NewRecorder()
	f.ServeHTTP(w, r)
	return w
}

func TestEachPageHasItsDocumentAndEachDocumentItsPolicy(t *testing.T) {
	f := built(t)
	const inline, wasm = "style-src 'self' 'unsafe-inline'", "script-src 'self' 'wasm-unsafe-eval'"
	for path, want := range map[string]struct {
		body         string
		inline, wasm bool
	}{
		"/": {"app", false, false}, "/sessions": {"app", false, false}, "/machines/press-1": {"app", false, false}, "/signin": {"app", false, false},
		"/live": {"app", false, false}, "/live/new": {"live", true, false}, "/live/abc": {"live", true, false},
		"/sessions/abc": {"replay", false, true}, "/sessions/../live/x": {"live", true, false},
	} {
		got := fetch(f, "GET", path)
		csp := got.Header().Get("Content-Security-Policy")
		if got.Body.String() != want.body || strings.Contains(csp, inline) != want.inline || strings.Contains(csp, wasm) != want.wasm {
			t.Errorf("%s: got %q with %q, want %q, inline styles %v, WebAssembly %v", path, got.Body, csp, want.body, want.inline, want.wasm)
		}
		if strings.Contains(csp, "script-src 'self' 'unsafe") || strings.Contains(csp, "'unsafe-eval'") || strings.Contains(csp, "data:") || strings.Contains(csp, "*") {
			t.Errorf("%s: the policy allows too much: %q", path, csp)
		}
		if got.Header().Get("Cache-Control") != "no-cache" {
			t.Errorf("%s: got %q, want no-cache", path, got.Header().Get("Cache-Control"))
		}
	}
}

func TestFilesThatCarryTheirHashStayForEver(t *testing.T) {
	f := built(t)
	asset := fetch(f, "GET", "/assets/a-1f.js")
	if got := asset.Header().Get("Cache-Control"); !strings.Contains(got, "immutable") || asset.Body.String() != "script" || asset.Header().Get("Content-Type") != "text/javascript; charset=utf-8" {
		t.Errorf("got %q %q %v", got, asset.Body, asset.Header())
	}
	if zipped := fetch(f, "GET", "/assets/a-1f.js", "Accept-Encoding", "br, gzip;q=0.8"); zipped.Body.String() != "zipped" || zipped.Header().Get("Content-Encoding") != "gzip" {
		t.Errorf("for who takes gzip: got %q", zipped.Body)
	}
	if plain := fetch(f, "GET", "/assets/a-1f.js", "Accept-Encoding", "gzip;q=0"); plain.Body.String() != "script" {
		t.Errorf("for who refuses gzip: got %q", plain.Body)
	}
	if again := fetch(f, "GET", "/assets/a-1f.js", "If-None-Match", asset.Header().Get("ETag")); again.Code != http.StatusNotModified {
		t.Errorf("asked again: got %d, want 304", again.Code)
	}
	for path, want := range map[string]int{"/assets/gone.js": 404, "/.gitignore": 404, "/index.html": 404, "/live.html": 404, "/assets/a-1f.js.gz": 404, "/icon.svg": 200} {
		if got := fetch(f, "GET", path).Code; got != want {
			t.Errorf("%s: got %d, want %d", path, got, want)
		}
	}
	if got := fetch(f, "POST", "/").Code; got != http.StatusMethodNotAllowed {
		t.Errorf("POST to a page: got %d, want 405", got)
	}
}

func TestAnAddressThatIsNoPageSaysSoToProgramsToo(t *testing.T) {
	f := built(t)
	for _, path := range []string{"/nope", "/metrics", "/machines/a/b", "/signin/x", "/live", "/sessions2"} {
		got := fetch(f, "GET", path, "If-None-Match", fetch(f, "GET", "/").Header().Get("ETag"))
		if got.Code != http.StatusNotFound || got.Body.String() != "app" {
			t.Errorf("%s: got %d %q, want the app with 404", path, got.Code, got.Body)
		}
	}
	router, err := os.ReadFile("ui/src/app/router.ts")
	if err != nil {
		t.Fatal(err)
	}
	pages := regexp.MustCompile(`path === '([^']+)'`).FindAllStringSubmatch(string(router), -1)
	if len(pages) < 3 {
		t.Fatalf("the router's pages were not found: %q", pages)
	}
	for _, p := range append(pages, []string{"", "/machines/press-1"}, []string{"", "/requests/last"}, []string{"", "/proposals/last"}, []string{"", "/signin"}) {
		if got := fetch(f, "GET", p[1]); got.Code != http.StatusOK {
			t.Errorf("%s: got %d, though the app has it", p[1], got.Code)
		}
	}
}

func TestWhatIsNoPageIsRefusedAsAProblem(t *testing.T) {
	f := built(t)
	for _, c := range []struct {
		method, path string
		want         int
		reason       string
	}{{"POST", "/", 405, "usage"}, {"DELETE", "/machines", 405, "usage"}, {"GET", "/assets/nowhere.js", 404, "not-found"}, {"GET", "/index.html", 404, "not-found"}} {
		got := fetch(f, c.method, c.path)
		var p apitype.Problem
		if err := json.Unmarshal(got.Body.Bytes(), &p); err != nil || got.Code != c.want || p.Status != c.want || p.Reason != c.reason || p.Detail == "" || p.Hint == "" || got.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s %s: got %d %s %q, want a problem document", c.method, c.path, got.Code, got.Header().Get("Content-Type"), got.Body)
		}
	}
}

func TestAnAppThatIsNotBuiltSaysWhatToDo(t *testing.T) {
	f, err := loadFiles(fstest.MapFS{"dist/placeholder.txt": {Data: []byte("x")}})
	if err != nil {
		t.Fatal(err)
	}
	if got := fetch(f, "GET", "/"); !strings.Contains(got.Body.String(), "make web") {
		t.Errorf("got %d %q, want what to do", got.Code, got.Body)
	}
}
