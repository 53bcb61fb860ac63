package agent

import (
	"log/slog"

	"github.com/sallyport/sallyport/internal/wire"
)

// maxUnsent bounds the reports that wait for a control line.
const maxUnsent = 64

// report sends a report to the gateway. Without a control line it keeps the report until there is one. It must be kept,
// because the first sweep runs before the agent has a line, and reports programs that ran without a supervisor. If the
// agent ends first, the report is only in the agent's log.
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
	if len(a.unsent) == maxUnsent {
		a.cfg.Log.Warn("too many reports wait for the gateway, so this one is dropped", slog.String("kind", r.Kind),
			slog.String("session", r.Session.String()), slog.String("text", r.Text))
		return
	}
	a.unsent = append(a.unsent, r)
}

// sendUnsent sends the reports that waited for a line.
func (l *line) sendUnsent() {
	l.a.mu.Lock()
	rest := l.a.unsent
	l.a.unsent = nil
	l.a.mu.Unlock()
	for _, r := range rest {
		l.a.report(r)
	}
}
