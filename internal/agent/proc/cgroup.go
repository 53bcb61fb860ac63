package proc

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// cgroup is the cgroup v2 of one session. A process that starts in it stays in it, unless it has the rights to leave.
type cgroup struct {
	path string
	lock *os.File // the directory, locked as long as its supervisor lives
}

// cgroupPrefix begins the names of the cgroups of sessions.
const cgroupPrefix = "sallyport-"

// groupMode lets a session's programs read the files of its cgroup and not open the directory: whoever opens it can
// lock it, and what is locked is taken for the cgroup of a supervisor that lives.
const groupMode = 0o711

// newCgroup makes a cgroup below the supervisor's own and locks it.
func newCgroup(name string) (*cgroup, error) {
	base, err := cgroupBase()
	if err != nil {
		return nil, err
	}
	path := filepath.Join(base, cgroupPrefix+name)
	for range 10 { // until it is locked, a sweep may take it for that of a dead supervisor and remove it
		if err := os.Mkdir(path, groupMode); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, fmt.Errorf("cgroup: %w", err)
		}
		if c := lockCgroup(path); c != nil {
			return c, nil
		}
		time.Sleep(time.Millisecond)
	}
	return nil, errors.New("cgroup: it cannot be locked")
}

// lockCgroup takes the lock of an existing cgroup. It returns nil if the cgroup does not exist, or if a living
// supervisor holds the lock. The kernel releases the lock when its process ends, and programs do not inherit it.
func lockCgroup(path string) *cgroup {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil && isAt(f, path) {
		return &cgroup{path: path, lock: f}
	}
	f.Close()
	return nil
}

func isAt(f *os.File, path string) bool {
	a, err := f.Stat()
	b, err2 := os.Stat(path)
	return err == nil && err2 == nil && os.SameFile(a, b)
}

// cgroupsOf gives the cgroups on this machine that belong to trees whose names begin with prefix. It looks everywhere: an
// agent may have been started in another cgroup before, by hand in the one of a login and then as a service.
func cgroupsOf(prefix string) (out []string) {
	mount, err := cgroupMount()
	if err != nil {
		return nil
	}
	filepath.WalkDir(mount, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() || !strings.HasPrefix(d.Name(), cgroupPrefix+prefix) {
			return nil // what cannot be read is none of the agent's
		}
		out = append(out, path)
		return fs.SkipDir
	})
	return out
}

// cgroupBase gives the directory of this process's own cgroup v2, below which those of sessions are made.
func cgroupBase() (string, error) {
	mount, err := cgroupMount()
	if err != nil {
		return "", err
	}
	own, err := ownCgroup()
	if err != nil {
		return "", err
	}
	return filepath.Join(mount, own), nil
}

// CanGroup returns nil if cgroups can be made for sessions on this machine, and otherwise the reason. In a container
// cgroup v2 is often there and cannot be written to.
func CanGroup() error {
	base, err := cgroupBase()
	if err != nil {
		return errors.New("there is no cgroup v2")
	}
	if err := unix.Access(base, unix.W_OK); err != nil {
		return fmt.Errorf("no cgroup can be made: %w", err)
	}
	return nil
}

// cgroupMount finds cgroup v2 in mountinfo, because it can be mounted below a v1 tree.
func cgroupMount() (string, error) {
	raw, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(raw)) {
		before, after, ok := strings.Cut(line, " - ")
		f := strings.Fields(before)
		if ok && strings.HasPrefix(after, "cgroup2 ") && len(f) > 4 {
			return f[4], nil
		}
	}
	return "", errors.New("cgroup: no cgroup v2 is mounted")
}

func ownCgroup() (string, error) {
	raw, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(raw)) {
		if p, ok := strings.CutPrefix(strings.TrimSpace(line), "0::"); ok {
			return p, nil
		}
	}
	return "", errors.New("cgroup: this process is in none of v2")
}

func (c *cgroup) open() (*os.File, error) { return os.Open(c.path) }

// kill ends every process in the cgroup at once, on Linux 5.14 and later. A process that is started in the cgroup
// afterwards may die too, so a killed cgroup is not used again.
func (c *cgroup) kill() { os.WriteFile(filepath.Join(c.path, "cgroup.kill"), []byte("1"), 0) }

// populated reports whether a process runs in the cgroup or below it, and false if the kernel does not tell.
func (c *cgroup) populated() bool {
	raw, err := os.ReadFile(filepath.Join(c.path, "cgroup.events"))
	return err == nil && strings.Contains(string(raw), "populated 1")
}

func (c *cgroup) pids() []int {
	var out []int
	filepath.WalkDir(c.path, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.Name() != "cgroup.procs" {
			return nil
		}
		raw, _ := os.ReadFile(path)
		for w := range strings.FieldsSeq(string(raw)) {
			if n, err := strconv.Atoi(w); err == nil {
				out = append(out, n)
			}
		}
		return nil
	})
	return out
}

// remove removes the cgroup and those that the session's programs made in it, and releases the lock.
func (c *cgroup) remove() {
	defer c.lock.Close()
	var dirs []string
	filepath.WalkDir(c.path, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			dirs = append(dirs, path)
		}
		return nil
	})
	for i := len(dirs) - 1; i >= 0; i-- {
		os.Remove(dirs[i])
	}
}
