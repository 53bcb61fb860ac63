package agent_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/sallyport/sallyport/internal/agent/state"
)

// Nobody restarts the agent, and the line of its session is lost as well: what runs on the terminal is told by a hang-up and
// has the grace to put its things in order.
func TestASessionWhoseAgentDiedHangsUpItsTerminalAndGivesGrace(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	d := newDevice(t).enrol(g, "open")
	l := g.start(wish{})
	p := l.channel().terminal(t, 80, 24)
	told := filepath.Join(t.TempDir(), "told")
	p.exec(fmt.Sprintf(`trap 'echo hangup > %[1]s; sleep 0.5; echo saved >> %[1]s; exit' HUP; echo pid $$; while :; do sleep 0.05; done`, told))
	p.expect(t, "pid ")
	pid := p.expect(t, "\n")
	d.kill(9)
	l.conn.Close()
	waitGone(t, pid)
	if raw, _ := os.ReadFile(told); string(raw) != "hangup\nsaved\n" {
		t.Errorf("the program on the terminal was told %q, want a hang-up and time to save", raw)
	}
	eventually(t, "the supervisor is gone", func() bool { return len(state.At(d.dir).Sessions()) == 0 })
}
