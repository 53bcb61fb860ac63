package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/testenv"
)

// compare holds the record against what the device received and the technician saw.
func (c *crashes) compare(n int, s *crashed, victim string) {
	t, d := c.t, c.d
	t.Helper()
	closed(t, d, s.sid)
	k, err := testenv.Keep(recordingOf(t, d, s.sid), d.Identities["reader"], d.Identities["unsealer"])
	if err != nil {
		t.Fatalf("trial %d, %s killed: %v", n, victim, err)
	}
	received, err := os.ReadFile(s.log)
	if err != nil {
		t.Fatal(err)
	}
	shown := []byte(s.out.text())
	if !bytes.HasPrefix(k.Typed, received) {
		t.Errorf("trial %d, %s killed: of %d bytes that the device received, %d are in the record", n, victim, len(received), same(k.Typed, received))
	}
	if !bytes.HasPrefix(k.Shown, shown) {
		t.Errorf("trial %d, %s killed: of %d bytes that the technician saw, %d are in the record", n, victim, len(shown), same(k.Shown, shown))
	}
	crash := strings.HasPrefix(victim, "gateway")
	if k.Cut != crash {
		t.Errorf("trial %d, %s killed: the record is cut: %v, want %v", n, victim, k.Cut, crash)
	}
	if replay := d.Run(t, "officer", "sessions", "replay", s.sid); !strings.HasPrefix(replay.Out, strings.ReplaceAll(string(shown), "\r", "")) {
		t.Errorf("trial %d, %s killed: the transcript lacks something of what was shown", n, victim)
	}
	c.verify(n, s, victim, crash)
	c.received, c.shown = c.received+len(received), c.shown+len(shown)
}

func (c *crashes) verify(n int, s *crashed, victim string, crash bool) {
	file := filepath.Join(c.dir, fmt.Sprintf("%d.slyb", n))
	defer os.Remove(file)
	if got := c.d.Run(c.t, "officer", "sessions", "export", s.sid, "-o", file); got.Status != 0 {
		c.t.Errorf("trial %d, %s killed: export: %+v", n, victim, got)
		return
	}
	got := c.d.Verify(c.t, "--log-key", c.d.LogKey, "--identity", c.d.Identities["reader"], "--identity", c.d.Identities["unsealer"], file)
	if got.Status != 0 || strings.Contains(got.Out, "cut") != crash {
		c.t.Errorf("trial %d, %s killed: verify, which must say that it is cut: %v; got %+v", n, victim, crash, got)
	}
}

// nonces goes over everything that was written: a chunk of one number must be the same wherever it stands.
func (c *crashes) nonces() {
	dir := filepath.Join(c.d.DataDir, "recordings")
	files, err := testenv.Recordings(dir)
	if err != nil {
		c.t.Fatal(err)
	}
	if err := c.chunks.Journal(filepath.Join(dir, "journal")); err != nil {
		c.t.Error(err)
	}
	salts := map[[32]byte]string{}
	for _, f := range files {
		h, err := c.chunks.File(f)
		if err != nil {
			c.t.Error(err)
		}
		if other, ok := salts[h.Salt]; ok {
			c.t.Errorf("%s and %s have one salt", filepath.Base(f), filepath.Base(other))
		}
		salts[h.Salt] = f
	}
}

// closed waits until a session is over and its row says so.
func closed(t *testing.T, d *testenv.Demo, sid string) {
	t.Helper()
	var row struct{ State string }
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		got := d.Run(t, "officer", "sessions", "show", sid, "--json")
		if err := json.Unmarshal([]byte(got.Out), &row); err == nil && row.State == "closed" {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("session %s is not closed: %+v", sid, got)
		}
	}
}

func same(a, b []byte) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

func parent(pid int) int {
	raw, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	f := strings.Fields(string(raw[bytes.LastIndexByte(raw, ')')+1:]))
	var n int
	if len(f) > 1 {
		fmt.Sscan(f[1], &n)
	}
	return n
}

// TestTheEndOfWhatIsTypedIsInTheRecord: to a terminal it is a character.
func TestTheEndOfWhatIsTypedIsInTheRecord(t *testing.T) {
	t.Parallel()
	d := testenv.Start(t, "--devices", "1")
	cmd := d.Command(t.Context(), "technician", "shell", "-t", "press-1", "--", "cat")
	cmd.Stdin = strings.NewReader("a line\n")
	if got := testenv.Finish(t, cmd); got.Status != 0 || !strings.HasSuffix(got.Out, "a line\r\n") {
		t.Errorf("got %+v", got)
	}
	k, err := testenv.Keep(recordingOf(t, d, last(t, d)), d.Identities["reader"], d.Identities["unsealer"])
	if err != nil || string(k.Typed) != "a line\n\x04" {
		t.Errorf("typed, by the record: got %q %v", k.Typed, err)
	}
	if end := "input-end: the end of input was sent"; !slices.Contains(k.Notes, end) {
		t.Errorf("the record has the notes %q, want %q too", k.Notes, end)
	}
}
