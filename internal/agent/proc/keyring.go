package proc

import (
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

// WithOwnKeyring runs start on a thread with a new session keyring, which the process that it starts inherits. Otherwise
// all programs of all logins have the agent's, from its service or from the shell of its administrator, and may read and
// write what it holds, because a program possesses the keys of its session keyring whoever it runs as (keyrings(7)).
func WithOwnKeyring(start func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with this goroutine
		_, _, errno := unix.Syscall(unix.SYS_KEYCTL, unix.KEYCTL_JOIN_SESSION_KEYRING, 0, 0)
		switch errno {
		case 0, unix.ENOSYS, unix.EPERM: // none in the kernel, or a container's filter, which is the programs' too
			done <- start()
		default:
			done <- fmt.Errorf("make a session keyring: %w", errno)
		}
	}()
	return <-done
}
