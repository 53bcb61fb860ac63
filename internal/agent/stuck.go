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
	lookEvery = 5 * time.Second  // how often the supervisors are asked
	stuckTime = 25 * time.Second // how long a supervisor may not answer before it is killed
)

// watchStuck ends supervisors that do not answer until ctx ends. A stopped supervisor cannot end its session. A login
// can block its supervisor: to start a program, the supervisor forks a child that shares its memory until exec
// (vfork). If the login's home or program is on a file system that never answers, such as the login's own FUSE, the
// thread that forked does not return. The next garbage collection then stops all other threads and waits for that
// one.
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

// endStuck kills a supervisor and all its descendants, including the child that it cannot start. Then it sweeps for
// processes that were no longer its descendants.
func (a *Agent) endStuck(sid id.Session) {
	pid, err := a.cfg.State.HolderOf(sid)
	if err != nil {
		a.cfg.Log.Error("a supervisor does not answer, and its process is not found",
			slog.String("session", sid.String()), slog.Any("error", err))
		return
	}
	ended := proc.EndTree(pid)
	a.reportSwept(proc.Swept{Session: sid.String(), Ended: ended}, "its supervisor did not answer and was ended")
	a.sweep()
}
