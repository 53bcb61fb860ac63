package node

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// noCoreDumps keeps this process's memory, in which keys and typed text are, out of files. A core that goes to a program
// knows no limit, so the process is made undumpable as well; then no other process of the same user may attach or read
// it either, which in a demo somebody may want.
func noCoreDumps(demo bool) error {
	err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
	if err == nil && !demo {
		err = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
	}
	if err != nil {
		return fmt.Errorf("switch core dumps off: %w", err)
	}
	return nil
}
