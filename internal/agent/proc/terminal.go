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

// maxRead is how much output is gathered before it goes out as one piece.
const maxRead = 32 << 10

// Terminal is a PTY, seen from the master's side. One goroutine may write, another read.
type Terminal struct {
	master *os.File // non-blocking, so that a read can be given up
	slave  *os.File // kept open while the program runs, to see whether it has read what was typed
	fd     syscall.RawConn

	lastLine time.Time // when a newline was last written
	stale    bool      // it hid the last line and has not been seen to stop: no sign that it hides the next
	gaveUp   []int     // the foreground groups that did not come to read in time
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

// Resize sets the size; the kernel tells the foreground.
func (t *Terminal) Resize(cols, rows uint16) error {
	var err error
	t.fd.Control(func(fd uintptr) {
		err = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Row: rows, Col: cols})
	})
	return err
}

// Read gathers output: a program that writes in small pieces should not make as many packets.
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

// Ended closes our own hold of the slave, without which the output would have no end, and bounds what is still waited for.
func (t *Terminal) Ended() {
	t.slave.Close()
	t.Drain()
}

// hangTime is how long output at a terminal may pause after its program has ended. What is left there is hung up then, as
// with ssh, so it is short.
const hangTime = time.Second

// Drain begins the time anew that output after the end may take.
func (t *Terminal) Drain() { t.master.SetReadDeadline(time.Now().Add(hangTime)) }

// Close lets go of the terminal: what still runs at it is hung up.
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
