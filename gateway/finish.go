package gateway

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/store"
)

// closeTime bounds the last writes of a session, which go on when everything else has stopped.
const closeTime = 20 * time.Second

// finish closes the recording, puts the close leaf into the log and the outcome into the row.
func (s *Session) finish(reason string) {
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	log := s.b.cfg.Log.With(slog.String("session", s.id.String()))
	closed, err := s.rec.Close(ctx, reason)
	typ, record := "close", recordOf(closed)
	if err != nil {
		log.Error("a recording could not be closed", slog.Any("error", err))
		typ, record = "interrupted", store.RecordCut
	}
	facts := closeFacts{head: closed.HFinal, seq: closed.Seq, bytes: closed.Bytes, gaps: closed.Totals.Gaps, reason: reason, at: s.b.cfg.Now()}
	s.b.settle(ctx, chain{log, "the end of a session in the log", s.announceClose(typ, facts, record)})
	edit := s.outcomeRow(reason, record, int64(closed.Totals.Gaps))
	s.b.settle(ctx, chain{log, "the end of a session in the database", []func(context.Context) error{
		func(ctx context.Context) error { return s.changeNow(ctx, edit) }}})
}

// changeNow edits the row unless it is known that the database does not answer.
func (s *Session) changeNow(ctx context.Context, edit func(*store.Session)) error {
	if err := s.b.ground(); err != nil {
		return err
	}
	return s.change(ctx, edit)
}

// outcomeRow gives what the row says of a session that has ended.
func (s *Session) outcomeRow(reason, record string, gaps int64) func(*store.Session) {
	now, began := s.b.cfg.Now(), !s.started.IsZero() && s.line != nil
	return func(row *store.Session) {
		row.State, row.Ended, row.EndReason, row.Record = store.Closed, now, reason, record
		row.BytesIn, row.BytesOut, row.HiddenRanges, row.Gaps = s.bytesIn.Load(), s.bytesOut.Load(), s.hidden.Load(), gaps
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

// announceClose gives the steps that put the end into the log, unless the session was never announced, and then into
// the row of the part.
func (s *Session) announceClose(typ string, f closeFacts, record string) []func(context.Context) error {
	var end loggedEnd
	return []func(context.Context) error{
		func(ctx context.Context) (err error) {
			if s.leaf == nil { // the signer's answer may have been lost after it announced the session
				s.leaf, err = s.b.cfg.Signer.Unended(ctx, s.rec.H0())
			}
			if err != nil || s.leaf == nil {
				return err
			}
			end, err = s.b.endOnce(ctx, typ, s.id, 0, *s.leaf, f)
			return err
		},
		s.keepBeginning,
		func(ctx context.Context) error {
			if s.leaf == nil {
				return s.b.keepUnannounced(ctx, s.id, 0, f, record)
			}
			return s.b.keepClose(ctx, end, s.id, 0, record)
		},
	}
}

// keepBeginning completes the row of a part whose beginning could not be written when it was announced: without it, the record
// could be neither exported nor checked.
func (s *Session) keepBeginning(ctx context.Context) error {
	if s.leaf == nil {
		return nil
	}
	if err := s.b.ground(); err != nil {
		return err
	}
	p, err := s.b.cfg.Store.Part(ctx, s.id, 0)
	switch {
	case err != nil || p.OpenLeaf != nil:
		return err
	case s.opened.Body == nil: // the answer did not come
		p.OpenLeaf = s.leaf
		return s.b.keepOpen(ctx, p)
	}
	_, err = s.b.cfg.Store.ChangePart(ctx, s.id, 0, func(p *store.Part) error {
		s.begun(p)
		return nil
	})
	return err
}

// keepClose stores the end of a part, as the log has it, in the part's row. file is the state of the part's container.
func (b *Broker) keepClose(ctx context.Context, end loggedEnd, sid id.Session, part uint32, file string) error {
	if err := b.ground(); err != nil {
		return err
	}
	_, err := b.cfg.Store.ChangePart(ctx, sid, part, func(p *store.Part) error {
		p.CloseLeaf = &end.leaf
		setEnd(p, end.facts, end.record(file))
		return nil
	})
	return err
}

// keepUnannounced stores the end of a part that the log never announced. file is the state of the part's container.
func (b *Broker) keepUnannounced(ctx context.Context, sid id.Session, part uint32, f closeFacts, file string) error {
	if err := b.ground(); err != nil {
		return err
	}
	_, err := b.cfg.Store.ChangePart(ctx, sid, part, func(p *store.Part) error {
		setEnd(p, f, file)
		return nil
	})
	if errors.Is(err, store.ErrNotFound) {
		return nil // the session was refused before its part was stored
	}
	return err
}

func setEnd(p *store.Part, f closeFacts, state string) {
	p.HFinal, p.Seq, p.Bytes, p.Ended, p.State = f.head, f.seq, f.bytes, f.at, state
}
