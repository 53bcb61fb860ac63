package agent

import (
	"errors"
	"log/slog"

	"github.com/sallyport/sallyport/internal/agent/state"
	"github.com/sallyport/sallyport/internal/wire"
)

func (l *line) handle(kind string, raw []byte) {
	switch kind {
	case wire.TypeOpen:
		l.a.open(l, raw)
	case wire.TypeRenew:
		l.a.renew(l, raw)
	case wire.TypeEnd:
		if m, err := wire.Decode[wire.End](raw); err == nil {
			go l.a.endSession(m)
		}
	case wire.TypePong, wire.TypeStatus:
		if m, err := wire.Decode[wire.Pong](raw); err == nil && m.Status.Body != nil {
			if err := l.takeStatus(m.Status); err != nil {
				l.a.cfg.Log.Warn("a status does not hold", slog.Any("error", err))
			}
		}
	case wire.TypeBundle:
		if m, err := wire.Decode[wire.BundleMsg](raw); err == nil {
			l.takeBundle(m.Bundle)
		}
	case wire.TypeCheckpoint:
		if m, err := wire.Decode[wire.CheckpointMsg](raw); err == nil {
			l.takeCheckpoint(m)
		}
	case wire.TypeFreeze:
		go l.a.freeze()
	case wire.TypePing:
		l.pingNow()
	}
}

func (l *line) takeBundle(s wire.Signed) {
	next, err := wire.ParseBundle(s)
	if err == nil {
		err = l.a.currentBundle().Follows(next)
	}
	if err == nil {
		err = l.a.cfg.State.WriteJSON("bundle.json", s) // durable before use
	}
	if err != nil {
		l.a.cfg.Log.Warn("a trust bundle was not taken", slog.Any("error", err))
		return
	}
	l.a.mu.Lock()
	l.a.bundle = next
	l.a.mu.Unlock()
	l.a.cfg.Log.Info("new trust bundle", slog.Uint64("serial", next.Serial))
}

func (l *line) takeCheckpoint(m wire.CheckpointMsg) {
	head, r := l.a.trust.Extend(l.a.currentBundle().Log, m.Checkpoint, m.Proof)
	if r != nil {
		l.a.cfg.Log.Error("the gateway's log does not continue what this machine has seen", slog.String("why", r.Text))
		l.send(wire.Report{T: wire.TypeReport, Kind: wire.ReportCheckpoint, Text: "the checkpoint was refused"})
		return
	}
	l.a.cfg.Log.Debug("log", slog.Uint64("size", head.Size))
	l.pingNow() // so that the gateway proves from here next time
}

// takeStatus takes a fresh word on this device and hands it to every session.
func (l *line) takeStatus(s wire.Signed) error {
	st, err := wire.ParseStatus(s, l.a.currentBundle().CAKeys())
	if err != nil {
		return err
	}
	if st.Device != l.a.keys.FP() {
		return errors.New("status: it is for another device")
	}
	sent, r := l.a.trust.SentAt(st.Nonce)
	if r != nil {
		return r
	}
	if r := l.a.trust.Raise(st.Epoch, st.Time); r != nil {
		return r
	}
	l.a.mu.Lock()
	changed := l.a.gate != st.State
	l.a.clock, l.a.gate = state.NewClock(st, sent), st.State
	l.a.mu.Unlock()
	if changed {
		l.a.cfg.Log.Info("the gateway says", slog.String("state", st.State))
	}
	go l.a.relay(state.Ask{Op: "status", Status: &s, Sent: sent})
	return nil
}
