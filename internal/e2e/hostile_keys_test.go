package e2e

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/agent/state"
	"github.com/sallyport/sallyport/internal/testenv"
	"github.com/sallyport/sallyport/internal/wire"
)

// hello runs a handshake with a key and claims to be a device.
func (s *siege) hello(conn wire.MessageConn, own wire.NoiseKey, device wire.Hash) (*wire.Line, error) {
	nonce := make([]byte, 16)
	rand.Read(nonce)
	hello, err := json.Marshal(wire.Hello{V: wire.OfferedVersions(), Device: device, Boot: "b", Agent: "a", Nonce: nonce})
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
