package node

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	mrand "math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"filippo.io/age"
	"golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/internal/config"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/internal/store/sqlite"
	"github.com/sallyport/sallyport/internal/testenv"
	"github.com/sallyport/sallyport/internal/wire"
)

// served is a whole gateway in this process, with TLS, on loopback. Its callers have addresses of their own.
type served struct {
	t       *testing.T
	c       *config.Config
	host    string
	metrics string
	roots   *x509.CertPool
	noise   wire.Hash
}

const servedConfig = `
[site]
url = "https://%[1]s"
data_dir = "%[2]s/data"
drain_at_most = "0s"
[listen]
https = "127.0.0.1:%[3]s"
metrics = "%[4]s"
[tls]
mode = "self"
[[identity]]
name = "own"
builtin = true
groups = { administrators = "administrators", technicians = "technicians", owners = "owners" }
[policy]
files = ["%[2]s/policy.toml"]
[recording]
readers_files = ["%[2]s/reader.pub"]
unsealers_files = ["%[2]s/reader.pub"]
journal = "1MiB"
ballast = "1MiB"
low_water = "1MiB"
`

const servedPolicy = `
format = 1
name = "test"
contact = "the test"
groups = ["administrators", "technicians", "owners"]
[duties]
administer = ["administrators"]
own = ["owners"]
[role.maintain]
why = "Repair."
shell = { as = ["svc"] }
[[allow]]
id = "A1"
why = "Technicians repair."
who = ["technicians"]
role = "maintain"
devices = "all"
hours = "always"
`

// bound is how long a test waits for what must come.
const bound = time.Minute

func within(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for until := time.Now().Add(bound); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("not within %s: %s", bound, what)
		}
	}
}

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func serve(t *testing.T) *served {
	t.Helper()
	dir := t.TempDir()
	_, port, _ := net.SplitHostPort(testenv.FreePort(t))
	s := &served{t: t, host: "localhost:" + port, metrics: testenv.FreePort(t), roots: x509.NewCertPool()}
	if err := os.Mkdir(filepath.Join(dir, "data"), 0o700); err != nil {
		t.Fatal(err)
	}
	reader := must(age.GenerateX25519Identity())(t)
	for name, text := range map[string]string{"policy.toml": servedPolicy, "reader.pub": reader.Recipient().String()} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	text := fmt.Sprintf(servedConfig, s.host, dir, port, s.metrics)
	s.c = must(config.Parse("gateway.toml", []byte(text)))(t)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- Serve(ctx, s.c, slog.New(slog.DiscardHandler), func(string) {}) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	within(t, "the gateway is ready", func() bool {
		resp, err := http.Get("http://" + s.metrics + "/readyz")
		if err == nil {
			resp.Body.Close()
		}
		return err == nil && resp.StatusCode == http.StatusOK
	})
	s.roots.AppendCertsFromPEM(must(os.ReadFile(filepath.Join(dir, "data", "tls", "ca.pem")))(t))
	key := must(os.ReadFile(filepath.Join(dir, "data", "keys", "noise.key")))(t)
	hex.Decode(s.noise[:], key[2*len(s.noise):])
	return s
}

// from dials the gateway from an address of loopback.
func (s *served) from(addr string) func(ctx context.Context, network, _ string) (net.Conn, error) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(addr)}}
	return func(ctx context.Context, network, _ string) (net.Conn, error) {
		return d.DialContext(ctx, network, s.c.Listen.HTTPS)
	}
}

func (s *served) tls() *tls.Config { return &tls.Config{RootCAs: s.roots, ServerName: "localhost"} }

// metric gives a value of /metrics, 0 if it is not there.
func (s *served) metric(name string) int {
	s.t.Helper()
	resp := must(http.Get("http://" + s.metrics + "/metrics"))(s.t)
	defer resp.Body.Close()
	text := must(io.ReadAll(resp.Body))(s.t)
	m := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(name) + ` (\d+)$`).FindSubmatch(text)
	if m == nil {
		return 0
	}
	return must(strconv.Atoi(string(m[1])))(s.t)
}

// agent is the keys of an enrolled device, and its control line.
type agent struct {
	name  string
	fp    wire.Hash
	host  ssh.Signer
	noise wire.NoiseKey
	ws    *wire.WS
	line  *wire.Line
}

// enrol writes devices into the gateway's database as enrolment leaves them.
func (s *served) enrol(count int) (all []*agent) {
	s.t.Helper()
	db := must(sqlite.Open(s.t.Context(), filepath.Join(s.c.Site.DataDir, "gateway.db"), sqlite.Options{}))(s.t)
	defer db.Close()
	for i := range count {
		_, private, _ := ed25519.GenerateKey(rand.Reader)
		host := must(ssh.NewSignerFromSigner(private))(s.t)
		key := host.PublicKey()
		a := &agent{name: fmt.Sprintf("press-%d", i), fp: wire.Fingerprint(key), host: host, noise: must(wire.NewNoiseKey())(s.t)}
		err := db.AddDevice(s.t.Context(), store.Device{
			FP:         a.fp,
			Name:       id.Device(a.name),
			State:      store.Waiting,
			HostKey:    key.Marshal(),
			NoiseKey:   a.noise.Public,
			EnrolledAt: time.Now(),
		})
		if err != nil {
			s.t.Fatal(err)
		}
		all = append(all, a)
	}
	return all
}

