package proc

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// mostNamed bounds the processes that one reaping names.
const mostNamed = 64

// reap takes the status of the children of this process that have ended, until it meets one to spare, for which somebody
// else waits. It gives the first of them. There may be thousands, and reading a list of them takes so long that the one
// that runs has ended meanwhile; so the kernel is asked for one after the other (waitid(2)).
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

// pidAt is where siginfo_t has si_pid: the union begins at the alignment of a pointer.
const pidAt = 8 + unsafe.Sizeof(uintptr(0))

// nextEnded gives a child that has ended, and leaves its status where it is; 0: there is none.
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

// reapListed is reap that goes on behind those to spare. It reads the list, so it is for when there are few.
func reapListed(spare func(pid int) bool) (gone []process) {
	for _, pid := range childrenOf(os.Getpid()) {
		if p, ok := readProcess(pid); ok && p.ended() && !spare(pid) {
			unix.Wait4(pid, nil, unix.WNOHANG, nil)
			gone = append(gone, p)
		}
	}
	return gone
}
