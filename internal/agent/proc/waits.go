package proc

import (
	"encoding/binary"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

type syscallKind int

const (
	otherCall syscallKind = iota
	runs
	readsTerminal
	waitsChild
)

// inSyscall says what a process waits in, if it does not run. Of programs with other rights only root may ask.
func inSyscall(pid int) syscallKind {
	raw, err := readProc(pid, "syscall")
	if err != nil {
		return otherCall
	}
	if strings.HasPrefix(string(raw), "running") {
		return runs
	}
	nr, args, ok := parseSyscall(string(raw))
	switch {
	case !ok:
		return otherCall
	case nr == unix.SYS_WAIT4 || nr == unix.SYS_WAITID:
		return waitsChild
	case nr == unix.SYS_READ && terminalFD(pid, args[0]),
		polls(nr) && pollsTerminal(pid, args[0], args[1]),
		selects(nr) && selectsTerminal(pid, args[0], args[1]):
		return readsTerminal
	}
	return otherCall
}

// parseSyscall reads /proc/PID/syscall: the number and six arguments in hexadecimal; a process that runs has neither (proc(5)).
func parseSyscall(text string) (nr int64, args [6]uint64, ok bool) {
	f := strings.Fields(text)
	if len(f) < 7 {
		return 0, args, false
	}
	nr, err := strconv.ParseInt(f[0], 10, 64)
	if err != nil {
		return 0, args, false
	}
	for i := range args {
		if args[i], err = strconv.ParseUint(strings.TrimPrefix(f[i+1], "0x"), 16, 64); err != nil {
			return 0, args, false
		}
	}
	return nr, args, true
}

func terminalFD(pid int, fd uint64) bool {
	target, _ := os.Readlink("/proc/" + strconv.Itoa(pid) + "/fd/" + strconv.FormatUint(fd, 10))
	return strings.HasPrefix(target, "/dev/pts/") || strings.HasPrefix(target, "/dev/tty")
}

// A program that waits for several files at once, as readline and full-screen programs do, is only reading the terminal if it is
// one of them: before its prompt it may have waited for a resolver or a bus. So the list itself is read, from its memory. Where
// that is not allowed it counts as not reading: what is typed then waits, and does not leak.

const maxWatched = 1024 // files: FD_SETSIZE, and more than a program at a terminal polls

// pollsTerminal reads an array of struct pollfd (poll(2)).
func pollsTerminal(pid int, at, n uint64) bool {
	raw := memory(pid, at, 8*min(n, maxWatched))
	for ; len(raw) >= 8; raw = raw[8:] {
		fd, events := int32(binary.NativeEndian.Uint32(raw)), binary.NativeEndian.Uint16(raw[4:])
		if fd >= 0 && events&unix.POLLIN != 0 && terminalFD(pid, uint64(fd)) {
			return true
		}
	}
	return false
}

// selectsTerminal reads the fd_set of what is read (select(2)): one bit a file, in the order of bytes on machines that are little
// endian, as all that an agent is built for are.
func selectsTerminal(pid int, n, at uint64) bool {
	n = min(n, maxWatched)
	for i, b := range memory(pid, at, (n+7)/8) {
		for bit := range uint64(8) {
			if fd := uint64(i)*8 + bit; b&(1<<bit) != 0 && fd < n && terminalFD(pid, fd) {
				return true
			}
		}
	}
	return false
}

// lookTime bounds a look at another's memory, and looking lets one be under way: pages of a program may be its own to fill in
// (userfaultfd, a file of its own FUSE), and whoever reads one that it never fills waits for ever.
const lookTime = 50 * time.Millisecond

var looking atomic.Bool

// memory reads what a process has at an address; nothing where it may not be read, or not in time.
func memory(pid int, at, n uint64) []byte {
	if at == 0 || n == 0 || !looking.CompareAndSwap(false, true) {
		return nil
	}
	seen := make(chan []byte, 1)
	go func() {
		b := copied(pid, at, n)
		looking.Store(false)
		seen <- b
	}()
	late := time.NewTimer(lookTime)
	defer late.Stop()
	select {
	case b := <-seen:
		return b
	case <-late.C:
		return nil
	}
}

func copied(pid int, at, n uint64) []byte {
	buf := make([]byte, n)
	local := []unix.Iovec{{Base: &buf[0]}}
	local[0].SetLen(len(buf))
	got, err := unix.ProcessVMReadv(pid, local, []unix.RemoteIovec{{Base: uintptr(at), Len: len(buf)}}, 0)
	if err != nil {
		return nil
	}
	return buf[:got]
}
