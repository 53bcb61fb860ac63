package agent_test

import (
	"os"
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
