package backup

import (
	"errors"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// temp is a directory below the source for the snapshot. It is locked for as long as its backup runs: another backup
// of the same gateway, to another place, removes only what a crash left.
type temp struct {
	dir  string
	lock *os.File
}

func makeTemp(below string) (t temp, err error) {
	if t.dir, err = os.MkdirTemp(below, tempPrefix); err != nil {
		return t, err
	}
	if t.lock, err = os.Open(t.dir); err != nil {
		return t, err
	}
	return t, unix.Flock(int(t.lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
}

func (t temp) remove() {
	if t.dir != "" {
		os.RemoveAll(t.dir)
	}
	if t.lock != nil {
		t.lock.Close()
	}
}

// removeTemps removes snapshots, in the clear, of backups that were killed.
func removeTemps(below string) error {
	left, _ := filepath.Glob(filepath.Join(below, tempPrefix+"*")) // only ever a malformed pattern
	var all error
	for _, dir := range left {
		lock, err := os.Open(dir)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err == nil {
			if unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil {
				err = os.RemoveAll(dir)
			}
			err = errors.Join(err, lock.Close())
		}
		all = errors.Join(all, err)
	}
	return all
}

func removeAll(dir, pattern string) error {
	left, _ := filepath.Glob(filepath.Join(dir, pattern))
	var all error
	for _, path := range left {
		all = errors.Join(all, os.RemoveAll(path))
	}
	return all
}
