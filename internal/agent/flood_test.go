package agent_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/agent/state"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/wire"
)

// A gateway in wrong hands sends opens without end. What they cost is one process at a time, and none beyond the rate.
func TestAFloodOfOpensStartsOneSupervisorAtATime(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	d := newDevice(t).enrol(g, "open")
	const many = 300
	l, answers := g.online(), make(chan any, many)
	opens := make([]wire.Open, many)
	g.mu.Lock()
	for i := range opens {
		opens[i] = wire.Open{T: wire.TypeOpen, Session: id.NewSession()}
		g.answers[opens[i].Session] = answers
	}
	g.mu.Unlock()
	go func() {
		for _, o := range opens {
			if l.SendMsg(o, 5*time.Second) != nil {
				return
			}
		}
	}()
	most, rate := 0, 0
	for n, deadline := 0, time.After(60*time.Second); n < many; {
		select {
		case a := <-answers:
			n++
			if r, ok := a.(wire.Refuse); ok && r.Clause == state.ClauseRate {
				rate++
			}
		case <-time.After(2 * time.Millisecond):
		case <-deadline:
			t.Fatalf("got %d answers, want %d", n, many)
		}
		most = max(most, supervisors(d.cmd.Process.Pid))
	}
	if most > 10 { // one, and those that are just ending; without the limit it would be the burst of 50
		t.Errorf("got %d supervisors at once", most)
	}
	if rate < many/2 {
		t.Errorf("refused by rate: got %d of %d", rate, many)
	}
}

// supervisors counts the children of an agent.
func supervisors(agent int) int {
	entries, _ := os.ReadDir("/proc")
	n := 0
	for _, e := range entries {
		raw, err := os.ReadFile("/proc/" + e.Name() + "/stat")
		if _, rest, ok := strings.Cut(string(raw), ") "); err == nil && ok && strings.HasPrefix(rest[1:], fmt.Sprintf(" %d ", agent)) && rest[0] != 'Z' {
			n++
		}
	}
	return n
}
