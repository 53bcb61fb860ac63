package agent

import (
	"errors"
	"io/fs"
	"log/slog"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sallyport/sallyport/internal/agent/state"
	"github.com/sallyport/sallyport/internal/wire"
)

// renew hands the next pass of a session to its supervisor, as it came. It counts against the rate of opens and waits
// its turn with them: both move the log that the device holds.
func (a *Agent) renew(l *line, raw []byte) {
	m, err := wire.Decode[wire.Renew](raw)
	if err != nil || m.Session.IsZero() || m.N == 0 {
		a.cfg.Log.Warn("a renewal cannot be read", slog.Any("error", err))
		return
	}
	if r := a.trust.Begin(); r != nil {
		l.refuse(refusalOf(&m, r))
		return
	}
	a.children.Go(func() {
		a.deciding.Lock()
		defer a.deciding.Unlock()
		if err := a.handOn(l, &m, raw); err != nil {
			l.refuse(refusalOf(&m, a.notHandedOn(&m, err)))
		}
	})
}

// handOn answers the supervisor until it has decided. It may be one that a run of the agent before this one started.
func (a *Agent) handOn(l *line, m *wire.Renew, raw []byte) error {
	conn, err := a.cfg.State.TalkToSession(m.Session, state.Ask{Op: "renew", Renew: raw})
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(decideTime))
	return a.converse(l, conn, m.Session)
}

func (a *Agent) notHandedOn(m *wire.Renew, err error) *state.Refusal {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ECONNREFUSED) {
		return state.Refuse(state.ClauseSession, "this session does not run on this machine")
	}
	a.cfg.Log.Error("a supervisor failed", slog.String("session", m.Session.String()), slog.Any("error", err))
	return state.Refuse(state.ClauseFault, "the supervisor of the session failed on this machine")
}

func refusalOf(m *wire.Renew, r *state.Refusal) wire.Refuse {
	return wire.Refuse{T: wire.TypeRefuse, Session: m.Session, N: m.N, Clause: r.Clause, Text: r.Text}
}
