package proc

import (
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// readsUnedited reports whether a process is a shell, or another small tool, that reads keys without a line editor.
// It does not draw its input, in any mode without echo. Between two keys it is running. While it waits for another
// program, or another program in the same foreground reads, the mode belongs to that program.
func (w *walk) readsUnedited(p process, tty int, m *unix.Termios) bool {
	if !unedited(p, m) {
		return false
	}
	switch inSyscall(p.pid) {
	case readsTerminal:
		return true
	case runs:
		return !slices.ContainsFunc(w.programs(tty), func(other process) bool {
			return other.pid != p.pid && inSyscall(other.pid) == readsTerminal
		})
	}
	return false
}

// unedited reports whether a mode is not the one that the program's own line editor sets.
func unedited(p process, m *unix.Termios) bool {
	literal := m.Cc[unix.VLNEXT] != 0 // the line editors of these shells handle ^V themselves
	switch program(p) {
	case "bash":
		return literal || m.Lflag&unix.ECHOK == 0 // read -e -s: readline in a terminal that hid before it
	case "zsh", "dash":
		return literal
	case "mksh", "lksh": // stty -echo; read -n: the mode of the line editor, but with signals
		return literal || m.Lflag&unix.ISIG != 0
	case "ksh93", "ksh": // the mode of the line editor; but read -n calls read, and the line editor calls select first
		return literal || readsAtOnce(p.pid)
	case "dd", "head": // stty raw -echo; dd bs=1 count=8
		return true
	}
	return false
}

// program returns the name of the file that a process executes, because the comm of a shell may be its script's name.
// It returns the comm if this process may not read the link.
func program(p process) string {
	file, err := os.Readlink("/proc/" + strconv.Itoa(p.pid) + "/exe")
	if err != nil {
		return p.comm
	}
	return path.Base(strings.TrimSuffix(file, " (deleted)")) // a package upgrade may have replaced the file
}

func readsAtOnce(pid int) bool {
	raw, _ := readProc(pid, "syscall")
	nr, _, ok := parseSyscall(string(raw))
	return ok && nr == unix.SYS_READ
}
