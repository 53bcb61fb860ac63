package proc

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Swept lists the survivors of a supervisor that died before it had ended its session's programs.
type Swept struct {
	Session string     // empty if it is not known
	Ended   []Survivor // survivors that the sweep ended
	Left    []Survivor // survivors that SIGKILL did not end within sweepTime
}

// sweepTime bounds how long a sweep kills survivors again and again.
const sweepTime = 5 * time.Second

// SweepCgroups ends what is in the cgroups on this machine whose supervisor is gone, and removes them. They are those of
// trees whose names begin with prefix. Those of supervisors that live are locked and left alone.
func SweepCgroups(prefix string) (out []Swept) {
	for _, path := range cgroupsOf(prefix) {
		c := lockCgroup(path)
		if c == nil {
			continue
		}
		s := c.end(sweepTime)
		s.Session = strings.TrimPrefix(filepath.Base(path), cgroupPrefix+prefix)
		c.remove()
		if len(s.Ended)+len(s.Left) > 0 {
			out = append(out, s)
		}
	}
	return out
}

// WatchCgroups calls freed each time that a supervisor ends, regularly or not, whose cgroup is there now. So an agent
// hears of the death of supervisors that an earlier agent started, and that are no children of its own. It does not wait.
func WatchCgroups(prefix string, freed func()) {
	for _, path := range cgroupsOf(prefix) {
		f, err := os.Open(path)
		if err != nil {
			continue
		}
		go func() {
			for unix.Flock(int(f.Fd()), unix.LOCK_EX) == unix.EINTR {
			}
			f.Close() // this releases the lock, which the sweep must be able to take
			freed()
		}()
	}
}

// EndTree kills a supervisor and all its descendants with SIGKILL. It returns the descendants that were running.
func EndTree(supervisor int) (ended []Survivor) {
	all := allProcesses()
	below := below(all, supervisor)
	for _, p := range append([]process{all[supervisor]}, below...) { // supervisor first: it must start nothing more
		if p.pid > 1 {
			p.signal(unix.SIGKILL)
		}
	}
	for _, p := range below {
		if !p.ended() {
			ended = append(ended, Survivor{PID: p.pid, Name: p.comm})
		}
	}
	return ended
}

// end kills every process in the group until none is left or the time is up.
func (c *cgroup) end(within time.Duration) Swept {
	seen := map[int]Survivor{}
	for deadline := time.Now().Add(within); ; time.Sleep(5 * time.Millisecond) {
		left := c.running()
		c.kill()
		for pid, p := range left {
			seen[pid] = Survivor{PID: pid, Name: p.comm}
			p.signal(unix.SIGKILL) // Linux before 5.14 kills no cgroup at once
			reapZombie(pid)
		}
		if len(left) == 0 && !c.populated() || time.Now().After(deadline) {
			return swept(seen, left)
		}
	}
}

// running returns the processes in the group that have not ended.
func (c *cgroup) running() map[int]process {
	out := map[int]process{}
	for _, pid := range c.pids() {
		if p, ok := readProcess(pid); ok && !p.ended() {
			out[pid] = p
		}
	}
	return out
}

func swept[P any](seen map[int]Survivor, left map[int]P) (s Swept) {
	for pid, one := range seen {
		if _, there := left[pid]; there {
			s.Left = append(s.Left, one)
		} else {
			s.Ended = append(s.Ended, one)
		}
	}
	return s
}

// Adopt makes this process the subreaper of its supervisors (prctl(2)): what they leave behind when they die becomes
// its child. It must be called before the first supervisor starts. It returns false and changes nothing if children
// of other origin could be taken for survivors. This is so if this process is the first one of its PID namespace, or
// if it already has children, because a script started them and then became the agent by exec. The error is prctl's.
func Adopt() (bool, error) {
	if os.Getpid() == 1 || len(childrenOf(os.Getpid())) > 0 {
		return false, nil
	}
	return true, unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
}

// emptyScans is how many scans in a row must find nothing: between two scans a process can start another one and end.
const emptyScans = 3

// SweepAdopted ends the children of this process that are not supervisors, and all their descendants. It returns the
// survivors without a session, which is not known. It may be called only after Adopt has returned true, and the caller
// must not start a supervisor meanwhile.
func SweepAdopted(supervisor func(pid int) bool) Swept {
	seen, left := map[int]Survivor{}, map[int]Survivor{}
	deadline := time.Now().Add(sweepTime)
	for empty, gone := 0, false; empty < emptyScans && time.Now().Before(deadline); {
		if gone { // processes may start each other faster than they can be named, so kill them unnamed
			reap(supervisor)
			killChildren(supervisor)
		}
		left, gone = killAdopted(supervisor)
		for pid, s := range left {
			seen[pid] = s
		}
		if empty++; len(left) > 0 || gone { // a process that has ended may have started another one, as in Tree.endOnce
			empty = 0
		}
		if !gone {
			time.Sleep(5 * time.Millisecond)
		}
	}
	return swept(seen, left)
}

// killAdopted kills the adopted processes that it finds. gone reports whether one had ended before.
func killAdopted(supervisor func(pid int) bool) (left map[int]Survivor, gone bool) {
	left = map[int]Survivor{}
	kill := func(p process) {
		if p.pid != 0 && !p.ended() {
			left[p.pid] = Survivor{PID: p.pid, Name: p.comm}
			p.signal(unix.SIGKILL)
		}
	}
	var tops []int
	for _, pid := range childrenOf(os.Getpid()) {
		if supervisor(pid) {
			continue
		}
		if reapZombie(pid) {
			gone = true
			continue
		}
		p, _ := readProcess(pid)
		kill(p) // at once, because it may have ended before all of /proc is read
		tops = append(tops, pid)
	}
	if len(tops) == 0 {
		return left, gone
	}
	all := allProcesses()
	for _, pid := range tops {
		for _, p := range below(all, pid) {
			kill(p)
		}
	}
	return left, gone
}

// killChildren kills the children of this process, the newest first, except those to spare. A process that starts the
// next one and ends has ended before anything can be read about it. Only a signal right after the list was read reaches
// it. The list may name thousands of ended processes. Their ids are not used again until this process takes their
// status, so the signal reaches no other process.
func killChildren(spare func(pid int) bool) {
	for _, pid := range slices.Backward(childrenOf(os.Getpid())) {
		if !spare(pid) {
			unix.Kill(pid, unix.SIGKILL)
		}
	}
}

// reapZombie takes the status of a child if it has ended, and reports whether it did.
func reapZombie(pid int) bool {
	p, ok := readProcess(pid)
	if !ok || !p.ended() || p.ppid != os.Getpid() {
		return false
	}
	got, err := unix.Wait4(pid, nil, unix.WNOHANG, nil)
	return err == nil && got == pid
}
