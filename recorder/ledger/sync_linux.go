package ledger

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// lockFile takes the lock that makes one writer, and lets it go when the process ends, however it ends.
func lockFile(f *os.File) error {
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return fmt.Errorf("log: %s is held by another process: a log has one writer", f.Name())
	}
	return nil
}

func datasync(f *os.File) error { return unix.Fdatasync(int(f.Fd())) }
