package proc

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// drawn are programs that ask for secrets with a terminal in raw mode, where the kernel's echo says nothing. Names as
// the kernel keeps them, cut at 15 characters.
var drawn = map[string]bool{"sudo": true, "su": true, "passwd": true, "login": true, "systemd-ask-pas": true, "whiptail": true,
	"dialog": true, "gpg": true, "cryptsetup": true}

// relays pass what is typed on to a terminal of their own, and only that one knows whether it is hidden.
var relays = map[string]bool{"sudo": true, "su": true, "script": true, "screen": true, "tmux": true, "tmux: client": true}

// hides reports a terminal in line mode that does not echo: read -s, getpass, sudo, su, passwd and ssh.
func hides(m *unix.Termios) bool { return m.Lflag&unix.ECHO == 0 && m.Lflag&unix.ICANON != 0 }

// hidden reports whether what is typed now is hidden from whoever looks at the screen.
func (t *Terminal) hidden() bool {
	var m *unix.Termios
	t.fd.Control(func(fd uintptr) { m, _ = unix.IoctlGetTermios(int(fd), unix.TCGETS) })
	if m == nil {
		return true // what is not known is not revealed
	}
	if hides(m) {
		return true
	}
	if m.Lflag&unix.ECHO != 0 {
		return false
	}
	fg, ok := foregroundOf(t.foreground())
	if !ok {
		return true // as a setuid program is where /proc hides others' processes: that may be sudo at its prompt
	}
	if relays[fg.comm] {
		if inner, found := innerHides(fg); found {
			return inner
		}
	}
	return drawn[fg.comm] || strings.HasPrefix(fg.comm, "pinentry")
}

// foregroundOf finds a process of a group: its leader, or who is left when that has ended.
func foregroundOf(group int) (process, bool) {
	if p, ok := readProcess(group); ok && !p.ended() {
		return p, true
	}
	for _, p := range allProcesses() {
		if p.pgrp == group && !p.ended() {
			return p, true
		}
	}
	return process{}, false
}

// innerHides looks at the terminals below a relay. The server of tmux or screen is no child of the client in the
// foreground, so all terminals of the session are looked at; one that hides is enough.
func innerHides(relay process) (hidden, found bool) {
	all := allProcesses()
	seen := map[int]bool{relay.tty: true, 0: true}
	for _, p := range below(all, os.Getpid()) {
		if seen[p.tty] || p.ended() {
			continue
		}
		seen[p.tty] = true
		m, err := innerMode(p.tty)
		if err != nil {
			continue
		}
		found = true
		hidden = hidden || hides(m)
	}
	return hidden, found
}

func innerMode(tty int) (*unix.Termios, error) {
	major, minor := unix.Major(uint64(tty)), unix.Minor(uint64(tty))
	if major != 136 { // UNIX98_PTY_SLAVE_MAJOR
		return nil, fmt.Errorf("not a pts")
	}
	fd, err := unix.Open("/dev/pts/"+strconv.Itoa(int(minor)), unix.O_RDONLY|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	return unix.IoctlGetTermios(fd, unix.TCGETS)
}
