package proc

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

// maxRead is how many bytes of output Read gathers at most.
const maxRead = 32 << 10

// Terminal is a PTY, seen from the master's side. One goroutine may write, another read.
type Terminal struct {
	master *os.File // non-blocking, so that a read can be given up
	slave  *os.File // kept open while the program runs, to see whether it has read what was typed
	fd     syscall.RawConn

	lastLine time.Time // when a newline was last written
	stale    bool      // it still hides for the last line, which does not mean that it hides the next one
	gaveUp   []int     // the foreground groups that did not read in time
}

// openTerminal makes a PTY that belongs to the account, as grantpt would.
func openTerminal(a Account) (*Terminal, error) {
	m, s, err := pty.Open()
	if err != nil {
		return nil, fmt.Errorf("open a terminal: %w", err)
	}
	defer m.Close() // its descriptor became blocking when it was opened; a copy of it is used
	fd, err := unix.FcntlInt(m.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err == nil {
		err = unix.SetNonblock(fd, true)
	}
	if err != nil {
		s.Close()
		return nil, fmt.Errorf("open a terminal: %w", err)
	}
	t := &Terminal{master: os.NewFile(uintptr(fd), m.Name()), slave: s}
	if t.fd, err = t.master.SyscallConn(); err != nil {
		t.Close()
		return nil, err
	}
	if os.Geteuid() == 0 {
		err = errors.Join(os.Chown(s.Name(), int(a.UID), -1), os.Chmod(s.Name(), 0o620))
	}
	if err != nil {
		t.Close()
		return nil, fmt.Errorf("give the terminal to %s: %w", a.Name, err)
	}
	return t, nil
}

// Resize sets the size of the terminal in characters. The kernel signals its foreground group.
func (t *Terminal) Resize(cols, rows uint16) error {
	var err error
	t.fd.Control(func(fd uintptr) {
		err = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Row: rows, Col: cols})
	})
	return err
}

// Read reads output. It gathers at most maxRead bytes, because a program that writes small pieces should not cause as
// many packets. It returns io.EOF at the end of the output.
func (t *Terminal) Read(p []byte) (int, error) {
	n, err := t.master.Read(p)
	for err == nil && n < min(len(p), maxRead) && t.waiting() > 0 {
		var m int
		m, err = t.master.Read(p[n:min(len(p), maxRead)])
		n += m
	}
	if n > 0 {
		return n, nil
	}
	if errors.Is(err, unix.EIO) || errors.Is(err, os.ErrDeadlineExceeded) {
		err = io.EOF // every holder of the slave is gone, or nothing came after the program's end
	}
	return n, err
}

func (t *Terminal) waiting() int {
	n := 0
	t.fd.Control(func(fd uintptr) { n, _ = unix.IoctlGetInt(int(fd), unix.TIOCINQ) })
	return n
}

// Ended closes this process's descriptor of the slave, because the output has no end while it is open. Then it
// limits, as Drain does, how long reads wait for the rest of the output.
func (t *Terminal) Ended() {
	t.slave.Close()
	t.Drain()
}

// hangTime is how long output at a terminal may pause after its program has ended. It is short because the processes
// that are left at the terminal are hung up then, as with ssh.
const hangTime = time.Second

// Drain lets reads wait for hangTime from now.
func (t *Terminal) Drain() { t.master.SetReadDeadline(time.Now().Add(hangTime)) }

// Close closes the terminal. The kernel hangs up the processes that are left at it.
func (t *Terminal) Close() error {
	t.slave.Close()
	return t.master.Close()
}

// foreground is the process group that reads what is typed; 0 where there is none.
func (t *Terminal) foreground() int {
	n := 0
	t.fd.Control(func(fd uintptr) { n, _ = unix.IoctlGetInt(int(fd), unix.TIOCGPGRP) })
	return n
}
