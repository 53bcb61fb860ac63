package e2e

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/testenv"
)

// quiet is a session in which nothing moves but what the test moves: bytes typed go to a file on the device and echo
// nothing, bytes written to a pipe there come out of its terminal.
type quiet struct {
	d       *testenv.Demo
	cmd     *exec.Cmd
	tty     *os.File
	out     *screen
	seen    string   // file on the device
	tap     *os.File // what is written here is output
	journal string
	client  map[string]bool // TCP ports of the technician's program
	line    map[string]bool // and of the session's supervisor
}

func quietSession(t *testing.T) *quiet {
	t.Helper()
	q := &quiet{d: testenv.Start(t, "--devices", "1")}
	dir := openDir(t)
	q.seen = filepath.Join(dir, "seen")
	fifo := filepath.Join(dir, "tap")
	if err := syscall.Mkfifo(fifo, 0o666); err != nil {
		t.Fatal(err)
	}
	os.Chmod(fifo, 0o666) // whatever the umask
	var err error
	if q.tap, err = os.OpenFile(fifo, os.O_RDWR, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { q.tap.Close() })
	q.cmd, q.tty, q.out = open(t, q.d, "--", "sh", "-c", "stty raw -echo; exec 3<&0; cat <&3 >"+q.seen+" & echo rea''dy; exec cat "+fifo)
	q.out.wait(t, "ready")
	q.journal = filepath.Join(q.d.DataDir, "recordings", "journal")
	q.client, q.line = testenv.Ports(q.cmd.Process.Pid), testenv.Ports(testenv.Children(q.d.Devices[0].PID)...)
	if len(q.client) == 0 || len(q.line) == 0 {
		t.Fatalf("connections not found: the client's %v, the session line's %v", q.client, q.line)
	}
	time.Sleep(calm)
	return q
}

// openDir is a directory that sessions, which run as another user, can write to.
func openDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	os.Chmod(filepath.Dir(dir), 0o755)
	os.Chmod(dir, 0o777)
	return dir
}

// calm is longer than a keystroke takes with all that follows it: its verdict, and the reveal 100 ms later.
const calm = 300 * time.Millisecond

// received is what has reached the device.
func (q *quiet) received() string {
	raw, _ := os.ReadFile(q.seen)
	return string(raw)
}

func (q *quiet) await(t *testing.T, what string, shown func() string, want string) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !strings.HasSuffix(shown(), want); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: got %q, want it to end with %q", what, shown(), want)
		}
	}
}

func (q *quiet) typeKey(t *testing.T, key string) {
	t.Helper()
	q.tty.WriteString(key)
	q.await(t, "received by the device", q.received, key)
	time.Sleep(calm)
}

func (q *quiet) print(t *testing.T, word string) {
	t.Helper()
	q.tap.WriteString(word)
	q.await(t, "shown to the technician", q.out.text, word)
	time.Sleep(calm)
}

const marks = 8

// mustTrace: root may trace the gateway, and so may its own user unless the kernel forbids it. Where it does, the order
// of the calls cannot be seen, and the test says so.
func mustTrace(t *testing.T) bool {
	raw, _ := os.ReadFile("/proc/sys/kernel/yama/ptrace_scope")
	if os.Getuid() == 0 || len(raw) == 0 || raw[0] == '0' {
		return true
	}
	t.Logf("not root, and kernel.yama.ptrace_scope is %s: the order of system calls is NOT tested here", bytes.TrimSpace(raw))
	return false
}

// tracedCalls are those that carry bytes of connections and of the journal, and its syncs.
const tracedCalls = "trace=read,readv,recvfrom,recvmsg,write,writev,sendto,sendmsg,pwrite64,fdatasync,fsync"

