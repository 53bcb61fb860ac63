package agent

import (
	"context"
	"log/slog"
	"os/exec"
	"sync"
	"time"

	"github.com/sallyport/sallyport/internal/agent/proc"
	"github.com/sallyport/sallyport/internal/agent/supervise"
)

// supervisors has the supervisors that this agent started and that have not ended. A supervisor that an earlier agent
// started is not among them, because it has another parent.
type supervisors struct {
	mu   sync.Mutex // held while one starts, and while a sweep looks for children that are not supervisors
	pids map[int]bool
}

// start starts a supervisor. It calls died if the supervisor is killed or fails.
func (b *supervisors) start(cmd *exec.Cmd, died func()) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := proc.Afresh(cmd.Start); err != nil {
		return err
	}
	if b.pids == nil {
		b.pids = map[int]bool{}
	}
	b.pids[cmd.Process.Pid] = true
	go func() {
		cmd.Wait()
		b.mu.Lock()
		delete(b.pids, cmd.Process.Pid)
		b.mu.Unlock()
		if !cmd.ProcessState.Success() {
			died()
		}
	}()
	return nil
}

// sweep ends the processes that dead supervisors left, and reports them. A supervisor that ends by itself leaves none.
// One that was killed could not end its programs, and they would run on unwatched.
func (a *Agent) sweep() {
	all := proc.SweepCgroups(supervise.TreePrefix(a.keys.FP()))
	if adopted := a.sweepAdopted(); len(adopted.Ended)+len(adopted.Left) > 0 {
		all = append(all, adopted)
	}
	for _, s := range all {
		a.reportSwept(s, "its supervisor died")
	}
}

// watchEarlierSupervisors sweeps when a supervisor ends that an earlier agent started.
func (a *Agent) watchEarlierSupervisors() {
	proc.WatchCgroups(supervise.TreePrefix(a.keys.FP()), a.sweep)
}

func (a *Agent) sweepAdopted() proc.Swept {
	if !a.adopts {
		return proc.Swept{}
	}
	a.supervisors.mu.Lock()
	defer a.supervisors.mu.Unlock()
	return proc.SweepAdopted(func(pid int) bool { return a.supervisors.pids[pid] })
}

// reapOrphans takes the status of what has ended and has this agent as its parent because it is process 1: of a dead
// supervisor's programs, and of processes that something else in the container started. Nothing else does, and each of
// them would hold a process id for ever.
func (a *Agent) reapOrphans(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		a.supervisors.mu.Lock()
		proc.ReapOrphans(func(pid int) bool { return a.supervisors.pids[pid] })
		a.supervisors.mu.Unlock()
	}
}

// reportSwept names the processes in this agent's log and to the gateway, which writes them into its own.
func (a *Agent) reportSwept(s proc.Swept, why string) {
	a.cfg.Log.Error("a supervisor died; what it left was ended", slog.String("session", s.Session), slog.String("why", why),
		slog.String("ended", proc.List(s.Ended)), slog.String("left", proc.List(s.Left)))
	a.report(*report(s, why))
}
