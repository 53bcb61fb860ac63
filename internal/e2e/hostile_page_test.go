package e2e

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/sallyport/sallyport/internal/testenv"
	"github.com/sallyport/sallyport/web/apitype"
)

// page is what a page can do in the browser of somebody who is signed in: send requests with the cookie, and with what
// the browser adds to them about where the page is from.
type page struct {
	*plant
	cookie string
}

const cookieName = "__Host-sallyport"

func cookieOf(t *testing.T, b *testenv.Browser, address string) string {
	t.Helper()
	u, _ := url.Parse(address)
	for _, c := range b.Jar.Cookies(u) {
		if c.Name == cookieName {
			return c.Name + "=" + c.Value
		}
	}
	t.Fatalf("no cookie %s at %s", cookieName, address)
	return ""
}

// answer is what came back.
type answer struct {
	http.Header
	status int
	body   string
}

func (p *page) send(t *testing.T, method, path, body string, pairs ...string) answer {
	t.Helper()
	req, err := http.NewRequest(method, p.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Cookie", p.cookie)
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i] == "Host" {
			req.Host = pairs[i+1]
			continue
		}
		req.Header.Set(pairs[i], pairs[i+1])
	}
	c := p.Client()
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	res, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{res.Header, res.StatusCode, string(raw)}
}

// socket opens the terminal socket with the cookie and given headers; nil and a status where it was refused.
func (p *page) socket(t *testing.T, head http.Header) (*websocket.Conn, int) {
	t.Helper()
	d := websocket.Dialer{TLSClientConfig: p.Client().Transport.(*http.Transport).TLSClientConfig.Clone(), Subprotocols: []string{apitype.TerminalSubprotocol}, HandshakeTimeout: 10 * time.Second}
	c, res, err := d.Dial("wss"+strings.TrimPrefix(p.URL, "https")+apitype.TerminalPath, head)
	if err != nil {
		if res == nil {
			t.Fatal(err)
		}
		return nil, res.StatusCode
	}
	t.Cleanup(func() { c.Close() })
	return c, res.StatusCode
}

func (p *page) ours() http.Header {
	return http.Header{"Cookie": {p.cookie}, "Origin": {p.URL}}
}

const askShell = `{"device":"press-1","pty":true,"cols":80,"rows":24}`

func (p *page) ticket(t *testing.T) string {
	t.Helper()
	got := p.send(t, "POST", "/api/v1/sessions", askShell, "Sec-Fetch-Site", "same-origin", "Origin", p.URL)
	var ticket apitype.SessionTicket
	if err := json.Unmarshal([]byte(got.body), &ticket); err != nil || ticket.Ticket == "" {
		t.Fatalf("a session by our own page: %d %s", got.status, got.body)
	}
	return ticket.Ticket
}

// redeem sends a ticket and gives the gateway's first word.
func redeem(t *testing.T, c *websocket.Conn, ticket string) apitype.TerminalControl {
	t.Helper()
	c.SetReadDeadline(time.Now().Add(20 * time.Second))
	c.WriteJSON(apitype.TerminalHello{Ticket: ticket})
	for {
		kind, raw, err := c.ReadMessage()
		if err != nil {
			t.Fatalf("no answer to a ticket: %v", err)
		}
		var m apitype.TerminalControl
		if kind == websocket.TextMessage && json.Unmarshal(raw, &m) == nil && m.T != apitype.TermNotice {
			return m
		}
	}
}

func TestHostilePagesDoNothingInASignedInBrowser(t *testing.T) {
	t.Parallel()
	p := &page{plant: newPlant(t, func(*plant) {})}
	p.cookie = cookieOf(t, p.tess.Browser, p.URL)
	if got := p.send(t, "GET", "/api/v1/me", ""); got.status != 200 {
		t.Fatalf("the cookie is not signed in, so nothing here shows anything: %d %s", got.status, got.body)
	}
	t.Run("a POST from another site", p.crossSite)
	t.Run("a socket from another origin, or from none", p.foreignSocket)
	t.Run("a ticket that was used, or is somebody else's", p.tickets)
	t.Run("a name that was rebound to this address", p.rebound)
	t.Run("bodies that are not what they say", p.bodies)
	t.Run("every answer forbids what a page could do with it", p.headers)
	t.Run("a session that was planted before sign-in", p.planted)
	t.Run("a cookie after signing out", p.signedOut)
}