// TestTheRecordPrecedesTheAct looks at the gateway's system calls: between the arrival of a keystroke and its way to the
// device, and between the arrival of output and its way to the technician, the journal is written and synced.
func TestTheRecordPrecedesTheAct(t *testing.T) {
	if !mustTrace(t) {
		return
	}
	q := quietSession(t)
	tr := testenv.Attach(t, q.d.GatewayPID, "-e", tracedCalls)
	for i := range marks {
		q.typeKey(t, string(rune('a'+i)))
		q.print(t, string(rune('A'+i)))
	}
	tr.Stop()
	calls := tr.Calls(t)
	typed := order{calls: calls, journal: q.journal, from: q.client, to: q.line}
	shown := order{calls: calls, journal: q.journal, from: q.line, to: q.client}
	for name, o := range map[string]order{"typed": typed, "shown": shown} {
		carried, wrong := o.check()
		if carried < marks {
			t.Errorf("%s: the trace shows %d stretches, want at least the %d marks: it was not read rightly", name, carried, marks)
		}
		for _, w := range wrong {
			t.Errorf("%s: %s", name, w)
		}
		t.Logf("%s: %d of %d stretches were in the journal, and the journal synced, before they went on", name, carried-len(wrong), carried)
		for lost, without := range map[string]func(testenv.Call) bool{ // the check itself: does it see what is missing?
			"syncs":  func(c testenv.Call) bool { return c.Name == "fdatasync" },
			"writes": func(c testenv.Call) bool { return c.Name == "pwrite64" },
		} {
			if _, wrong := o.without(without).check(); len(wrong) < marks {
				t.Errorf("%s: the same trace without its %s has %d faults, want one for each of %d marks", name, lost, len(wrong), marks)
			}
		}
	}
}

// order is one direction: bytes come from connections with some remote ports and go to others.
type order struct {
	calls    []testenv.Call
	journal  string
	from, to map[string]bool
}

func (o order) without(drop func(testenv.Call) bool) order {
	var kept []testenv.Call
	for _, c := range o.calls {
		if !drop(c) || c.FD != o.journal {
			kept = append(kept, c)
		}
	}
	o.calls = kept
	return o
}

var remote = regexp.MustCompile(`^TCP(?:v6)?:\[.*->.*:(\d+)\]$`)

func on(c testenv.Call, ports map[string]bool) bool {
	m := remote.FindStringSubmatch(c.FD)
	return m != nil && ports[m[1]]
}

// check goes over every write to the far side. The bytes it may carry came with the last read before it; after that
// read the journal must have been written, and then synced, and the sync must have returned before the write began.
func (o order) check() (carried int, wrong []string) {
	last := -1 // the read that was answered before
	for _, w := range o.calls {
		if !on(w, o.to) || !sends(w.Name) {
			continue
		}
		in, ok := o.lastRead(w.Enter)
		if !ok || in.Exit == last {
			continue // nothing has come since: a ping, or the end
		}
		last = in.Exit
		carried++
		if !o.covered(in.Exit, w.Enter) {
			wrong = append(wrong, fmt.Sprintf("%d bytes read at stop %d went on by %s at stop %d, and no write and sync of the journal was complete in between", in.Result, in.Exit, w.Name, w.Enter))
		}
	}
	return carried, wrong
}

func sends(name string) bool {
	return name == "write" || name == "writev" || name == "sendto" || name == "sendmsg"
}

func (o order) lastRead(before int) (testenv.Call, bool) {
	var found testenv.Call
	for _, c := range o.calls {
		if on(c, o.from) && !sends(c.Name) && c.Result > 0 && c.Exit > found.Exit && c.Exit < before {
			found = c
		}
	}
	return found, found.Exit > 0
}

func (o order) covered(from, to int) bool {
	for _, p := range o.calls {
		if p.Name != "pwrite64" || p.FD != o.journal || p.Enter < from || p.Exit == 0 {
			continue
		}
		for _, s := range o.calls {
			if s.Name == "fdatasync" && s.FD == o.journal && s.Result == 0 && s.Enter > p.Exit && s.Exit > 0 && s.Exit < to {
				return true
			}
		}
	}
	return false
}
