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

// Input after a newline is held back until the program has read the line and set the mode of the terminal. Otherwise
// the rest of a paste could reach a prompt that does not hide its input yet. Input after a key at a hidden prompt for
// single keys is held back too: in a loop of read -s -n 1 the terminal echoes between two keys. These are the longest
// waits.
var holdPaste = 2 * time.Second // for the rest of the same message; longer in tests of what is read in time

var holdTyped = 150 * time.Millisecond // for a later message; longer in tests, which may run on a slow machine

// Type writes input to the terminal. It calls verdict for each piece that it has written, in order, with the number of
// bytes and whether they were hidden. It returns the error of the write.
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
		// After a newline the program may restore the echo at once, so only the mode before it counts.
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

// line returns the bytes up to and including the first newline, or all if there is none.
func line(p []byte) []byte {
	if i := bytes.IndexAny(p, "\r\n"); i >= 0 {
		return p[:i+1]
	}
	return p
}

// urgent reports whether a character interrupts, suspends or quits. It must reach a program that does not read.
func urgent(c byte) bool { return c == 3 || c == 26 || c == 28 }

// hold waits until the last line has been read and the terminal either hides input or is read from again, or until
// limit. If the last line was hidden, only a new read counts. The terminal may then still hide for that line, and
// passwd discards input from before its next question. hold does not wait again for programs that did not read in
// time, because they may never read.
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

// foregrounds returns the process groups that may read input: those in the foreground of the terminal and of its inner
// terminals. It returns nil if no process of the group can be read.
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

// asksKeys reports whether the terminal's mode is that of a hidden prompt for single keys.
func (t *Terminal) asksKeys() bool {
	m := t.mode()
	return m != nil && m.Lflag&(unix.ECHO|unix.ICANON) == 0 && singleKeys(m)
}

// taken reports whether all input has been read.
func (t *Terminal) taken() bool {
	c, err := t.slave.SyscallConn()
	if err != nil {
		return true
	}
	n := 0
	err = c.Control(func(fd uintptr) { n = untaken(int(fd)) })
	return err != nil || n == 0
}

// untaken returns the number of input bytes at a terminal that have not been read. It polls the slave first, because
// bytes written to the master reach the line discipline by a work queue, which the poll flushes. Without the poll the
// count may be 0 too early.
func untaken(slave int) int {
	unix.Poll([]unix.PollFd{{Fd: int32(slave), Events: unix.POLLIN}}, 0)
	n, _ := unix.IoctlGetInt(slave, unix.TIOCINQ)
	return n
}

// settled reports whether a program has read the input and waits for more. The server of a multiplexer reads the
// terminal of its client, so the client itself need not read.
func settled(group int) bool {
	if !reads(group, 4) {
		if p, ok := readProcess(group); !ok || !servers[p.comm] {
			return false
		}
	}
	w, ok := walkFrom(group)
	return !ok || !w.serverRuns() && w.innerReads()
}

// innerReads reports whether all input at the inner terminals has been read and a program reads again at one of them.
// It is true if there is none that this process may open.
func (w *walk) innerReads() bool {
	inner, again := false, false
	for tty, all := range w.at {
		if tty == w.tty {
			continue
		}
		slave, err := openInner(tty)
		if err != nil {
			continue // the terminal belongs to another user
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

// reads reports whether the process group waits in a read of a terminal. If the leader waits for its children, they are
// examined, down to depth generations.
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

// threadReads reports whether a thread of a process waits in a read of a terminal. Tcl and Go programs read in another
// thread than their first.
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

// unseen reports whether this process may not see what another one waits in: that one has other rights, and this one is
// not root.
func unseen(pid int) bool {
	_, err := readProc(pid, "syscall")
	return errors.Is(err, fs.ErrPermission)
}

// anyReads reports whether any process of a group waits in a read of a terminal. It is for a group whose leader has
// ended.
func anyReads(group int) bool {
	for _, p := range allProcesses() {
		if p.pgrp == group && p.state == 'S' && inSyscall(p.pid) == readsTerminal {
			return true
		}
	}
	return false
}
