package agent

import (
	"log/slog"
	"os/exec"
	"sync"

	"github.com/sallyport/sallyport/internal/agent/proc"
	"github.com/sallyport/sallyport/internal/agent/supervise"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/wire"
)

// brood has the supervisors that this agent started and that have not ended. A supervisor that outlived an earlier agent
// is not in it, because it has another parent.
type brood struct {
	mu   sync.Mutex // held while one starts and while a sweep looks for what is none
	pids map[int]bool
}

// start starts a supervisor. If it does not end by itself, died is called then.
func (b *brood) start(cmd *exec.Cmd, died func()) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := proc.WithOwnKeyring(cmd.Start); err != nil {
		return err
	}
	if b.pids == nil {
		b.pids = map[int]bool{}
	}
	b.pids[cmd.Process.Pid] = true
	go func() {
		cmd.Wait() // it may outlive this agent; while it does not, it is reaped
		b.mu.Lock()
		delete(b.pids, cmd.Process.Pid)
		b.mu.Unlock()
		if !cmd.ProcessState.Success() {
			died()
		}
	}()
	return nil
}

// sweep ends what supervisors that died have left behind, and says what it was. A supervisor that ends by itself leaves
// nothing. One that was killed cannot end its programs, and nobody would see them any more.
func (a *Agent) sweep() {
	var all []proc.Swept
	if base, err := proc.CgroupBase(); err == nil {
		all = proc.SweepCgroups(base, supervise.TreePrefix(a.keys.FP()))
	}
	if adopted := a.sweepAdopted(); len(adopted.Ended)+len(adopted.Left) > 0 {
		all = append(all, adopted)
	}
	for _, s := range all {
		a.tellSwept(s, "its supervisor died")
	}
}

// watchEarlier sweeps when a supervisor ends that an earlier agent started.
func (a *Agent) watchEarlier() {
	if base, err := proc.CgroupBase(); err == nil {
		proc.WatchCgroups(base, supervise.TreePrefix(a.keys.FP()), a.sweep)
	}
}

func (a *Agent) sweepAdopted() proc.Swept {
	if !a.adopts {
		return proc.Swept{}
	}
	a.brood.mu.Lock()
	defer a.brood.mu.Unlock()
	return proc.SweepAdopted(func(pid int) bool { return a.brood.pids[pid] })
}

// tellSwept names the processes in this agent's log and to the gateway, which writes them into its own.
func (a *Agent) tellSwept(s proc.Swept, why string) {
	a.cfg.Log.Error("a supervisor died; what it left was ended", slog.String("session", s.Session), slog.String("why", why),
		slog.String("ended", proc.List(s.Ended)), slog.String("left", proc.List(s.Left)))
	text := why
	if len(s.Ended) > 0 {
		text += "; ended with SIGKILL: " + proc.List(s.Ended)
	}
	if len(s.Left) > 0 {
		text += "; SIGKILL did not end: " + proc.List(s.Left)
	}
	sid, _ := id.ParseSession(s.Session) // what was adopted comes without one
	a.report(wire.Report{T: wire.TypeReport, Session: sid, Kind: wire.ReportOrphans, Text: text})
}
