//go:build arm || mipsle

package proc

import "golang.org/x/sys/unix"

// The last of each take times of 64 bits.
func polls(nr int64) bool {
	return nr == unix.SYS_POLL || nr == unix.SYS_PPOLL || nr == unix.SYS_PPOLL_TIME64
}

func selects(nr int64) bool {
	return nr == unix.SYS__NEWSELECT || nr == unix.SYS_PSELECT6 || nr == unix.SYS_PSELECT6_TIME64
}
