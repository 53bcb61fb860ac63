package agent

import (
	"log/slog"

	"github.com/sallyport/sallyport/internal/wire"
)

// mostUntold bounds the reports that wait for a control line.
const mostUntold = 64

// report tells the gateway something: now, or without a control line once there is one. The first sweep comes before the
// first line, and its report is about what ran unseen. A report is lost if the agent ends before that; its log has it.
func (a *Agent) report(r wire.Report) {
	a.mu.Lock()
	l := a.line
	if l == nil {
		a.keepReport(r)
	}
	a.mu.Unlock()
	if l != nil && l.trySend(r) != nil {
		a.mu.Lock()
		a.keepReport(r)
		a.mu.Unlock()
	}
}

// keepReport is called with a.mu held.
func (a *Agent) keepReport(r wire.Report) {
	if len(a.untold) == mostUntold {
		a.cfg.Log.Warn("too many reports wait for the gateway; one is in this log only", slog.String("kind", r.Kind),
			slog.String("session", r.Session.String()), slog.String("text", r.Text))
		return
	}
	a.untold = append(a.untold, r)
}

// tellRest sends the reports that waited for this line.
func (l *line) tellRest() {
	l.a.mu.Lock()
	rest := l.a.untold
	l.a.untold = nil
	l.a.mu.Unlock()
	for _, r := range rest {
		l.a.report(r)
	}
}
