package e2e

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
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
	waiting := p.handshakes(t)
	t.Run("a POST from another site", p.crossSite)
	t.Run("a socket from another origin, or from none", p.foreignSocket)
	t.Run("a ticket that was used, or is somebody else's", p.tickets)
	t.Run("a name that was rebound to this address", p.rebound)
	t.Run("bodies that are not what they say", p.bodies)
	t.Run("every answer forbids what a page could do with it", p.headers)
	t.Run("a session that was planted before sign-in", p.planted)
	t.Run("a cookie after signing out", p.signedOut)
	t.Run("a TLS handshake that does not end is ended", func(t *testing.T) { closedByThem(t, waiting) })
}

// handshakes begins TLS handshakes and does not go on.
func (p *page) handshakes(t *testing.T) (all []net.Conn) {
	t.Helper()
	for _, first := range []string{"", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "\x16\x03\x01\xff\xff", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "\x80\x2e\x01\x00\x02", "\x00\x00\x00\x00\x00\x00\x00\x00"} {
		for range 20 {
			c, err := net.Dial("tcp", p.Listen)
			if err != nil {
				t.Fatal(err)
			}
			c.SetDeadline(time.Now().Add(100 * time.Second)) // ten times what a handshake may take
			io.WriteString(c, first)
			all = append(all, c)
		}
	}
	return all
}

func closedByThem(t *testing.T, all []net.Conn) {
	for _, c := range all {
		if _, err := io.Copy(io.Discard, c); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error("it is open")
		}
		c.Close()
	}
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
