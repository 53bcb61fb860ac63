package agent

import (
	"errors"
	"os"
	"sync"

	"github.com/sallyport/sallyport/internal/agent/proc"
	"github.com/sallyport/sallyport/internal/agent/state"
	"github.com/sallyport/sallyport/internal/agent/supervise"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/wire"
)

// Frozen is what a freeze or a thaw did.
type Frozen struct {
	AgentRuns bool
	Ended     []proc.Swept // what no supervisor ended, because it was killed or does not answer
}

// silentWhy is why a freeze ended programs itself.
const silentWhy = "its supervisor did not answer the owner's freeze and was ended"

// Freeze sets or lifts the owner's freeze; sessions that run end at once. It needs no running agent. It ends a
// supervisor that does not answer within 5 s, with its programs, and without an agent also what killed supervisors left,
// as far as there are cgroups.
func Freeze(d state.Dir, on bool) (f Frozen, err error) {
	keys, err := d.Keys()
	if err != nil {
		return f, err
	}
	if err := d.Freeze(on); err != nil {
		return f, err
	}
	if on {
		f.Ended = endSessions(d)
	}
	var ok bool
	f.AgentRuns = d.Call(state.AgentSocket, state.Ask{Op: "changed"}, &ok) == nil && ok
	if on && !f.AgentRuns {
		f.Ended = append(f.Ended, proc.SweepCgroups(supervise.TreePrefix(keys.FP()))...)
	}
	return f, nil
}

// endSessions tells all supervisors to end their sessions, and ends those that do not answer.
func endSessions(d state.Dir) (ended []proc.Swept) {
	var all sync.WaitGroup
	var mu sync.Mutex // guards ended
	for _, sid := range d.Sessions() {
		all.Go(func() {
			var ok bool
			err := d.CallSession(sid, state.Ask{Op: "freeze"}, &ok)
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				return
			}
			if s, found := endSilent(d, sid); found {
				mu.Lock()
				ended = append(ended, s)
				mu.Unlock()
			}
		})
	}
	all.Wait()
	return ended
}

// endSilent ends a supervisor that does not answer, and has the agent tell the gateway what ran under it.
func endSilent(d state.Dir, sid id.Session) (s proc.Swept, found bool) {
	pid, err := d.HolderOf(sid)
	if err != nil {
		return s, false // it has ended by now
	}
	s = proc.Swept{Session: sid.String(), Ended: proc.EndTree(pid)}
	var ok bool
	d.Call(state.AgentSocket, state.Ask{Op: "report", Report: report(s, silentWhy)}, &ok)
	return s, true
}

// report is what the gateway is told of a sweep.
func report(s proc.Swept, why string) *wire.Report {
	text := why
	if len(s.Ended) > 0 {
		text += "; ended with SIGKILL: " + proc.List(s.Ended)
	}
	if len(s.Left) > 0 {
		text += "; SIGKILL did not end: " + proc.List(s.Left)
	}
	sid, _ := id.ParseSession(s.Session) // what was adopted comes without one
	return &wire.Report{T: wire.TypeReport, Session: sid, Kind: wire.ReportOrphans, Text: text}
}
