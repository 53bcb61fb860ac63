package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

// term is a client program in a terminal of ours.
type term struct {
	cmd  *exec.Cmd
	tty  *os.File
	seen []byte
}

const patience = 30 * time.Second

func openTerm(cmd *exec.Cmd) (*term, error) {
	tty, err := startTTY(cmd)
	if err != nil {
		return nil, fmt.Errorf("%v: %w", cmd.Args, err)
	}
	return &term{cmd: cmd, tty: tty}, nil
}

// startTTY runs a program in a terminal and gives the master's side. The descriptor that creack/pty opens blocks, so no deadline
// would hold on it; a copy of it does not.
func startTTY(cmd *exec.Cmd) (*os.File, error) {
	m, err := pty.StartWithSize(cmd, &pty.Winsize{Cols: 120, Rows: 40})
	if err != nil {
		return nil, err
	}
	defer m.Close()
	fd, err := unix.FcntlInt(m.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err == nil {
		err = unix.SetNonblock(fd, true)
	}
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), m.Name()), nil
}

// until reads until text has come.
func (t *term) until(text string) error {
	buf := make([]byte, 32<<10)
	t.tty.SetReadDeadline(time.Now().Add(patience))
	for !bytes.Contains(t.seen, []byte(text)) {
		n, err := t.tty.Read(buf)
		if err != nil {
			return fmt.Errorf("waiting for %q: %w; seen: %q", text, err, t.seen[max(0, len(t.seen)-400):])
		}
		t.seen = append(t.seen, buf[:n]...)
	}
	t.seen = t.seen[:0]
	return nil
}

// key types one key and says how long its echo took.
func (t *term) key() (time.Duration, error) {
	var echo [64]byte
	t.tty.SetReadDeadline(time.Now().Add(patience))
	began := time.Now()
	if _, err := t.tty.Write([]byte{'x'}); err != nil {
		return 0, err
	}
	n, err := t.tty.Read(echo[:])
	took := time.Since(began)
	if err == nil && (n != 1 || echo[0] != 'x') {
		err = fmt.Errorf("typed x, seen %q", echo[:n])
	}
	return took, err
}

func (t *term) close() {
	t.tty.Close()
	hard := killAfter(t.cmd, 5*time.Second)
	t.cmd.Wait()
	hard.Stop()
}
