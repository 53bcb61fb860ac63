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

// Tree holds every process that a session started. It finds them in two ways: by a cgroup of the session's own, where
// one can be made, and by parentage, because this process adopts the orphans among its descendants.
type Tree struct {
	group   *cgroup
	starter *starter // nil: the session's programs are not kept apart from those of other sessions

	// starting is held while a program is being started. A start may never return, because the login's home may be on a
	// file system that never answers. So only the next start waits for this lock.
	starting sync.Mutex

	mu    sync.Mutex // guards what follows
	ours  map[int]bool
	ended bool
}

// NewTree makes this process the subreaper of its descendants (prctl(2)). A process has one tree. The tree's cgroup
// gets the given name. The error is prctl's. Without a cgroup there is no error, see HasCgroup.
func NewTree(name string) (*Tree, error) {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return nil, fmt.Errorf("become reaper: %w", err)
	}
	t := &Tree{ours: map[int]bool{}}
	t.group, _ = newCgroup(name)
	return t, nil
}

// HasCgroup reports whether the tree has a cgroup. Without one it finds processes by parentage alone.
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
		if t.over() { // the end of the session may be why the start failed
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

// startInGroup starts a copy of the command in the session's cgroup. It returns false if there is no cgroup, or if the
// kernel cannot start a process in it.
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

// again copies a command, because a Cmd can be started only once, even if the start failed.
func again(cmd *exec.Cmd) *exec.Cmd {
	attr := *cmd.SysProcAttr
	return &exec.Cmd{
		Path:        cmd.Path,
		Args:        cmd.Args,
		Env:         cmd.Env,
		Dir:         cmd.Dir,
		SysProcAttr: &attr,
		Stdin:       cmd.Stdin,
		Stdout:      cmd.Stdout,
		Stderr:      cmd.Stderr,
	}
}

var score = "/proc/self/oom_score_adj" // tests use another file, because not every root may lower its score

// ordinary sets what a login's programs must not inherit from the agent's service to the usual values: protection from
// the kernel's OOM killer, and the umask. restore sets them back.
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

// forget removes a process from those that the tree started. Its status has been taken.
func (t *Tree) forget(pid int) {
	t.mu.Lock()
	delete(t.ours, pid)
	t.mu.Unlock()
}

// members returns the processes of the tree that have not ended, without this one.
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

// Alive reports whether a process of the tree still runs.
func (t *Tree) Alive() bool { return len(t.members()) > 0 }

// Hangup sends SIGHUP to every process of the tree.
func (t *Tree) Hangup() {
	for _, p := range t.members() {
		p.signal(unix.SIGHUP)
		p.signal(unix.SIGCONT) // a stopped process does not handle SIGHUP
	}
}

// End kills every process of the tree until none is left or the time is up, and removes the tree's cgroup. It returns
// the processes that are left. A later start in this tree fails.
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

// endOnce kills the processes that it finds. done reports whether none is left.
//
// A scan of /proc cannot find a process that starts the next one and ends at once. But this process adopts each of
// them, and sees it end. So none is left only if the scan finds none and none has ended meanwhile. Otherwise left has
// the processes that were found, or else those that have ended.
func (t *Tree) endOnce() (left []process, done bool) {
	idle := t.idle() // before the scan, so that the scan finds what was started until then
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

// started reports whether the tree started this process itself. Then the caller of start waits for it.
func (t *Tree) started(pid int) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.ours[pid]
}

// Reap takes the status of adopted processes that have ended, and returns them. It leaves out the processes that the
// tree started, because the caller of start waits for them. While one is being started, Reap does nothing, because it
// cannot yet tell that one from an adopted process.
func (t *Tree) Reap() (gone []process) {
	if !t.starting.TryLock() {
		return nil
	}
	defer t.starting.Unlock()
	return append(reap(t.started), reapListed(t.started)...)
}
