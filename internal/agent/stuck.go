package agent

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"time"

	"github.com/sallyport/sallyport/internal/agent/proc"
	"github.com/sallyport/sallyport/internal/agent/state"
	"github.com/sallyport/sallyport/internal/id"
)

const (
	lookEvery = 5 * time.Second  // at the supervisors, if there are any
	stuckTime = 25 * time.Second // without an answer, after which a supervisor is ended
)

// watchStuck ends supervisors that do not answer. A stopped one would end its session for nobody. And a login can bring
// its supervisor to a standstill: a program is started by a child that shares the supervisor's memory until exec
// (vfork), so where the login's home or program is on a file system that never answers, its own FUSE say, the thread
// that starts it does not return, and the next garbage collection waits for that thread with all others.
func (a *Agent) watchStuck(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	since := map[id.Session]time.Time{}
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		silent := map[id.Session]time.Time{}
		for _, sid := range a.cfg.State.Sessions() {
			asked := time.Now()
			var live state.Live
			err := a.cfg.State.CallSession(sid, state.Ask{Op: "info"}, &live)
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				continue
			}
			if was, before := since[sid]; before {
				asked = was
			}
			if silent[sid] = asked; time.Since(asked) > stuckTime {
				a.endStuck(sid)
			}
		}
		since = silent
	}
}

// endStuck ends a supervisor with all that descends from it, the child too that it cannot start. The sweep after its
// death finds the rest.
func (a *Agent) endStuck(sid id.Session) {
	pid, err := a.cfg.State.HolderOf(sid)
	if err != nil {
		a.cfg.Log.Error("a supervisor does not answer and is not found", slog.String("session", sid.String()), slog.Any("error", err))
		return
	}
	a.tellSwept(proc.Swept{Session: sid.String(), Ended: proc.EndTree(pid)}, "its supervisor did not answer and was ended")
	a.sweep()
}
