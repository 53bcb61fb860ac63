package proc

import (
	"fmt"
	"strings"
	"testing"
)

// FuzzStat: whatever a process calls itself, its parent, group and terminal are those of the kernel.
func FuzzStat(f *testing.F) {
	f.Add("bash", 1, 2, 34816)
	f.Add(") R 1 1 1 (", 7, 8, 0)
	f.Add("a b\n)", 7, 8, -1)
	f.Add("", 0, 0, 0)
	f.Fuzz(func(t *testing.T, name string, ppid, pgrp, tty int) {
		line := fmt.Sprintf("42 (%s) S %d %d 3 %d", name, ppid, pgrp, tty) + strings.Repeat(" 0", 14) + " 99 0 0\n"
		p, ok := parseStat(42, line)
		if want := (process{pid: 42, ppid: ppid, pgrp: pgrp, session: 3, tty: tty, state: 'S', start: "99", comm: name}); !ok || p != want {
			t.Errorf("%q: got %+v, %v, want %+v", line, p, ok, want)
		}
		parseStat(42, name)
	})
}
