//go:build arm64 || riscv64

package proc

import "golang.org/x/sys/unix"

func polls(nr int64) bool { return nr == unix.SYS_PPOLL }

func selects(nr int64) bool { return nr == unix.SYS_PSELECT6 }
