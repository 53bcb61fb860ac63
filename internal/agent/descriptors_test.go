package agent_test

import (
	"os"
	"strconv"
	"strings"
	"testing"
)

// TestAProgramInheritsNoDescriptorOfTheAgent: where the agent is started, a file, a socket or a terminal may be open.
func TestAProgramInheritsNoDescriptorOfTheAgent(t *testing.T) {
	t.Parallel()
	secret, err := os.CreateTemp(t.TempDir(), "secret")
	if err != nil {
		t.Fatal(err)
	}
	defer secret.Close()
	g := newGate(t)
	d := newDevice(t)
	d.inherits = []*os.File{secret, secret, secret, secret}
	d.enrol(g, "open")
	l := g.start(wish{})
	for _, terminal := range []bool{false, true} {
		p := l.channel()
		if terminal {
			p.terminal(t, 80, 24)
		}
		p.exec("ls -l /proc/$$/fd")
		if out, _ := p.finish(t); strings.Contains(out, "secret") || !strings.Contains(out, " 2 -> ") {
			t.Errorf("terminal %t: the program has\n%s", terminal, out)
		}
	}
}

// TestAProgramInheritsNoSignalSettingsOfTheAgent: with them Ctrl-C or Ctrl-Z would not reach it.
func TestAProgramInheritsNoSignalSettingsOfTheAgent(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	d := newDevice(t)
	d.wrap = []string{"env", "--ignore-signal=HUP,INT,QUIT,PIPE,CONT,TSTP,TTIN,TTOU", "--block-signal=INT,TERM,ALRM,TSTP"}
	d.enrol(g, "open")
	p := g.start(wish{}).channel()
	p.exec("exec grep -E 'Sig(Blk|Ign)' /proc/self/status")
	out, _ := p.finish(t)
	got := strings.Fields(out)
	if len(got) != 4 {
		t.Fatalf("got %q", got)
	}
	for _, mask := range []string{got[1], got[3]} {
		set, err := strconv.ParseUint(mask, 16, 64)
		if set &= 1<<31 - 1; err != nil || set != 0 { // not the real-time ones, some of which the C library has for itself
			t.Errorf("got %q, want no signal from 1 to 31 blocked or ignored", got)
		}
	}
}
