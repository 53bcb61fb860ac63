package proc

import (
	"errors"
	"io/fs"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// drawn are programs that ask for secrets with a terminal in raw mode, where the kernel's echo is always off and so
// does not show a hidden prompt. The names are as in comm of proc(5), cut at 15 characters.
var drawn = map[string]bool{"sudo": true, "su": true, "passwd": true, "login": true, "systemd-ask-pas": true,
	"systemd-tty-ask": true, "whiptail": true, "dialog": true, "gpg": true, "cryptsetup": true}

// starters are the programs of drawn that then start another program and wait for it.
var starters = map[string]bool{"sudo": true, "su": true, "login": true}

// keyed are programs that use the mode of a prompt for single keys and ask for no secret: pagers and top, and socat,
// which passes input on to a program that echoes it.
var keyed = map[string]bool{"more": true, "top": true, "socat": true}

// hidden reports whether input typed now does not appear on the screen.
func (t *Terminal) hidden() bool {
	m := t.mode()
	switch {
	case m == nil:
		return true // the mode is not known, and a secret must not be recorded in the clear
	case m.Lflag&unix.ECHO != 0:
		return false
	case m.Lflag&unix.ICANON != 0:
		return true
	}
	w, ok := walkFrom(t.foreground())
	if !ok {
		return true // /proc may hide a setuid program, which may be sudo at its prompt
	}
	return w.cut || w.hides(w.tty, m) || w.innerHides()
}

// innerHides reports whether an inner terminal hides input. It is not known which of them gets the input, so one that
// hides is enough. A terminal that this process may not open counts as hiding.
func (w *walk) innerHides() bool {
	for tty := range w.at {
		if tty == w.tty {
			continue
		}
		m, err := innerMode(tty)
		if err != nil && !gone(err) || err == nil && w.hides(tty, m) {
			return true
		}
	}
	return false
}

// gone reports whether an error says that a terminal is hung up or removed.
func gone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.EIO) || errors.Is(err, unix.ENXIO)
}

// hides reports whether a terminal does not show input. In line mode the kernel's echo decides; read -s, getpass, sudo,
// su, passwd and ssh ask in this mode. Otherwise it depends on the program whether it draws the input.
func (w *walk) hides(tty int, m *unix.Termios) bool {
	switch {
	case m.Lflag&unix.ECHO != 0:
		return false
	case m.Lflag&unix.ICANON != 0:
		return true
	}
	prompt := singleKeys(m) && !w.relayed[tty]
	for _, p := range w.programs(tty) {
		if w.asks(p) || w.readsUnedited(p, tty, m) {
			return true
		}
		prompt = prompt && !keyed[p.comm]
	}
	return prompt
}

// asks reports whether a program may be asking for a secret. A starter that has started its program no longer asks.
func (w *walk) asks(p process) bool {
	if starters[p.comm] && w.parents[p.pid] {
		return false
	}
	return drawn[p.comm] || strings.HasPrefix(p.comm, "pinentry")
}

// singleKeys reports whether a mode gives the program each key and leaves signals, newlines and ^V to the kernel.
// Hidden prompts use it, such as read -s -n of a shell, or a program that draws an asterisk for each key. A program
// that draws its input handles at least one of these itself: newlines (readline, libedit, fish and most full-screen
// programs), newlines and ^V (zsh), signals (the ash of BusyBox), extensions (Python 3.13) or ^V (less).
func singleKeys(m *unix.Termios) bool {
	const kept = unix.ISIG | unix.IEXTEN
	return m.Lflag&kept == kept && m.Iflag&(unix.ICRNL|unix.INLCR) == unix.ICRNL && m.Cc[unix.VLNEXT] != 0
}

func (t *Terminal) mode() *unix.Termios {
	var m *unix.Termios
	t.fd.Control(func(fd uintptr) { m, _ = unix.IoctlGetTermios(int(fd), unix.TCGETS) })
	return m
}

func innerMode(tty int) (*unix.Termios, error) {
	fd, err := openInner(tty)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	return unix.IoctlGetTermios(fd, unix.TCGETS)
}

// openInner opens a terminal without making it this process's controlling terminal. It retries after EINTR, because the
// Go runtime sends signals to its own threads.
func openInner(tty int) (int, error) {
	name := "/dev/pts/" + strconv.Itoa(int(unix.Minor(uint64(tty))))
	for {
		fd, err := unix.Open(name, unix.O_RDONLY|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if err != unix.EINTR {
			return fd, err
		}
	}
}
