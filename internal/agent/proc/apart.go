package proc

import (
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// signalABI is the first version of Landlock that keeps signals inside a domain: Linux 6.12.
const signalABI = 6

// CanKeepApart returns nil if this device can keep the processes of sessions apart, and otherwise the reason.
func CanKeepApart() error {
	s, err := newStarter()
	if err == nil {
		close(s.jobs)
	}
	return err
}

// KeepApart puts everything that this tree starts from now on into one Landlock domain of its own (Linux,
// Documentation/userspace-api/landlock.rst). A process in the domain can signal and trace only processes of the
// domain, and read the memory, environment and descriptors only of these. Otherwise it could read the input of
// another session under the same login, and control its programs. The terminals of one login, /dev/pts/N, are not
// covered. The error says what the kernel or the agent's rights lack.
func (t *Tree) KeepApart() (err error) {
	t.starter, err = newStarter()
	return err
}

// starter is a thread in a Landlock domain. The processes that it starts inherit the domain. The other threads of this
// process stay outside, because they must signal and examine these processes.
type starter struct{ jobs chan func() }

func newStarter() (*starter, error) {
	if err := hasSignalScope(); err != nil {
		return nil, err
	}
	s, entered := &starter{make(chan func())}, make(chan error)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with this goroutine, and nothing else ever runs on it
		err := enterDomain()
		entered <- err
		if err != nil {
			return
		}
		for job := range s.jobs {
			job()
		}
	}()
	if err := <-entered; err != nil {
		return nil, err
	}
	return s, nil
}

func hasSignalScope() error {
	abi, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	switch {
	case errno != 0:
		return errors.New("the kernel has no Landlock")
	case abi < signalABI:
		return fmt.Errorf("the kernel has Landlock %d, and %d (Linux 6.12) is needed", abi, signalABI)
	}
	return nil
}

// do runs a function on the thread in the domain, or on the caller's thread if there is no starter.
func (s *starter) do(job func()) {
	if s == nil {
		job()
		return
	}
	done := make(chan struct{})
	s.jobs <- func() { defer close(done); job() }
	<-done
}

// enterDomain puts the calling thread into a new domain, which restricts only signals and tracing out of it.
func enterDomain() error {
	attr := unix.LandlockRulesetAttr{Scoped: unix.LANDLOCK_SCOPE_SIGNAL}
	fd, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr), 0)
	if errno != 0 {
		return fmt.Errorf("landlock_create_ruleset: %w", errno)
	}
	defer unix.Close(int(fd))
	_, _, errno = unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, fd, 0, 0)
	switch errno {
	case 0:
		return nil
	case unix.EPERM: // no_new_privs would be enough instead of the capability, but then sudo would not work
		return errors.New("the agent has no CAP_SYS_ADMIN: it does not run as root, or in a container that takes it away")
	}
	return fmt.Errorf("landlock_restrict_self: %w", errno)
}
