package gateway

import (
	"context"
	"log/slog"
	"time"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/store"
)

// closeTime bounds the last writes of a session, which continue when everything else has stopped.
const closeTime = 20 * time.Second

// finish closes the recording, makes the log and the database agree with it, and puts the outcome into the session's
// row.
func (s *Session) finish(reason string) {
	ctx, cancel := context.WithTimeout(context.Background(), s.b.cfg.CloseTime)
	defer cancel()
	closed, outcome := s.closeRecording(ctx, reason), s.outcomeRow(reason)
	s.b.settle(ctx, s.id, "the end of its recording", func(ctx context.Context) error {
		p, err := closed()
		if err != nil {
			return err
		}
		return s.b.reconcile(ctx, p)
	})
	// The outcome has a time of its own: it needs the database only, and the signer may have used up the first one.
	own, done := context.WithTimeout(context.Background(), s.b.cfg.CloseTime)
	defer done()
	s.b.settle(own, s.id, "its outcome", func(ctx context.Context) error {
		p, err := closed()
		if err != nil {
			return err
		}
		return s.changeNow(ctx, func(row *store.Session) {
			outcome(row)
			row.Record, row.Gaps = p.file, int64(p.stop.gaps)
		})
	})
}

var errClosing = errkind.New(errkind.Unavailable, "the disk has not taken the end of the recording yet").
	WithHint("The gateway's operator must check the disk that has the recordings.")

// closeRecording closes the recording, and waits for it until ctx ends. closed gives what the session knows about the
// recording then. It returns errClosing while the disk delays the close, because nobody knows yet where it ends.
func (s *Session) closeRecording(ctx context.Context, reason string) (closed func() (*part, error)) {
	var p *part
	done := make(chan struct{})
	go func() {
		defer close(done)
		p = s.endOfRecording(reason)
	}()
	select {
	case <-done:
	case <-ctx.Done():
	}
	return func() (*part, error) {
		select {
		case <-done:
			return p, nil
		default:
			return nil, errClosing
		}
	}
}

// endOfRecording closes the recording, for as long as the disk takes, and gives what the session knows about it.
func (s *Session) endOfRecording(reason string) *part {
	closed, err := s.rec.Close(context.Background(), reason)
	p := &part{session: s.id, h0: s.rec.H0(), file: recordOf(closed), stop: s.b.stopped(closed, reason)}
	if err != nil {
		s.b.cfg.Log.Error("a recording could not be closed", slog.String("session", s.id.String()),
			slog.Any("error", err))
		p.file = store.RecordCut
	}
	if s.leaf != nil { // otherwise the session was refused, or the signer's answer was lost
		p.open = &openLeaf{*s.leaf, s.begun}
	}
	return p
}

// changeNow edits the row unless it is known that the database does not answer.
func (s *Session) changeNow(ctx context.Context, edit func(*store.Session)) error {
	if err := s.b.ground(); err != nil {
		return err
	}
	return s.change(ctx, edit)
}

// outcomeRow gives the edit that writes a session's outcome into its row, except the state of its recording.
func (s *Session) outcomeRow(reason string) func(*store.Session) {
	now, began := s.b.cfg.Now(), !s.started.IsZero() && s.line != nil
	return func(row *store.Session) {
		row.State, row.Ended, row.EndReason = store.Closed, now, reason
		row.BytesIn, row.BytesOut, row.HiddenRanges = s.bytesIn.Load(), s.bytesOut.Load(), s.hidden.Load()
		if !began {
			row.State = store.Refused
		}
		if c := s.first; c.exited && c.exit.Signal == "" {
			status := int(c.exit.Status)
			row.ExitStatus = &status
		}
		row.ExitSignal = s.first.exit.Signal
	}
}

// unwritten is a write about a session that has ended, which failed.
type unwritten struct {
	session id.Session
	what    string
	write   func(context.Context) error
}

// settle does a write about a session that has ended. If it fails, Run and Drain retry it until it succeeds.
func (b *Broker) settle(ctx context.Context, sid id.Session, what string, write func(context.Context) error) {
	err := write(ctx)
	if err == nil {
		return
	}
	b.cfg.Log.Error("a write about a session failed and will be retried", slog.String("session", sid.String()),
		slog.String("what", what), slog.Any("error", err))
	b.mu.Lock()
	b.unsettled = append(b.unsettled, unwritten{sid, what, write})
	b.mu.Unlock()
}

func (b *Broker) settleRest(ctx context.Context) {
	b.mu.Lock()
	rest := b.unsettled
	b.unsettled = nil
	b.mu.Unlock()
	for _, u := range rest {
		one, cancel := context.WithTimeout(ctx, b.cfg.CloseTime)
		b.settle(one, u.session, u.what, u.write)
		cancel()
	}
}
