package proc

import (
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// readsUnedited reports a shell, or another small tool, that reads keys without a line editor. It draws nothing of what
// is typed, whatever the mode of the terminal is otherwise. Between two keys it runs. While it waits for another
// program, or another program in the same foreground reads, the mode is not its own.
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

// unedited reports a mode that is not that of the program's own line editor.
func unedited(p process, m *unix.Termios) bool {
	literal := m.Cc[unix.VLNEXT] != 0 // the line editors of these shells take ^V for themselves
	switch program(p) {
	case "bash":
		return literal || m.Lflag&unix.ECHOK == 0 // read -e -s: readline in a terminal that hid before it
	case "zsh", "dash":
		return literal
	case "mksh", "lksh": // stty -echo; read -n: the mode of the editor, with signals
		return literal || m.Lflag&unix.ISIG != 0
	case "ksh93", "ksh": // the same, read without the select that the editor waits in
		return literal || readsAtOnce(p.pid)
	case "dd", "head": // stty raw -echo; dd bs=1 count=8
		return true
	}
	return false
}

// program is the name of the file that a process runs: the name of the process is its script's. It is the name of the
// process where the file may not be asked for.
func program(p process) string {
	file, err := os.Readlink("/proc/" + strconv.Itoa(p.pid) + "/exe")
	if err != nil {
		return p.comm
	}
	return path.Base(strings.TrimSuffix(file, " (deleted)")) // replaced since it was started
}

func readsAtOnce(pid int) bool {
	raw, _ := readProc(pid, "syscall")
	nr, _, ok := parseSyscall(string(raw))
	return ok && nr == unix.SYS_READ
}
