//go:build arm64 || riscv64

package proc

import "golang.org/x/sys/unix"

// polls reports the system calls that wait for several files: what readline and full-screen programs sleep in.
func polls(nr int64) bool { return nr == unix.SYS_PPOLL || nr == unix.SYS_PSELECT6 }
