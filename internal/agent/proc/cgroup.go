package proc

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// cgroup is a fresh cgroup v2 of one session: what is born in it stays in it, unless it has the rights to leave.
type cgroup struct{ path string }

// newCgroup makes one below the supervisor's own. Where that is not possible the tree is followed by parentage alone.
func newCgroup(name string) (*cgroup, error) {
	mount, err := cgroupMount()
	if err != nil {
		return nil, err
	}
	own, err := ownCgroup()
	if err != nil {
		return nil, err
	}
	path := filepath.Join(mount, own, "sallyport-"+name)
	if err := os.Mkdir(path, 0o755); err != nil {
		return nil, fmt.Errorf("cgroup: %w", err)
	}
	return &cgroup{path: path}, nil
}

// cgroupMount finds cgroup v2 in mountinfo: it can be mounted below a v1 tree.
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

// kill ends every process in it at once. Whatever is cloned into it afterwards dies too, so it is used for nothing else.
func (c *cgroup) kill() { os.WriteFile(filepath.Join(c.path, "cgroup.kill"), []byte("1"), 0) }

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

// remove takes it away, with those that a session made inside.
func (c *cgroup) remove() {
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
