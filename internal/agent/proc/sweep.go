package proc

import (
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Swept is what a supervisor left behind that died before it had ended its session's programs.
type Swept struct {
	Session string     // empty if it is not known
	Ended   []Survivor // processes
	Left    []Survivor // those that not even SIGKILL has ended
}

// sweepTime bounds how long what a supervisor left is killed, again and again.
const sweepTime = 5 * time.Second

// SweepCgroups ends what is in the cgroups below base whose supervisor is gone, and removes them. They are those of
// trees whose names begin with prefix. Those of supervisors that live are locked and left alone.
func SweepCgroups(base, prefix string) (out []Swept) {
	prefix = cgroupPrefix + prefix
	paths, _ := filepath.Glob(filepath.Join(base, prefix+"*"))
	for _, path := range paths {
		c := lockCgroup(path)
		if c == nil {
			continue
		}
		s := c.end(sweepTime)
		s.Session = strings.TrimPrefix(filepath.Base(path), prefix)
		c.remove()
		if len(s.Ended)+len(s.Left) > 0 {
			out = append(out, s)
		}
	}
	return out
}

// end kills everything in the group until nothing is left or the time is up.
func (c *cgroup) end(within time.Duration) Swept {
	seen := map[int]Survivor{}
	for deadline := time.Now().Add(within); ; time.Sleep(5 * time.Millisecond) {
		left := c.named()
		for pid, s := range left {
			seen[pid] = s
		}
		if len(left) == 0 || time.Now().After(deadline) {
			return swept(seen, left)
		}
		c.kill()
		for pid := range left {
			reapZombie(pid)
		}
	}
}

// named gives the processes in the group that have not ended.
func (c *cgroup) named() map[int]Survivor {
	out := map[int]Survivor{}
	for _, pid := range c.pids() {
		if p, ok := readProcess(pid); ok && p.state != 'Z' && p.state != 'X' {
			out[pid] = Survivor{PID: pid, Name: p.comm}
		}
	}
	return out
}

func swept(seen, left map[int]Survivor) (s Swept) {
	for pid, one := range seen {
		if _, there := left[pid]; there {
			s.Left = append(s.Left, one)
		} else {
			s.Ended = append(s.Ended, one)
		}
	}
	return s
}

// Adopt makes this process the parent of what its supervisors leave behind when they die. It is called before the first
// of them starts. It returns false, and adopts nothing, if processes of others could not be told from those: if this is
// the first process of its PID namespace, or if it has children already, from a script that became the agent by exec.
func Adopt() (bool, error) {
	if os.Getpid() == 1 || len(childrenOf(os.Getpid())) > 0 {
		return false, nil
	}
	return true, unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
}

// emptyScans in a row must find nothing: between two looks a process can start another one and end.
const emptyScans = 3

// SweepAdopted ends the children of this process that are no supervisors, and everything that descends from them. It may
// be called only after Adopt has returned true. The caller must not start a supervisor meanwhile.
func SweepAdopted(supervisor func(pid int) bool) Swept {
	seen, left := map[int]Survivor{}, map[int]Survivor{}
	deadline := time.Now().Add(sweepTime)
	for empty := 0; empty < emptyScans && time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		left = killAdopted(supervisor)
		for pid, s := range left {
			seen[pid] = s
		}
		if empty++; len(left) > 0 {
			empty = 0
		}
	}
	return swept(seen, left)
}

func killAdopted(supervisor func(pid int) bool) map[int]Survivor {
	out, own := map[int]Survivor{}, os.Getpid()
	var all map[int]process
	for _, pid := range childrenOf(own) {
		if supervisor(pid) || reapZombie(pid) {
			continue
		}
		if all == nil {
			all = allProcesses()
		}
		for _, p := range append(below(all, pid), all[pid]) {
			if p.pid != 0 && p.state != 'Z' && p.state != 'X' {
				out[p.pid] = Survivor{PID: p.pid, Name: p.comm}
				p.signal(unix.SIGKILL)
			}
		}
	}
	return out
}

// reapZombie takes the status of a child that has ended.
func reapZombie(pid int) bool {
	p, ok := readProcess(pid)
	if !ok || p.state != 'Z' || p.ppid != os.Getpid() {
		return false
	}
	got, err := unix.Wait4(pid, nil, unix.WNOHANG, nil)
	return err == nil && got == pid
}
