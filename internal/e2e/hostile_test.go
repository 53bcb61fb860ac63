package e2e

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/agent/state"
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

func (s *siege) many(n int, what string, one func(from *net.Dialer) net.Conn) {
	from := s.source()
	var all sync.WaitGroup
	for range n {
		all.Go(func() { s.over(what, one(from)) })
	}
	all.Wait()
}

func (s *siege) silence() {
	s.many(100, "silence", s.dial)
}

func (s *siege) slowHeaders() {
	s.many(200, "slow headers", func(from *net.Dialer) net.Conn {
		c := s.dial(from)
		fmt.Fprintf(c, upgrade+"X-Slow: ", wire.ControlPath, s.host, wire.ControlSubprotocol)
		go func() {
			for {
				if _, err := c.Write([]byte("x")); err != nil {
					return
				}
				time.Sleep(time.Second)
			}
		}()
		return c
	})
}

func (s *siege) slowBodies() {
	s.many(200, "a body that does not come", func(from *net.Dialer) net.Conn {
		c := s.dial(from)
		fmt.Fprintf(c, "POST /api/v1/sessions HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n{", s.host)
		return c
	})
}

// unproven opens more lines than one address may have that have proven nothing.
func (s *siege) unproven() {
	from := s.source()
	var all sync.WaitGroup
	var open, turned atomic.Int32
	for range 400 {
		all.Go(func() {
			c, status := s.upgraded(from)
			switch status {
			case http.StatusSwitchingProtocols:
				open.Add(1)
			case http.StatusServiceUnavailable:
				turned.Add(1)
			default:
				s.t.Errorf("unproven: got status %d", status)
			}
			s.over("a line that proves nothing", c)
		})
	}
	all.Wait()
	if open.Load() > 256 || turned.Load() < 144 {
		s.t.Errorf("of 400 lines of one address that prove nothing %d were let in and %d turned away, want at most 256", open.Load(), turned.Load())
	}
}

func (s *siege) halfClosed() {
	s.many(20, "a half-closed line", func(from *net.Dialer) net.Conn {
		c, _ := s.upgraded(from)
		c.(*net.TCPConn).CloseWrite()
		return c
	})
	s.many(20, "half an upgrade", func(from *net.Dialer) net.Conn {
		c := s.dial(from)
		fmt.Fprintf(c, upgrade, wire.ControlPath, s.host, wire.ControlSubprotocol)
		c.(*net.TCPConn).CloseWrite()
		return c
	})
}

func (s *siege) garbage() {
	from := s.source()
	for range 20 {
		c := s.dial(from)
		noise := make([]byte, 256<<10)
		rand.Read(noise)
		c.Write(append([]byte("\x16\x03\x01"), noise...))
		if got := s.over("garbage", c); got != "" && !strings.HasPrefix(got, "HTTP/1.1 400") {
			s.t.Errorf("garbage: got %.80q", got)
		}
	}
}

func (s *siege) giantHeaders() {
	from := s.source()
	for range 20 {
		c := s.dial(from)
		fmt.Fprintf(c, upgrade+"X-Giant: ", wire.ControlPath, s.host, wire.ControlSubprotocol)
		for range 64 {
			if _, err := c.Write(bytes.Repeat([]byte("x"), 64<<10)); err != nil {
				break
			}
		}
		if got := s.over("giant headers", c); got != "" && !strings.HasPrefix(got, "HTTP/1.1 431") {
			s.t.Errorf("giant headers: got %.80q", got)
		}
	}
}

// frame is the head of a masked WebSocket frame (RFC 6455 section 5.2) that announces so many bytes.
func frame(first byte, size uint64) []byte {
	b := []byte{first, 0x80 | 127, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4}
	for i := range 8 {
		b[2+i] = byte(size >> (56 - 8*i))
	}
	return b
}

func (s *siege) giantFrames() {
	from := s.source()
	for name, raw := range map[string][]byte{
		"2^62 bytes announced":    frame(0x82, 1<<62),
		"2^63 bytes announced":    frame(0x82, 1<<63),
		"one byte over the limit": append(frame(0x82, wire.MaxControl+1), make([]byte, wire.MaxControl+1)...),
		"a frame without a mask":  {0x82, 1, 0},
		"text":                    append(frame(0x81, 2), 'h', 'i'),
		"a reserved bit":          append(frame(0xC2, 2), 'h', 'i'),
		"no handshake in it":      append(frame(0x82, 200), make([]byte, 200)...),
	} {
		c, status := s.upgraded(from)
		if status != http.StatusSwitchingProtocols {
			s.t.Errorf("%s: got %d", name, status)
		}
		began := time.Now()
		c.Write(raw)
		s.over(name, c)
		if took := time.Since(began); took > 5*time.Second {
			s.t.Errorf("%s: the line was closed after %s only, as if it had been nothing", name, took)
		}
	}
}

// hello runs a handshake with a key and claims to be a device.
func (s *siege) hello(conn wire.MessageConn, own wire.NoiseKey, device wire.Hash) (*wire.Line, error) {
	nonce := make([]byte, 16)
	rand.Read(nonce)
	hello, err := json.Marshal(wire.Hello{V: []int{1}, Device: device, Boot: "b", Agent: "a", Nonce: nonce})
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	line, _, err := wire.Initiate(ctx, conn, own, s.noise, hello)
	return line, err
}

func (s *siege) control() *wire.WS {
	from := s.source()
	ws, err := wire.DialWS(context.Background(), wire.Dial{Host: s.host, Path: wire.ControlPath, Subprotocol: wire.ControlSubprotocol, NetDial: from.DialContext, Limit: wire.MaxControl})
	if err != nil {
		s.t.Fatal(err)
	}
	return ws
}