// connect brings the line up, as far as the answer to its first ping.
func (a *agent) connect(s *served, addr string) error {
	ctx, cancel := context.WithTimeout(context.Background(), bound)
	defer cancel()
	ws, err := wire.DialWS(ctx, wire.Dial{
		Host:        s.host,
		Path:        wire.ControlPath,
		Subprotocol: wire.ControlSubprotocol,
		Limit:       wire.MaxControl,
		TLS:         s.tls(),
		NetDial:     s.from(addr),
	})
	if err != nil {
		return err
	}
	nonce := make([]byte, 16)
	rand.Read(nonce)
	hello, err := wire.Encode(wire.Hello{
		V:      wire.OfferedVersions(),
		Device: a.fp,
		TLS:    ws.Exporter(),
		Boot:   "boot",
		Agent:  "test",
		Nonce:  nonce,
	})
	if err != nil {
		return err
	}
	line, _, err := wire.Initiate(ctx, ws, a.noise, s.noise, hello)
	if err == nil {
		err = line.SendMsg(wire.Ping{T: wire.TypePing, Nonce: nonce}, bound)
	}
	if err == nil {
		_, err = line.Receive(time.Now().Add(bound))
	}
	if err != nil {
		ws.Close()
		return err
	}
	a.ws, a.line = ws, line
	s.t.Cleanup(func() { ws.Close() }) // which also keeps it from the garbage collector, which would close it
	return nil
}

// bringUp connects all agents at once from one address. Each tries again as an agent does, only sooner.
func (s *served) bringUp(all []*agent, addr string) {
	s.t.Helper()
	began := time.Now()
	var again atomic.Int32
	var wg sync.WaitGroup
	for _, a := range all {
		wg.Go(func() {
			err := a.connect(s, addr)
			for ; err != nil && time.Since(began) < bound; err = a.connect(s, addr) {
				again.Add(1)
				time.Sleep(mrand.N(2 * time.Second))
			}
			if err != nil {
				s.t.Errorf("a device is not back: %v", err)
			}
		})
	}
	wg.Wait()
	s.t.Logf("%d devices of one address are up after %s, with %d further tries", len(all),
		time.Since(began).Round(10*time.Millisecond), again.Load())
}

// silence opens connections that send nothing. It gives those that the gateway closed at once, as they are closed.
func (s *served) silence(count int, addr string) (closed *atomic.Int32) {
	s.t.Helper()
	closed = new(atomic.Int32)
	dial := s.from(addr)
	for range count {
		c, err := dial(s.t.Context(), "tcp", "")
		if err != nil { // reset before the dial returned
			closed.Add(1)
			continue
		}
		s.t.Cleanup(func() { c.Close() })
		go func() {
			if _, err := c.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
				closed.Add(1)
			}
		}()
	}
	return closed
}

// TestASiteComesBackWhileAnotherAddressIsSilent: what one address holds open keeps away neither the 300 devices of a
// site, which reconnect at once from one other address, nor a person at a third.
func TestASiteComesBackWhileAnotherAddressIsSilent(t *testing.T) {
	const site, attacker = "127.0.0.2", "127.0.0.3"
	s := serve(t)
	fleet := s.enrol(300)
	s.bringUp(fleet, site)
	if got := s.metric("sallyport_unauthenticated_connections"); got != 0 {
		t.Errorf("with all lines up %d connections are not authenticated, want 0", got)
	}
	for _, a := range fleet {
		a.ws.Close()
	}
	within(t, "the outage", func() bool { return s.metric("sallyport_devices_connected") == 0 })

	const most = 1024 // the default
	closed := s.silence(2000, attacker)
	within(t, "those beyond the limit are closed", func() bool { return closed.Load() >= 2000-most })
	if held := 2000 - closed.Load(); held != most {
		t.Errorf("2000 silent connections of one address: %d are held, want %d", held, most)
	}
	if got := s.metric(`sallyport_unauthenticated_closed_total{reason="peer"}`); got != 2000-most {
		t.Errorf("%d are counted as closed, want %d", got, 2000-most)
	}

	s.bringUp(fleet, site)
	s.signIn("ada", "administrators") // from a third address
	silent := 2000 - int(closed.Load())
	if got := s.metric("sallyport_unauthenticated_connections"); got > silent {
		t.Errorf("%d connections count as not authenticated, want at most the %d silent ones", got, silent)
	}
	if got := s.metric("sallyport_devices_connected"); got != len(fleet) {
		t.Errorf("%d devices are connected, want %d", got, len(fleet))
	}
	t.Logf("%d of the silent connections are still open", 2000-closed.Load())
}
