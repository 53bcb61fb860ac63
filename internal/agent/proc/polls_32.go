//go:build arm || mipsle

package proc

import "golang.org/x/sys/unix"

// polls reports the system calls that wait for several files: what readline and full-screen programs sleep in. The last
// two take times of 64 bits.
func polls(nr int64) bool {
	return nr == unix.SYS_POLL || nr == unix.SYS__NEWSELECT || nr == unix.SYS_PPOLL || nr == unix.SYS_PSELECT6 ||
		nr == unix.SYS_PPOLL_TIME64 || nr == unix.SYS_PSELECT6_TIME64
}