func (s *siege) real() state.Keys {
	k, err := state.At(s.d.Devices[0].StateDir).Keys()
	if err != nil {
		s.t.Fatal(err)
	}
	return k
}

// strangers show keys that no device has, in turn the noise key, the host key.
func (s *siege) strangers() {
	own, err := wire.NewNoiseKey()
	if err != nil {
		s.t.Fatal(err)
	}
	for name, k := range map[string]struct {
		noise  wire.NoiseKey
		device wire.Hash
	}{
		"nobody's keys":                {own, wire.Sum([]byte("nobody"))},
		"a device's name, no key":      {own, s.real().FP()},
		"a device's key, another name": {s.real().Noise, wire.Sum([]byte("nobody"))},
	} {
		ws := s.control()
		if _, err := s.hello(ws, k.noise, k.device); wire.CloseCode(err) != wire.CloseUnknown {
			s.t.Errorf("%s: got %v, want close code %d", name, err, wire.CloseUnknown)
		}
		ws.Close()
	}
}

// tap keeps what a handshake sends first.
type tap struct {
	*wire.WS
	first []byte
}

func (p *tap) WriteMessage(msg []byte) error {
	if p.first == nil {
		p.first = bytes.Clone(msg)
	}
	return p.WS.WriteMessage(msg)
}

// replayed sends the first message of a real device's handshake again, from elsewhere. It is answered, since it is a right
// one, but nothing comes after it: no line, no dispute.
func (s *siege) replayed() {
	heard := &tap{WS: s.control()}
	if _, err := s.hello(heard, s.real().Noise, s.real().FP()); err != nil {
		s.t.Errorf("the handshake to replay: %v", err)
	}
	heard.Close()
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() { s.replay(heard.first) })
	}
	all.Wait()
}

func (s *siege) replay(first []byte) {
	ws := s.control()
	ws.WriteMessage(first)
	ws.SetReadDeadline(time.Now().Add(100 * time.Second))
	if _, err := ws.ReadMessage(); err != nil {
		s.t.Errorf("a replayed handshake is not answered, so this shows nothing: %v", err)
	}
	if _, err := ws.ReadMessage(); errors.Is(err, os.ErrDeadlineExceeded) {
		s.t.Error("a replayed handshake has a line")
	}
	ws.Close()
}

func (s *siege) wrongTickets() {
	from := s.source()
	counts := map[int]int{}
	for i := range 80 {
		ticket := make([]byte, 32)
		rand.Read(ticket)
		head := http.Header{wire.TicketHeader: {wire.B64.EncodeToString(ticket)}}
		if i%4 == 1 {
			head = http.Header{wire.TicketHeader: {"x", "y"}}
		}
		_, err := wire.DialWS(context.Background(), wire.Dial{Host: s.host, Path: wire.SessionPath, Subprotocol: wire.SessionSubprotocol, Header: head, NetDial: from.DialContext, Limit: wire.MaxStream})
		var refused *wire.DialError
		if !errors.As(err, &refused) {
			s.t.Fatalf("a wrong ticket: %v", err)
		}
		counts[refused.Status]++
	}
	if counts[403] == 0 || counts[503] == 0 || counts[403]+counts[503] != 80 {
		s.t.Errorf("80 wrong tickets: got %v by status, want 403 and, after 50, 503", counts)
	}
}

func TestACopiedStateDirectoryBringsTheDeviceIntoDispute(t *testing.T) {
	t.Parallel()
	d := testenv.Start(t, "--devices", "1")
	copied := filepath.Join(t.TempDir(), "copied")
	if err := os.CopyFS(copied, onlyFiles{os.DirFS(d.Devices[0].StateDir)}); err != nil {
		t.Fatal(err)
	}
	filepath.WalkDir(copied, func(path string, e os.DirEntry, _ error) error {
		return os.Chmod(path, map[bool]os.FileMode{true: 0o700, false: 0o600}[e.IsDir()])
	})
	clone := testenv.Launch(t, filepath.Join(t.TempDir(), "clone.log"), exec.Command(filepath.Join(d.Bin, "sallyport-agent"), "run", "--state", copied, "--ephemeral"))
	took := eventually(t, 60*time.Second, "the device is disputed", func() bool {
		_, body := call(t, d, "admin", "GET", "/api/v1/devices/press-1", "")
		return strings.Contains(body, `"state":"disputed"`)
	})
	t.Logf("disputed %s after the copy began", took)
	got := d.Run(t, "technician", "shell", "press-1", "--", "true")
	if got.Status != 77 || !strings.Contains(got.Err, "two machines show the same key") {
		t.Errorf("a session: got %+v, want 77 and why", got)
	}
	clone.End(syscall.SIGTERM)
	if got := d.Run(t, "admin", "devices", "admit", "press-1"); got.Status != 0 {
		t.Errorf("admitting it again: %+v", got)
	}
	took = eventually(t, 60*time.Second, "the device works again", func() bool { return works(d) })
	t.Logf("back %s after it was admitted again", took)
}

// onlyFiles leaves out a state directory's sockets, which cannot be copied.
type onlyFiles struct{ fs.FS }

func (o onlyFiles) ReadDir(name string) ([]fs.DirEntry, error) {
	all, err := fs.ReadDir(o.FS, name)
	return slices.DeleteFunc(all, func(e fs.DirEntry) bool { return !e.IsDir() && !e.Type().IsRegular() }), err
}
