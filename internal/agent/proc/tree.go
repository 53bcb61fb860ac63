package proc

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Tree is everything that a session started. It holds them by two ropes: a cgroup of its own where there is one, and
// parentage, since this process adopts what its descendants abandon.
type Tree struct {
	group   *cgroup
	starter *starter // nil: what is started is not kept apart

	// starting is held while a program is being started. That can last for ever, because a login may have a home that
	// never answers. Nothing waits for it but the next start.
	starting sync.Mutex

	mu    sync.Mutex // guards what follows
	ours  map[int]bool
	ended bool
}

// NewTree makes this process the reaper of all that descends from it. One process holds one tree.
func NewTree(name string) (*Tree, error) {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return nil, fmt.Errorf("become reaper: %w", err)
	}
	t := &Tree{ours: map[int]bool{}}
	t.group, _ = newCgroup(name) // without one, parentage alone
	return t, nil
}

// HasCgroup reports whether the stronger rope is there.
func (t *Tree) HasCgroup() bool { return t.group != nil }

// start starts a command inside the tree.
func (t *Tree) start(cmd *exec.Cmd) (*exec.Cmd, error) {
	t.starting.Lock()
	defer t.starting.Unlock()
	if t.over() {
		return nil, errOver
	}
	defer ordinary()()
	in, ok := t.startInGroup(cmd)
	if !ok {
		if t.over() { // which may be why it failed
			return nil, errOver
		}
		in = cmd
		var err error
		if t.starter.do(func() { err = cmd.Start() }); err != nil {
			return nil, err
		}
	}
	t.mu.Lock()
	t.ours[in.Process.Pid] = true
	t.mu.Unlock()
	return in, nil
}

var errOver = errors.New("the session has ended")

func (t *Tree) over() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.ended
}

// idle reports whether no program is being started.
func (t *Tree) idle() bool {
	if !t.starting.TryLock() {
		return false
	}
	t.starting.Unlock()
	return true
}

// startInGroup starts a copy of the command in the session's control group, where there is one and the kernel can.
func (t *Tree) startInGroup(cmd *exec.Cmd) (*exec.Cmd, bool) {
	if t.group == nil {
		return nil, false
	}
	dir, err := t.group.open()
	if err != nil {
		return nil, false
	}
	defer dir.Close()
	in := again(cmd)
	in.SysProcAttr.UseCgroupFD, in.SysProcAttr.CgroupFD = true, int(dir.Fd())
	t.starter.do(func() { err = in.Start() })
	return in, err == nil
}

// again copies a command that was not started: a Cmd can be started once only, whatever came of it.
func again(cmd *exec.Cmd) *exec.Cmd {
	attr := *cmd.SysProcAttr
	return &exec.Cmd{Path: cmd.Path, Args: cmd.Args, Env: cmd.Env, Dir: cmd.Dir, SysProcAttr: &attr, Stdin: cmd.Stdin, Stdout: cmd.Stdout, Stderr: cmd.Stderr}
}

var score = "/proc/self/oom_score_adj" // a test's is another file: not even every root may lower it

// ordinary takes from what is started now the two things that this process has of the agent's service and a login must not
// inherit: the protection from the kernel's search for memory, and the mask that keeps new files from everybody else.
func ordinary() (restore func()) {
	mask := unix.Umask(0o022)
	was, err := os.ReadFile(score)
	protected := err == nil && was[0] == '-' && os.WriteFile(score, []byte("0"), 0) == nil
	return func() {
		unix.Umask(mask)
		if protected {
			os.WriteFile(score, was, 0)
		}
	}
}

// forget says that a started process was waited for.
func (t *Tree) forget(pid int) {
	t.mu.Lock()
	delete(t.ours, pid)
	t.mu.Unlock()
}

// members gives what is alive of the tree.
func (t *Tree) members() []process {
	all := allProcesses()
	seen := map[int]bool{os.Getpid(): true}
	var out []process
	add := func(p process) {
		if !seen[p.pid] && !p.ended() {
			seen[p.pid] = true
			out = append(out, p)
		}
	}
	for _, p := range below(all, os.Getpid()) {
		add(p)
	}
	if t.group != nil {
		for _, pid := range t.group.pids() {
			if p, ok := all[pid]; ok {
				add(p)
			}
		}
	}
	return out
}

// Alive reports whether anything of the tree runs.
func (t *Tree) Alive() bool { return len(t.members()) > 0 }

// Hangup tells everything that its terminal is gone.
func (t *Tree) Hangup() {
	for _, p := range t.members() {
		p.signal(unix.SIGHUP)
		p.signal(unix.SIGCONT) // a stopped process would never hear it
	}
}

// End kills everything, again and again until nothing is left or the time is up, and gives what is left. Nothing starts
// in this tree afterwards.
func (t *Tree) End(within time.Duration) []Survivor {
	t.mu.Lock()
	t.ended = true
	t.mu.Unlock()
	deadline := time.Now().Add(within)
	left, done := t.endOnce()
	for !done && time.Now().Before(deadline) {
		if len(left) > 0 {
			time.Sleep(5 * time.Millisecond)
		}
		left, done = t.endOnce()
	}
	t.Reap()
	if t.group != nil {
		t.group.remove()
	}
	out := make([]Survivor, len(left))
	for i, p := range left {
		out[i] = Survivor{PID: p.pid, Name: p.comm}
	}
	return out
}

// endOnce kills what it finds, and reports whether there was nothing and can be nothing more. A process that starts the
// next one and ends is found by no look at /proc. But each of them leaves its end to this process, which adopts it. So
// nothing runs only if nothing was found, and nothing ended meanwhile. Otherwise it gives what was found, or has ended.
func (t *Tree) endOnce() (left []process, done bool) {
	idle := t.idle() // before the look: what was started until then is found
	if t.group != nil {
		t.group.kill()
	}
	t.Reap()
	killChildren(t.started)
	left = t.members()
	for _, p := range left {
		p.signal(unix.SIGKILL)
	}
	if gone := t.Reap(); len(left) == 0 {
		left = gone
	}
	return left, idle && len(left) == 0 && (t.group == nil || !t.group.populated())
}

// started reports whether the tree started this process itself, so that somebody else waits for it.
func (t *Tree) started(pid int) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.ours[pid]
}

// Reap takes the status of adopted processes that have ended, and gives these. Those this process started are waited for
// by whoever did. While one of them is being started, it is not known which they are.
func (t *Tree) Reap() (gone []process) {
	if !t.starting.TryLock() {
		return nil
	}
	defer t.starting.Unlock()
	return append(reap(t.started), reapListed(t.started)...)
}
