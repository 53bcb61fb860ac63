package proc

import (
	"bytes"
	"errors"
	"io/fs"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// How long what follows a newline is held back until the program has taken the line and shown what it makes of the
// terminal. Without it the rest of a paste would be typed into a prompt that does not hide yet. What follows a key at a
// hidden prompt for single keys is held back too: in a loop of read -s -n 1 the terminal echoes between two keys.
const holdPaste = 2 * time.Second // the rest of the same message

var holdTyped = 150 * time.Millisecond // a later one; longer in tests, which may run on a slow machine

// Type writes what was typed and gives a verdict for every byte of it, in order: how many, and whether they were hidden.
func (t *Terminal) Type(p []byte, verdict func(n int, hidden bool)) error {
	limit := t.lastLine.Add(holdTyped)
	for len(p) > 0 {
		if !t.lastLine.IsZero() && !urgent(p[0]) {
			t.hold(limit)
		}
		part := line(p)
		ends := part[len(part)-1] == '\n' || part[len(part)-1] == '\r'
		hidden := t.hidden()
		key := hidden && t.asksKeys()
		if _, err := t.master.Write(part); err != nil {
			return err
		}
		// A newline gives the line away, and the program may restore the echo at once: then the mode before counts.
		if !ends {
			hidden = t.hidden() || hidden
		}
		verdict(len(part), hidden)
		t.lastLine = time.Time{}
		if ends || key {
			t.stale = hidden
			t.lastLine = time.Now()
			limit = t.lastLine.Add(holdPaste)
		}
		p = p[len(part):]
	}
	return nil
}

// line gives what stands before the first newline, with it.
func line(p []byte) []byte {
	if i := bytes.IndexAny(p, "\r\n"); i >= 0 {
		return p[:i+1]
	}
	return p
}

// urgent characters interrupt, suspend or quit: they are for a program that does not read.
func urgent(c byte) bool { return c == 3 || c == 26 || c == 28 }

// hold waits until the last line was taken and the terminal either hides or is read from again, or the time is up. After
// a hidden line the terminal may only not have stopped hiding yet, and passwd throws away what was typed before its next
// question: then only a read counts. Programs that did not come back in time are not waited for again, because they may
// never read.
func (t *Terminal) hold(limit time.Time) {
	pause := 50 * time.Microsecond
	for {
		group := t.foreground()
		if t.gaveUp != nil && slices.Equal(t.gaveUp, foregrounds(group)) {
			return
		}
		if t.taken() {
			hidden := t.hidden()
			t.stale = t.stale && hidden
			if hidden && (!t.stale || unseen(group)) || settled(group) {
				return
			}
		}
		if !time.Now().Before(limit) {
			t.gaveUp = foregrounds(group)
			return
		}
		time.Sleep(pause)
		pause = min(pause*3/2, 4*time.Millisecond)
	}
}

// foregrounds are the process groups that may read what is typed: those of the terminal and of its inner terminals.
// There may be none.
func foregrounds(group int) []int {
	w, ok := walkFrom(group)
	if !ok {
		return nil
	}
	out := []int{group}
	for tty, all := range w.at {
		if tty != w.tty {
			out = append(out, all[0].foreground)
		}
	}
	slices.Sort(out)
	return out
}

// asksKeys reports a mode in which a hidden prompt reads single keys.
func (t *Terminal) asksKeys() bool {
	m := t.mode()
	return m != nil && m.Lflag&(unix.ECHO|unix.ICANON) == 0 && singleKeys(m)
}

// taken reports whether everything typed was read.
func (t *Terminal) taken() bool {
	c, err := t.slave.SyscallConn()
	if err != nil {
		return true
	}
	n := 0
	err = c.Control(func(fd uintptr) { n = untaken(int(fd)) })
	return err != nil || n == 0
}

// untaken counts what was typed at a terminal and not read. What is written to the master reaches the line discipline by
// a work queue, which a poll of the slave flushes: the count alone may say 0 too early.
func untaken(slave int) int {
	unix.Poll([]unix.PollFd{{Fd: int32(slave), Events: unix.POLLIN}}, 0)
	n, _ := unix.IoctlGetInt(slave, unix.TIOCINQ)
	return n
}

// settled reports whether what was typed has come to a program that waits for more. The client of a server does not
// read its terminal, its server does.
func settled(group int) bool {
	if !reads(group, 4) {
		if p, ok := readProcess(group); !ok || !servers[p.comm] {
			return false
		}
	}
	w, ok := walkFrom(group)
	return !ok || !w.serverRuns() && w.innerReads()
}

// innerReads reports whether what was passed on to inner terminals was read, and a program reads again at one of them.
func (w *walk) innerReads() bool {
	inner, again := false, false
	for tty, all := range w.at {
		if tty == w.tty {
			continue
		}
		slave, err := openInner(tty)
		if err != nil {
			continue // another user's: what happens there is not known
		}
		n := untaken(slave)
		unix.Close(slave)
		if n > 0 {
			return false
		}
		inner = true
		again = again || reads(all[0].foreground, 4)
	}
	return again || !inner
}

// reads reports whether the process group sleeps in a read of a terminal. A leader that waits for its children is not
// the one that reads.
func reads(group, depth int) bool {
	if group <= 0 || depth == 0 {
		return false
	}
	p, ok := readProcess(group)
	if !ok {
		return anyReads(group)
	}
	if p.state != 'S' {
		return false
	}
	switch inSyscall(p.pid) {
	case readsTerminal:
		return true
	case waitsChild:
		for _, c := range childrenOf(p.pid) {
			if reads(c, depth-1) {
				return true
			}
		}
	default:
		return p.threads > 1 && threadReads(p.pid)
	}
	return false
}

// threadReads is for a program that reads in another thread than its first, as Tcl and Go programs do.
func threadReads(pid int) bool {
	threads := threadsOf(pid)
	for _, thread := range threads[:min(len(threads), maxWalk)] {
		id, _ := strconv.Atoi(thread)
		if p, ok := readProcess(id); ok && p.state == 'S' && inSyscall(id) == readsTerminal {
			return true
		}
	}
	return false
}

// unseen reports whether we may not look at what a process waits in: it has other rights, and we are not root.
func unseen(pid int) bool {
	_, err := readProc(pid, "syscall")
	return errors.Is(err, fs.ErrPermission)
}

// anyReads is for a group whose leader has ended.
func anyReads(group int) bool {
	for _, p := range allProcesses() {
		if p.pgrp == group && p.state == 'S' && inSyscall(p.pid) == readsTerminal {
			return true
		}
	}
	return false
}
