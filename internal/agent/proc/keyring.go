package proc

import (
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

// Afresh calls start on a thread with a new session keyring and no blocked signals. The process that start starts
// inherits both. Otherwise the programs of all logins would have the agent's session keyring, from its service or from
// its administrator's shell. They could read and write the keys in it, because a program possesses the keys of its
// session keyring under any user id (keyrings(7)). Signals that are blocked, such as Ctrl-C, would never reach them. It
// returns the error of start, or that of sigprocmask(2) or keyctl(2). If the kernel has no keyrings, or a container's
// filter forbids them, it calls start without a new one.
func Afresh(start func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with this goroutine
		if err := unix.PthreadSigmask(unix.SIG_SETMASK, &unix.Sigset_t{}, nil); err != nil {
			done <- fmt.Errorf("unblock signals: %w", err)
			return
		}
		_, _, errno := unix.Syscall(unix.SYS_KEYCTL, unix.KEYCTL_JOIN_SESSION_KEYRING, 0, 0)
		switch errno {
		case 0, unix.ENOSYS, unix.EPERM: // no keyrings in the kernel, or a container's filter, which programs inherit
			done <- start()
		default:
			done <- fmt.Errorf("make a session keyring: %w", errno)
		}
	}()
	return <-done
}