func (p *page) sessions(t *testing.T) int {
	t.Helper()
	var page apitype.SessionPage
	got := p.send(t, "GET", "/api/v1/sessions", "")
	if err := json.Unmarshal([]byte(got.body), &page); err != nil {
		t.Fatalf("%v: %s", err, got.body)
	}
	return page.Total
}

func (p *page) crossSite(t *testing.T) {
	before := p.sessions(t)
	foreign := [][]string{{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Sec-Fetch-Site", "cross-site", "Origin", p.URL},
		{"Origin", "https://evil.example"}, {"Origin", "null"}, {"Origin", p.URL + ".evil.example"}}
	for _, path := range []string{"/api/v1/sessions", "/api/v1/tokens", "/logout", "/idp/authorize"} {
		for _, head := range foreign {
			got := p.send(t, "POST", path, askShell, head...)
			if got.status != http.StatusForbidden {
				t.Errorf("POST %s with %v: got %d %.200s, want 403", path, head, got.status, got.body)
			}
		}
	}
	if after := p.sessions(t); after != before {
		t.Errorf("%d sessions were asked for", after-before)
	}
}

func (p *page) foreignSocket(t *testing.T) {
	for name, origin := range map[string][]string{"another site": {"https://evil.example"}, "none": nil, "null": {"null"}, "plain http": {strings.Replace(p.URL, "https", "http", 1)},
		"another port": {"https://localhost:1"}, "a longer name": {p.URL + ".evil.example"}, "capitals": {strings.ToUpper(p.URL)}, "a path": {p.URL + "/"}, "two": {p.URL, p.URL}} {
		head := http.Header{"Cookie": {p.cookie}}
		if origin != nil {
			head["Origin"] = origin
		}
		if c, status := p.socket(t, head); c != nil || status != http.StatusForbidden {
			t.Errorf("Origin %s: got %d, want 403", name, status)
		}
	}
	if c, status := p.socket(t, p.ours()); c == nil {
		t.Errorf("our own page: got %d", status)
	}
}

func (p *page) tickets(t *testing.T) {
	ticket := p.ticket(t)
	first, _ := p.socket(t, p.ours())
	if got := redeem(t, first, ticket); got.T != apitype.TermReady {
		t.Fatalf("a good ticket: got %+v", got)
	}
	second, _ := p.socket(t, p.ours())
	if got := redeem(t, second, ticket); got.T != apitype.TermError {
		t.Errorf("the same ticket again: got %+v, want an error", got)
	}
	first.Close()
	other := &page{plant: p.plant, cookie: cookieOf(t, p.again(t), p.URL)} // the same person, another browser
	theirs, _ := p.socket(t, p.ours())
	if got := redeem(t, theirs, other.ticket(t)); got.T != apitype.TermError {
		t.Errorf("another sign-in's ticket: got %+v, want an error", got)
	}
	made, _ := p.socket(t, p.ours())
	if got := redeem(t, made, strings.Repeat("A", 43)); got.T != apitype.TermError {
		t.Errorf("a ticket that nobody gave: got %+v, want an error", got)
	}
}

// again signs the technician in with another browser.
func (p *page) again(t *testing.T) *testenv.Browser {
	t.Helper()
	b := testenv.NewBrowser(t)
	b.Transport = p.Client().Transport
	b.Open(p.URL + "/login/guests")
	b.Submit("username", "tess", "password", testenv.Password)
	return b
}

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
		"4 MiB":                  {`{"device":"` + strings.Repeat("a", 4<<20) + `"}`, "application/json", 413},
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
		csp := got.Get("Content-Security-Policy")
		if !strings.Contains(csp, "default-src 'none'") || !strings.Contains(csp, "frame-ancestors 'none'") || strings.Contains(csp, "unsafe-eval") || strings.Contains(csp, "*") {
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
