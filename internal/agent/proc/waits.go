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

// inSyscall returns the kind of system call that a process waits in, or runs if it is running. It returns otherCall if
// this process may not know, because it is not root and the other one has other rights.
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

// parseSyscall reads /proc/PID/syscall (proc(5)): the number of the system call, and six arguments in hexadecimal.
// For a process that is running the file has neither.
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

// Readline and full-screen programs wait for several files at once. Such a program reads the terminal only if the
// terminal is one of these files: before its prompt it may wait for a resolver or a bus. So the list of files is read
// from the program's memory. If that is not allowed, the program counts as not reading. Input then waits, and does
// not leak.

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

// selectsTerminal reads the fd_set of files to read (select(2)): one bit for each file. The order of its bytes holds
// for little-endian machines, and the agent is built for these only.
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

// lookTime bounds how long a read of another process's memory is waited for. A program may serve its own pages
// (userfaultfd, or a file of its own FUSE), and a read of a page that it never serves never returns. looking allows one
// read at a time, so that such reads do not pile up.
const lookTime = 50 * time.Millisecond

var looking atomic.Bool

// memory returns n bytes of a process's memory. It returns nil if they cannot be read, or not within lookTime.
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
