package proc

import (
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// maxWalk bounds how many processes a walk reads one by one, because each typed byte needs a walk.
const maxWalk = 64

// servers are the programs whose server process holds the inner terminals. The server is not a child of its client.
var servers = map[string]bool{"screen": true, "tmux": true, "tmux: client": true, "tmux: server": true}

// A walk finds the programs that get what is typed at a terminal: those in its foreground, and those at inner
// terminals. An inner terminal is one that a program opened to pass on what is typed at its own, as script and sudo do.
type walk struct {
	tty, group int               // the outer terminal and its foreground
	at         map[int][]process // the processes found, by terminal
	parents    map[int]bool      // the found processes that have a child
	relayed    map[int]bool      // the terminals with an inner terminal
	cut        bool              // there are more than maxWalk processes
	whole      bool              // every terminal of the session counts as an inner one

	seen     map[int]bool
	queue    []step
	all      map[int]process // every process, if they were read at once
	children map[int][]int
}

// step is a process whose children are still to be read, and the terminal that it or its nearest ancestor is at.
type step struct {
	process
	near int
}

// walkFrom walks down from a process group. It returns false if it can read no process of the group.
func walkFrom(group int) (*walk, bool) {
	w := &walk{group: group}
	if group <= 0 {
		return w, false // the terminal has no foreground group, and group 0 has the kernel's threads
	}
	if !listsChildren() {
		w.readAll()
	}
	members := w.members()
	if len(members) == 0 {
		return w, false
	}
	w.tty = members[0].tty
	w.run(members)
	if client, ok := w.client(); ok {
		w.readAll()
		w.whole = true
		w.run(members, w.roots(client)...)
	}
	return w, true
}

// run walks down from members, which are at the outer terminal, and from others, which may be at any terminal.
func (w *walk) run(members []process, others ...process) {
	w.at, w.cut = map[int][]process{}, false
	w.parents, w.relayed, w.seen = map[int]bool{}, map[int]bool{}, map[int]bool{}
	w.queue = nil
	for _, p := range members {
		w.seen[p.pid] = true
		w.add(p, w.tty)
	}
	for _, p := range others {
		w.queue = append(w.queue, step{p, 0})
	}
	for ; len(w.queue) > 0 && !w.cut; w.queue = w.queue[1:] {
		w.below(w.queue[0])
	}
}

// members finds the processes of the group. It reads all of /proc only if the group's leader has ended. Otherwise it
// reads the newest children of the leader's parent, because the programs of a pipeline are the newest children of one
// shell. The leader of a session is in no pipeline.
func (w *walk) members() []process {
	leader, ok := w.read(w.group)
	if !ok || leader.ended() {
		return w.survivors()
	}
	out := []process{leader}
	if leader.session == leader.pid {
		return out
	}
	list := w.childrenOf(process{pid: leader.ppid, threads: 1}) // shells have one thread
	for _, pid := range slices.Backward(list[max(0, len(list)-maxWalk):]) {
		if pid == leader.pid {
			continue
		}
		if p, ok := w.read(pid); ok && p.pgrp == w.group && !p.ended() {
			out = append(out, p)
		}
	}
	return out
}

// survivors finds the processes of a group whose leader has ended.
func (w *walk) survivors() []process {
	w.readAll()
	var out []process
	for _, p := range w.all {
		if p.pgrp == w.group && !p.ended() {
			out = append(out, p)
		}
	}
	return out
}

// below reads the children of a process. A background job of the outer terminal gets no input, so the terminals below
// it do not count.
func (w *walk) below(s step) {
	if strings.HasPrefix(s.comm, "emacs") {
		return // the terminals of its programs have no echo, because Emacs draws what is typed
	}
	for _, pid := range w.childrenOf(s.process) {
		c, ok := w.read(pid)
		if !ok || c.ended() {
			continue
		}
		w.parents[s.pid] = true
		if w.seen[pid] {
			continue
		}
		if w.cut = w.all == nil && len(w.seen) == maxWalk; w.cut {
			return
		}
		w.seen[pid] = true
		switch {
		case c.tty != w.tty || c.pgrp == w.group:
			w.add(c, s.near)
		case w.whole:
			w.queue = append(w.queue, step{c, 0})
		}
	}
}

func (w *walk) add(p process, near int) {
	if isPTS(p.tty) {
		if p.tty != near {
			w.relayed[near] = true
		}
		near = p.tty
		w.at[near] = append(w.at[near], p)
	}
	w.queue = append(w.queue, step{p, near})
}

// client finds a foreground program whose inner terminals are held by a server.
func (w *walk) client() (process, bool) {
	for tty := range w.at {
		for _, p := range w.programs(tty) {
			if servers[p.comm] {
				return p, true
			}
		}
	}
	return process{}, false
}

// roots returns the processes to search for the client's server: this process, an ancestor of every server that the
// session started, and the servers that run as the client's user.
func (w *walk) roots(client process) []process {
	out := []process{{pid: os.Getpid()}}
	for _, p := range w.all {
		if servers[p.comm] && owner(p.pid) == owner(client.pid) {
			out = append(out, p)
		}
	}
	return out
}

// serverRuns reports whether a server is running or writing. It may then still have input to pass on.
func (w *walk) serverRuns() bool {
	for _, p := range w.all {
		if w.whole && servers[p.comm] && (p.state == 'R' || p.state == 'D') { // D: it writes
			return true
		}
	}
	return false
}

// programs returns the processes in the foreground of a terminal.
func (w *walk) programs(tty int) []process {
	if tty == w.tty {
		return w.at[tty]
	}
	var out []process
	for _, p := range w.at[tty] {
		if p.pgrp == p.foreground {
			out = append(out, p)
		}
	}
	return out
}

func (w *walk) read(pid int) (process, bool) {
	if w.all == nil {
		return readProcess(pid)
	}
	p, ok := w.all[pid]
	return p, ok
}

func (w *walk) childrenOf(p process) []int {
	if w.all == nil {
		return listedChildren(p)
	}
	return w.children[p.pid]
}

func (w *walk) readAll() {
	if w.all == nil {
		w.all = allProcesses()
		w.children = byParent(w.all)
	}
}

func isPTS(tty int) bool { return unix.Major(uint64(tty)) == 136 } // UNIX98_PTY_SLAVE_MAJOR
