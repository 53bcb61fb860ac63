package client

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/testenv"
	"github.com/sallyport/sallyport/web/apitype"
	"github.com/sallyport/sallyport/web/terminal"
)

// page opens the terminal socket of its own origin, types, and reports the output and the protocol by which the page
// was loaded.
const page = `<!doctype html><title>x</title><script>
const proto = performance.getEntriesByType("navigation")[0].nextHopProtocol
const report = text => fetch("/report", {method: "POST", body: "page by " + proto + ", " + text})
const s = new WebSocket("wss://" + location.host + "/api/v1/terminal", "sallyport.terminal.v2")
s.binaryType = "arraybuffer"
s.onopen = () => s.send(JSON.stringify({ticket: "TICKET"}))
s.onmessage = m => {
  if (typeof m.data !== "string") report("echo of " + new TextDecoder().decode(new Uint8Array(m.data).slice(1)))
  else if (JSON.parse(m.data).t === "ready") s.send(new TextEncoder().encode("\0typed"))
}
s.onclose = e => report("closed " + e.code)
</script>`

// TestABrowsersTerminalThroughTheProxies: Chromium loads the page by HTTP/2. Its WebSocket then goes over the same
// connection (RFC 8441) where the proxy offers that, as HAProxy does, and over a second one with HTTP/1.1 elsewhere.
func TestABrowsersTerminalThroughTheProxies(t *testing.T) {
	for _, kind := range testenv.Frontends {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			tickets := terminal.NewTickets(nil)
			door := terminal.New(terminal.Config{Broker: echoes{}, Tickets: tickets,
				Who: func(r *http.Request) (terminal.Caller, error) { return terminal.Caller{Key: "k"}, nil }})
			reports := make(chan string, 8)
			mux := http.NewServeMux()
			mux.Handle(apitype.TerminalPath, door)
			mux.HandleFunc("/report", func(_ http.ResponseWriter, r *http.Request) {
				text, _ := io.ReadAll(io.LimitReader(r.Body, 1000))
				select {
				case reports <- string(text):
				default:
				}
			})
			mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
				ticket, err := tickets.Issue("k", id.Session{1}, 1) // here, as it is good for ten seconds only
				if err != nil {
					t.Error(err)
				}
				w.Header().Set("Content-Type", "text/html")
				w.Write([]byte(strings.Replace(page, "TICKET", ticket, 1)))
			})
			srv := httptest.NewServer(mux)
			t.Cleanup(func() { srv.Close(); door.Wait() })
			f := testenv.NewFrontend(t, kind, testenv.FreePort(t), srv.Listener.Addr().String())
			visit(t, strings.Replace("https://"+f.Addr+"/", "127.0.0.1", "localhost", 1))
			select {
			case got := <-reports:
				if got != "page by h2, echo of typed" {
					t.Errorf("got %q", got)
				}
			case <-time.After(time.Minute):
				t.Error("the page reported nothing")
			}
		})
	}
}

// visit opens a page in Chromium until the test ends.
func visit(t *testing.T, page string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "sallyport-chromium-")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
		"--disable-background-networking", "--disable-component-update",
		"--disable-sync", "--no-first-run", "--ignore-certificate-errors", "--remote-debugging-port=0",
		"--user-data-dir="+dir, page)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // it has children
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		cmd.Wait()
		os.RemoveAll(dir)
	})
}
