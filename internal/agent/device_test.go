package agent_test

import (
	"bytes"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/agent/state"
)

func self() string {
	u, err := user.Current()
	if err != nil {
		panic(err)
	}
	return u.Username
}

// device is a state directory and the agent that runs on it.
type device struct {
	t    *testing.T
	dir  string
	cmd  *exec.Cmd
	env  []string
	wrap []string // before the program: a network namespace, say
	args []string // of run
	log  *syncBuffer

	inherits []*os.File // by run, from descriptor 3 on
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}
func (s *syncBuffer) String() string { s.mu.Lock(); defer s.mu.Unlock(); return s.b.String() }

func newDevice(t *testing.T) *device {
	t.Helper()
	d := &device{t: t, dir: filepath.Join(t.TempDir(), "state"), log: &syncBuffer{}}
	t.Cleanup(func() {
		d.kill(syscall.SIGTERM)
		dir := state.At(d.dir)
		for _, sid := range dir.Sessions() {
			var ok bool
			dir.CallSession(sid, state.Ask{Op: "end", Reason: "test over"}, &ok)
		}
		for i := 0; i < 3000 && len(dir.Sessions()) > 0; i++ {
			time.Sleep(20 * time.Millisecond)
		}
		if t.Failed() {
			t.Log(d.log.String())
		}
	})
	return d
}

// run runs a command of the agent to its end.
func (d *device) run(args ...string) (out string, code int) {
	d.t.Helper()
	cmd := d.command(append(args, "--state", d.dir)...)
	raw, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		d.t.Fatal(err)
	}
	return string(raw), cmd.ProcessState.ExitCode()
}

func (d *device) command(args ...string) *exec.Cmd {
	all := append(append(slices.Clone(d.wrap), agentBinary), args...)
	cmd := exec.Command(all[0], all[1:]...)
	cmd.Env = append(os.Environ(), d.env...)
	return cmd
}

// enrol makes the device known and starts its agent.
func (d *device) enrol(g *gate, preset string, args ...string) *device {
	d.t.Helper()
	args = append([]string{"enroll", g.code.String(), "--preset", preset, "--ephemeral"}, args...)
	if out, code := d.run(args...); code != 0 {
		d.t.Fatalf("enroll: exit %d: %s", code, out)
	}
	for end := time.Now().Add(time.Minute); g.reading.Load() > 0; time.Sleep(5 * time.Millisecond) { // or that line would be taken for the agent's
		if time.Now().After(end) {
			d.t.Fatal("the line of an enrolment that has ended is still there")
		}
	}
	d.start()
	g.online()
	return d
}

func (d *device) start() {
	d.t.Helper()
	d.cmd = d.command(append([]string{"run", "--state", d.dir, "--ephemeral"}, d.args...)...)
	d.cmd.Stderr = d.log
	d.cmd.ExtraFiles = d.inherits
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	d.cmd.WaitDelay = 100 * time.Millisecond // supervisors hold the log open
	if err := d.cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
}

// comeBack starts an agent that was killed, and waits for its line, which is not the one it had.
func (d *device) comeBack(g *gate) {
	d.t.Helper()
	g.mu.Lock()
	old := g.line
	g.mu.Unlock()
	d.start()
	for end := time.Now().Add(time.Minute); g.online() == old; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			d.t.Fatal("the agent did not come back")
		}
	}
}

func (d *device) kill(sig syscall.Signal) {
	if d.cmd == nil {
		return
	}
	d.cmd.Process.Signal(sig)
	d.cmd.Wait()
	d.cmd = nil
}

func (d *device) owner(text string) {
	d.t.Helper()
	if err := os.WriteFile(filepath.Join(d.dir, "owner.toml"), []byte(text), 0o600); err != nil {
		d.t.Fatal(err)
	}
}

// waitGone waits until a process has ended.
func waitGone(t *testing.T, pid string) {
	t.Helper()
	waitGoneWithin(t, pid, time.Minute)
}

func waitGoneWithin(t *testing.T, pid string, most time.Duration) {
	t.Helper()
	pid = strings.TrimSpace(pid)
	for end := time.Now().Add(most); time.Now().Before(end); {
		raw, err := os.ReadFile("/proc/" + pid + "/stat")
		if err != nil || strings.Contains(string(raw), ") Z ") {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatalf("process %s is still there", pid)
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(60 * time.Second); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within a minute: %s", what)
		}
	}
}
