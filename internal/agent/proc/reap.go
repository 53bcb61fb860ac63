package proc

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// mostNamed bounds the processes that one reaping names.
const mostNamed = 64

// reap takes the status of the children of this process that have ended. It stops at the first one to spare, because
// another goroutine waits for that one. It returns at most mostNamed of them. It asks the kernel for one child at a
// time (waitid(2)): there may be thousands, and while a list of them is read, the child that runs may end.
func reap(spare func(pid int) bool) (gone []process) {
	for {
		pid := nextEnded()
		if pid == 0 || spare(pid) {
			return gone
		}
		if len(gone) < mostNamed {
			if p, ok := readProcess(pid); ok {
				gone = append(gone, p)
			}
		}
		if _, err := unix.Wait4(pid, nil, unix.WNOHANG, nil); err != nil {
			return gone
		}
	}
}

// ReapOrphans takes the status of the children of this process that have ended, except those to spare. It is for an agent
// that is the first process of its PID namespace, and so gets the children of processes that no session started.
func ReapOrphans(spare func(pid int) bool) {
	reap(spare)
	reapListed(spare)
}

// pidAt is the offset of si_pid in siginfo_t: its union is aligned as a pointer.
const pidAt = 8 + unsafe.Sizeof(uintptr(0))

// nextEnded returns the id of a child that has ended, or 0 if there is none. It leaves the child's status to be taken.
func nextEnded() int {
	var info unix.Siginfo
	for {
		err := unix.Waitid(unix.P_ALL, 0, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return 0
		}
		return int(*(*int32)(unsafe.Add(unsafe.Pointer(&info), pidAt)))
	}
}

// reapListed does the same as reap, but does not stop at a child to spare. It reads the list of children, so it is slow
// if there are many.
func reapListed(spare func(pid int) bool) (gone []process) {
	for _, pid := range childrenOf(os.Getpid()) {
		if p, ok := readProcess(pid); ok && p.ended() && !spare(pid) {
			unix.Wait4(pid, nil, unix.WNOHANG, nil)
			gone = append(gone, p)
		}
	}
	return gone
}
