package e2e

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode"

	"github.com/sallyport/sallyport/internal/testenv"
)

// TestBehindTheProxiesOfTheExamples runs each example of examples/proxies as shipped in front of a real gateway, with a
// person and a device that come through it. Both proxies offer HTTP/2.
func TestBehindTheProxiesOfTheExamples(t *testing.T) {
	t.Parallel()
	behindEachFrontend(t, func(t *testing.T, p *plant) {
		t.Run("it speaks HTTP/2", p.speaksHTTP2)
		t.Run("a session", p.works)
		t.Run("30 MB each way", p.thirtyMegabytes)
		t.Run("the tunnel is unterminated", func(t *testing.T) { p.tunnel(t, "unterminated") })
		t.Run("the log has the client's address, not one that it claims", p.forgedAddress)
		t.Run("both doctors open a WebSocket", p.bothDoctors)
		t.Run("a gateway that is killed is named, and comes back", p.killedBehind)
	})
}

// behindEachFrontend runs check once for each example of examples/proxies, with a gateway and a device of its own.
func behindEachFrontend(t *testing.T, check func(*testing.T, *plant)) {
	for _, kind := range testenv.Frontends {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			check(t, newPlant(t, func(p *plant) { p.BehindFrontend(kind) }))
		})
	}
}

func (p *plant) speaksHTTP2(t *testing.T) {
	pool := x509.NewCertPool()
	raw, _ := os.ReadFile(p.CA())
	pool.AppendCertsFromPEM(raw)
	c := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true,
		DisableKeepAlives: true}}
	resp, err := c.Get(p.URL + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.ProtoMajor != 2 || resp.StatusCode != http.StatusOK {
		t.Errorf("got %s with status %d, want HTTP/2.0 and 200", resp.Proto, resp.StatusCode)
	}
}

// thirtyMegabytes goes to the device and comes back, through the person's terminal socket and the device's session
// line.
func (p *plant) thirtyMegabytes(t *testing.T) {
	sent := make([]byte, 30_000_000)
	rand.NewChaCha8([32]byte{8}).Read(sent)
	cmd := p.tess.Command(t.Context(), "shell", "press-1", "--", "cat")
	cmd.Stdin = bytes.NewReader(sent)
	began := time.Now()
	got := testenv.Finish(t, cmd)
	if got.Status != 0 || got.Out != string(sent) {
		t.Fatalf("got status %d and %d bytes, equal %v, want 0 and %d\n%s", got.Status, len(got.Out),
			got.Out == string(sent), len(sent), got.Err)
	}
	t.Logf("30 MB each way took %s", time.Since(began).Round(10*time.Millisecond))
}

// forging adds a header that a proxy must not pass on.
type forging struct{ http.RoundTripper }

func (f forging) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("X-Forwarded-For", "203.0.113.9")
	return f.RoundTripper.RoundTrip(r)
}

func (p *plant) forgedAddress(t *testing.T) {
	p.AddUser("olga", "compliance")
	who := testenv.NewPerson(t, p.URL)
	tr := p.Client().Transport.(*http.Transport)
	tr.DialContext = (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 3)}}).DialContext
	who.Browser.Client.Transport = forging{tr}
	if got := who.Login(func(b *testenv.Browser) { b.Submit("username", "olga", "password", testenv.Password) },
		"allow", "--provider", "guests", "--ca", p.CA()); got.Status != 0 {
		t.Fatalf("%+v", got)
	}
	var events []struct{ Type, Address string }
	if err := json.Unmarshal([]byte(p.admin.Must("audit", "tail", "--json")), &events); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, e := range events {
		seen[e.Address] = true
	}
	if !seen["127.0.0.3"] || seen["203.0.113.9"] {
		t.Errorf("got %v, want 127.0.0.3 and not 203.0.113.9", seen)
	}
}

func (p *plant) bothDoctors(t *testing.T) {
	read(t, p.tess.Run("doctor", "--json")).want(t, "terminal", "ok", "WebSockets reach the gateway")
	var all []struct {
		What string
		OK   bool
		Text string
	}
	out := testenv.Finish(t, p.Agent("press-1", "doctor", "--json")).Out
	if err := json.Unmarshal([]byte(out), &all); err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		if f.What == "reach "+strings.TrimPrefix(p.URL, "https://") && f.OK {
			return
		}
	}
	t.Errorf("got %s, want that the gateway is reached", out)
}

// killedBehind kills the gateway under a session. The proxy then answers 502 or 503 with a page of its own.
func (p *plant) killedBehind(t *testing.T) {
	s := p.shell(t, "echo begun; sleep 100")
	s.out.wait(t, "begun")
	p.gateway.End(syscall.SIGKILL)
	status := s.end(t)
	said := s.errs.text()
	if status != 255 || !strings.Contains(said, "has stopped or is restarting, which ended the session") ||
		!strings.Contains(said, "Try again in a minute") {
		t.Errorf("got status %d and %q", status, said)
	}
	down := p.tess.Run("whoami")
	if down.Status != 1 || !strings.Contains(down.Err, "has no gateway behind it at present (50") {
		t.Errorf("got %+v", down)
	}
	read(t, p.tess.Run("doctor", "--json")).want(t, "gateway", "look", "has no gateway behind it at present")
	agent := testenv.Finish(t, p.Agent("press-1", "doctor"))
	if !strings.Contains(agent.Out, "has no gateway behind it at present (50") {
		t.Errorf("got %+v", agent)
	}
	for _, text := range []string{said, down.Err, agent.Out} {
		if at := strings.IndexFunc(text, func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }); at >= 0 {
			t.Errorf("%q has a character that is not printable at %d", text, at)
		}
	}
	p.gateway = p.Serve()
	p.WaitOnline(p.admin, p.agent, "press-1")
	p.works(t)
}
