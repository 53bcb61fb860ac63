package client

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/reach"
	"github.com/sallyport/sallyport/internal/testenv"
	"github.com/sallyport/sallyport/web/apitype"
	"github.com/sallyport/sallyport/web/terminal"
)

// short are the idle timeouts of the examples, reduced to seconds.
var short = map[string][]string{
	"nginx": {"proxy_read_timeout 1h", "proxy_read_timeout 3s", "proxy_send_timeout 1h", "proxy_send_timeout 3s",
		"send_timeout       1h", "send_timeout 3s"},
	"haproxy": {"timeout tunnel       1h", "timeout tunnel 3s"},
}

// behind starts a real proxy in front of a terminal that pings every so often, and gives a client that trusts it.
func behind(t *testing.T, kind string, ping time.Duration) (*Client, *terminal.Tickets) {
	t.Helper()
	tickets := terminal.NewTickets(nil)
	door := terminal.New(terminal.Config{Broker: echoes{}, Tickets: tickets, PingEvery: ping,
		Who: func(r *http.Request) (terminal.Caller, error) {
			return terminal.Caller{Key: r.Header.Get("Authorization")}, nil
		}})
	mux := http.NewServeMux()
	mux.Handle(apitype.TerminalPath, door)
	srv := httptest.NewServer(mux)
	t.Cleanup(func() { srv.Close(); door.Wait() })
	f := testenv.NewFrontend(t, kind, testenv.FreePort(t), srv.Listener.Addr().String(), short[kind]...)
	_, port, _ := strings.Cut(f.Addr, ":")
	c, err := New(Options{Gateway: "https://localhost:" + port, Bearer: "b", CAFile: f.CA})
	if err != nil {
		t.Fatal(err)
	}
	return c, tickets
}

// TestKeepalivesOutlastTheTimeoutOfAProxy leaves a terminal idle for more than twice the proxy's timeout. Without
// keepalives the same proxy cuts it, so the timeout is really in force.
func TestKeepalivesOutlastTheTimeoutOfAProxy(t *testing.T) {
	for _, kind := range testenv.Frontends {
		for name, c := range map[string]struct {
			ping  time.Duration
			lives bool
		}{"with keepalives": {300 * time.Millisecond, true}, "without": {time.Hour, false}} {
			t.Run(kind+" "+name, func(t *testing.T) {
				t.Parallel()
				cl, tickets := behind(t, kind, c.ping)
				// A first request over HTTP/2 must not change how the terminal connects.
				cl.Get(t.Context(), "/over/http/2", nil, nil)
				ticket, err := tickets.Issue("Bearer b", id.Session{1}, 1)
				if err != nil {
					t.Fatal(err)
				}
				term, err := cl.Terminal(t.Context(), apitype.SessionTicket{Ticket: ticket})
				if err != nil {
					t.Fatal(err)
				}
				go func() {
					time.Sleep(7 * time.Second)
					term.Write([]byte("still here"))
					term.CloseInput()
				}()
				var out bytes.Buffer
				end, err := term.Run(&out, io.Discard, func(string, string) {})
				if lived := err == nil && end.Status != nil && out.String() == "still here"; lived != c.lives {
					t.Errorf("got %q, %+v, %v; want that it lives: %v", out.String(), end, err, c.lives)
				}
				if cause, ok := reach.Of(err); err != nil && (!ok || cause != reach.Lost) {
					t.Errorf("got %v, want a lost connection", err)
				}
			})
		}
	}
}

// TestOtherServersNeverWriteToTheTerminal: a person reads only this program's text, whatever server answers. The test
// sends each server a request and opens the terminal's WebSocket.
func TestOtherServersNeverWriteToTheTerminal(t *testing.T) {
	const noise = "\x1b]0;gotcha\x07\x1b[2J\x00\x9b<h1>Sign in</h1>"
	serve := func(h http.HandlerFunc) string {
		srv := httptest.NewServer(h)
		t.Cleanup(srv.Close)
		return srv.URL
	}
	page := func(status int, header ...string) string {
		return serve(func(w http.ResponseWriter, _ *http.Request) {
			for i := 0; i+1 < len(header); i += 2 {
				w.Header().Set(header[i], header[i+1])
			}
			w.WriteHeader(status)
			io.WriteString(w, noise)
		})
	}
	raw := func(answer string) string {
		return serve(func(w http.ResponseWriter, _ *http.Request) {
			c, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				return
			}
			io.WriteString(c, answer)
			c.Close()
		})
	}
	for name, at := range map[string]string{
		"502":                  page(502, "Content-Type", "text/html"),
		"sign-in page":         page(200, "Content-Type", "text/html"),
		"407":                  page(407, "Proxy-Authenticate", "Basic"),
		"redirect":             page(302, "Location", "https://portal.example/"),
		"binary":               raw(noise + "\n\n"),
		"binary in the reason": raw("HTTP/1.1 403 " + noise + "\r\n\r\n"),
		"HTTP/2 SETTINGS":      raw("\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x80\n\n"),
		"nothing":              raw(""),
		"a WebSocket of its own": raw("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n" +
			"Connection: Upgrade\r\n\r\n" + noise),
		"a problem that is noise": page(403, "Content-Type", "application/problem+json"),
	} {
		t.Run(name, func(t *testing.T) {
			c, err := New(Options{Gateway: at, Bearer: "b"})
			if err != nil {
				t.Fatal(err)
			}
			_, overSocket := c.Terminal(t.Context(), apitype.SessionTicket{Ticket: "t"})
			for _, err := range []error{c.Get(t.Context(), "/api/v1/me", nil, &struct{}{}), overSocket} {
				text, hint, reference := errkind.ForPeople(err)
				if err == nil || reference != "" || hint == "" || strings.Contains(text+hint, "gotcha") ||
					strings.Contains(text+hint, "Sign in<") ||
					strings.IndexFunc(text+hint, func(r rune) bool { return !unicode.IsPrint(r) }) >= 0 {
					t.Errorf("got %q with the hint %q", text, hint)
				}
			}
		})
	}
}
