package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/testenv"
	"github.com/sallyport/sallyport/internal/wire"
)

// siege is somebody who reaches the gateway's port and has nothing to show there. Each attack comes from an address of
// its own, so that what one of them costs its address does not hide another.
type siege struct {
	t     *testing.T
	d     *testenv.Demo
	host  string // 127.0.0.1:port
	noise wire.Hash
	from  atomic.Int32
}

func newSiege(t *testing.T, d *testenv.Demo) *siege {
	t.Helper()
	u, err := url.Parse(d.URL)
	if err != nil {
		t.Fatal(err)
	}
	status, body := call(t, d, "admin", "POST", "/api/v1/enroll-tokens", `{"site":"plant-north"}`)
	var token struct{ Code string }
	if err := json.Unmarshal([]byte(body), &token); err != nil || status/100 != 2 {
		t.Fatalf("join code: %d %s", status, body)
	}
	code, err := wire.ParseJoinCode(token.Code)
	if err != nil {
		t.Fatal(err)
	}
	return &siege{t: t, d: d, host: "127.0.0.1:" + u.Port(), noise: code.Noise}
}

// source is an address that nobody used before.
func (s *siege) source() *net.Dialer {
	return &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(s.from.Add(1)))}, Timeout: 10 * time.Second}
}

func (s *siege) dial(from *net.Dialer) net.Conn {
	c, err := from.Dial("tcp", s.host)
	if err != nil {
		s.t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(100 * time.Second)) // ten times what a line may take to prove itself
	return c
}

const upgrade = "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: %s\r\n"

// upgraded gives a connection that is a WebSocket already, or the status that was answered instead.
func (s *siege) upgraded(from *net.Dialer) (net.Conn, int) {
	c := s.dial(from)
	fmt.Fprintf(c, upgrade+"\r\n", wire.ControlPath, s.host, wire.ControlSubprotocol)
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		s.t.Errorf("upgrade: %v", err)
		return c, 0
	}
	if res.StatusCode == http.StatusServiceUnavailable && res.Header.Get("Retry-After") == "" {
		s.t.Error("503 without Retry-After")
	}
	return c, res.StatusCode
}

// over reads until the gateway closes, and gives what came.
func (s *siege) over(what string, c net.Conn) string {
	raw, err := io.ReadAll(c)
	c.Close()
	if errors.Is(err, os.ErrDeadlineExceeded) {
		s.t.Errorf("%s: the gateway leaves it open", what)
	}
	return string(raw)
}

// rss is the memory of a process, in bytes.
func rss(t *testing.T, pid int) int64 {
	t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(raw), "VmRSS:")
	f := strings.Fields(rest)
	n, err := strconv.ParseInt(f[0], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n << 10
}

// mostMemory is what a siege may cost the gateway beyond what it had: a tenth of that was measured.
const mostMemory = 200 << 20

func TestHostileDevicesAreKeptOutAndARealOneWorksOn(t *testing.T) {
	t.Parallel()
	d := testenv.Start(t, "--devices", "1")
	s := newSiege(t, d)
	before, peak := rss(t, d.GatewayPID), int64(0)
	ctx, stop := context.WithCancel(context.Background())
	var beside sync.WaitGroup
	served := 0
	beside.Go(func() {
		for ; ctx.Err() == nil; time.Sleep(300 * time.Millisecond) {
			peak = max(peak, rss(t, d.GatewayPID))
			if !works(d) {
				t.Error("a session failed meanwhile")
			}
			served++
		}
	})
	var slow sync.WaitGroup
	for name, attack := range map[string]func(){"silence": s.silence, "slow headers": s.slowHeaders, "slow bodies": s.slowBodies,
		"lines that prove nothing": s.unproven, "half-closed lines": s.halfClosed, "a replayed handshake": s.replayed} {
		slow.Go(func() {
			began := time.Now()
			attack()
			t.Logf("%s: over after %s", name, time.Since(began).Round(time.Millisecond))
		})
	}
	s.garbage()
	s.giantHeaders()
	s.giantBodies()
	s.giantFrames()
	s.strangers()
	s.wrongTickets()
	slow.Wait()
	stop()
	beside.Wait()
	after := rss(t, d.GatewayPID)
	t.Logf("%d sessions meanwhile; memory of the gateway: %d KiB before, %d at most, %d after", served, before>>10, peak>>10, after>>10)
	if peak-before > mostMemory {
		t.Errorf("the siege took %d MiB of memory, at most %d were expected", (peak-before)>>20, mostMemory>>20)
	}
	var dev struct {
		State   string
		Dispute any
	}
	if got := d.Run(t, "admin", "devices", "show", "press-1", "--json"); json.Unmarshal([]byte(got.Out), &dev) != nil || dev.State != "ok" {
		t.Errorf("the real device: got %+v, want state ok", got)
	}
	syscall.Kill(d.Devices[0].PID, syscall.SIGTERM)
	took := eventually(t, 60*time.Second, "the real device is back", func() bool { return works(d) })
	t.Logf("the real device was back %s after its agent was stopped", took)
}
