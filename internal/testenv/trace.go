package testenv

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Call is one system call of a traced process. Enter and Exit count the stops that strace saw: a call whose Enter is
// after another's Exit began when that one had returned. What one call causes another to do always shows in this order,
// because a thread does not go on before strace has taken its stop down.
type Call struct {
	Name        string
	FD          string // what its first argument is: a path, or TCP:[local->remote]
	Args        string // after the first
	Result      int
	Enter, Exit int
}

// Trace is strace at work on a process.
type Trace struct {
	cmd  *exec.Cmd
	file string
	errs bytes.Buffer
}

// Attach traces a running process and its threads until Stop. Besides root only a process's own user may, where the
// kernel (Yama) lets them.
func Attach(t testing.TB, pid int, args ...string) *Trace {
	t.Helper()
	tr := &Trace{file: filepath.Join(t.TempDir(), "trace")}
	tr.cmd = exec.Command("strace", append([]string{"-f", "-yy", "-s", "0", "-o", tr.file, "-p", strconv.Itoa(pid)}, args...)...)
	tr.cmd.Stderr = &tr.errs
	if err := tr.cmd.Start(); err != nil {
		t.Fatalf("strace: %v; `make setup` installs it", err)
	}
	t.Cleanup(func() { tr.Stop() })
	status := fmt.Sprintf("/proc/%d/task", pid)
	for end := time.Now().Add(time.Minute); !traced(status); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			tr.Stop()
			t.Fatalf("strace does not hold process %d: %s", pid, tr.errs.String())
		}
	}
	return tr
}

// traced reports whether every thread has a tracer.
func traced(tasks string) bool {
	all, _ := filepath.Glob(filepath.Join(tasks, "*", "status"))
	for _, path := range all {
		raw, err := os.ReadFile(path)
		if err == nil && bytes.Contains(raw, []byte("\nTracerPid:\t0\n")) {
			return false
		}
	}
	return len(all) > 0
}

// Stop lets the process go; the calls can be read then.
func (tr *Trace) Stop() {
	if tr.cmd.ProcessState != nil {
		return
	}
	tr.cmd.Process.Signal(syscall.SIGTERM)
	tr.cmd.Wait()
}

var (
	callLine    = regexp.MustCompile(`^(\w+)\(\d+<(.*?)>(?:, |\))(.*?)\)? += (-?\d+)`)
	resumedLine = regexp.MustCompile(`^<\.\.\. (\w+) resumed>(.*)$`)
)

const unfinished = " <unfinished ...>"

// Calls reads what was traced so far, in the order in which the calls began. A call that has not returned has Exit 0.
func (tr *Trace) Calls(t testing.TB) []Call {
	t.Helper()
	raw, err := os.ReadFile(tr.file)
	if err != nil {
		t.Fatal(err)
	}
	return parseTrace(string(raw))
}

// parseTrace joins the two lines of a call that others interrupted.
func parseTrace(text string) []Call {
	type begun struct {
		at   int // in out
		text string
	}
	var out []Call
	open := map[string]begun{} // by thread
	n := 0
	for line := range strings.Lines(text) {
		n++
		thread, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		rest = strings.TrimLeft(rest, " ")
		b := begun{len(out), rest}
		if m := resumedLine.FindStringSubmatch(rest); m != nil {
			if b = open[thread]; b.text == "" {
				continue // it began before we looked
			}
			b.text += m[2]
			delete(open, thread)
		} else {
			out = append(out, Call{Enter: n})
		}
		if head, ok := strings.CutSuffix(b.text, unfinished); ok {
			b.text = head
			open[thread] = b
		}
		out[b.at].read(b.text, n)
	}
	return slices.DeleteFunc(out, func(c Call) bool { return c.Name == "" })
}

// begunLine is a call that has not returned.
var begunLine = regexp.MustCompile(`^(\w+)\(\d+<(.*?)>(?:, |\)|$)(.*)$`)

func (c *Call) read(text string, n int) {
	if m := callLine.FindStringSubmatch(text); m != nil {
		c.Name, c.FD, c.Args, c.Exit = m[1], m[2], m[3], n
		c.Result, _ = strconv.Atoi(m[4])
	} else if m := begunLine.FindStringSubmatch(text); m != nil {
		c.Name, c.FD, c.Args = m[1], m[2], m[3]
	}
}

// Ports gives the local TCP ports of processes.
func Ports(pids ...int) map[string]bool {
	byInode := map[string]string{}
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		raw, _ := os.ReadFile(table)
		for line := range strings.Lines(string(raw)) {
			f := strings.Fields(line)
			if len(f) < 10 {
				continue
			}
			if port, err := strconv.ParseUint(f[1][strings.LastIndexByte(f[1], ':')+1:], 16, 16); err == nil {
				byInode["socket:["+f[9]+"]"] = strconv.FormatUint(port, 10)
			}
		}
	}
	out := map[string]bool{}
	for _, pid := range pids {
		fds, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
		for _, fd := range fds {
			target, _ := os.Readlink(fd)
			if port, ok := byInode[target]; ok {
				out[port] = true
			}
		}
	}
	return out
}

// Children gives the processes whose parent is pid.
func Children(pid int) []int {
	var out []int
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		raw, _ := os.ReadFile(path)
		f := strings.Fields(string(raw[bytes.LastIndexByte(raw, ')')+1:])) // the name may hold anything
		if len(f) < 2 || f[1] != strconv.Itoa(pid) {
			continue
		}
		if n, err := strconv.Atoi(filepath.Base(filepath.Dir(path))); err == nil {
			out = append(out, n)
		}
	}
	return out
}
