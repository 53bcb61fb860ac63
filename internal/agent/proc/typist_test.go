package proc

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// typist is a person at a terminal in which a real program runs.
type typist struct {
	t    testing.TB
	term *Terminal
	pid  int

	mu    sync.Mutex // guards what follows
	shown strings.Builder
	read  int // of what was shown
}

// sitDown starts a program at a terminal of its own.
func sitDown(t testing.TB, argv ...string) *typist {
	t.Helper()
	unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) // as a supervisor, also of the servers of tmux and screen
	term, err := openTerminal(Account{UID: uint32(os.Getuid())})
	if err != nil {
		t.Fatal(err)
	}
	term.Resize(80, 24)
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), "PS1=ready> ", "TERM=xterm", "HISTFILE=", "SHELL=/bin/bash")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = term.slave, term.slave, term.slave
	cmd.SysProcAttr = &unix.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	x := &typist{t: t, term: term, pid: cmd.Process.Pid}
	tree := &Tree{ours: map[int]bool{x.pid: true}}
	var all sync.WaitGroup
	all.Go(func() { io.Copy(x, term) })
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if left := tree.End(10 * time.Second); len(left) > 0 {
			t.Errorf("still running: %v", left)
		}
		term.Ended()
		term.Close()
		all.Wait()
	})
	return x
}

func (x *typist) Write(p []byte) (int, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.shown.Write(p)
}

// sees waits until something is shown.
func (x *typist) sees(want string) {
	x.t.Helper()
	x.until(fmt.Sprintf("it shows %q", want), func() bool {
		x.mu.Lock()
		defer x.mu.Unlock()
		i := strings.Index(x.shown.String()[x.read:], want)
		if i >= 0 {
			x.read += i + len(want)
		}
		return i >= 0
	})
}

func (x *typist) until(what string, done func() bool) {
	x.t.Helper()
	for end := time.Now().Add(time.Minute); !done(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			x.mu.Lock()
			defer x.mu.Unlock()
			x.t.Fatalf("waited in vain until %s; it showed %q", what, x.shown.String())
		}
	}
}

// runs waits until a program runs below the one at the terminal. Before that, its shell may seem to ask or not to ask for
// an instant.
func (x *typist) runs(comm string) {
	x.t.Helper()
	x.until(comm+" runs", func() bool {
		return slices.ContainsFunc(below(allProcesses(), x.pid), func(p process) bool { return p.comm == comm })
	})
}

// mute waits until a terminal does not echo, or does so again.
func (x *typist) mute(want bool) {
	x.t.Helper()
	x.until(fmt.Sprintf("echo is off: %t", want), func() bool { return x.term.mode().Lflag&unix.ECHO == 0 == want })
}

// types types keys one after the other and returns their verdicts: h for hidden, c for clear.
func (x *typist) types(keys string) string {
	x.t.Helper()
	var out strings.Builder
	for i := range len(keys) {
		err := x.term.Type([]byte{keys[i]}, func(n int, hidden bool) {
			out.WriteString(strings.Repeat(map[bool]string{true: "h", false: "c"}[hidden], n))
		})
		if err != nil {
			x.t.Fatal(err)
		}
	}
	return out.String()
}

// expects types and compares the verdicts.
func (x *typist) expects(keys string, verdict byte) {
	x.t.Helper()
	if got, want := x.types(keys), strings.Repeat(string(verdict), len(keys)); got != want {
		x.mu.Lock()
		defer x.mu.Unlock()
		x.t.Errorf("typed %q: got %s, want %s; it showed %q", keys, got, want, x.shown.String())
	}
}
