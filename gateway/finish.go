package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/signer"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/recorder/ledger"
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
		if s.exited && s.exit.Signal == "" {
			status := int(s.exit.Status)
			row.ExitStatus = &status
		}
		row.ExitSignal = s.exit.Signal
	}
}

// announceClose gives the steps that put the end into the log, unless the session was never announced, and then into
// the row of the part.
func (s *Session) announceClose(typ string, f closeFacts, record string) []func(context.Context) error {
	var leaf uint64
	tried := false
	return []func(context.Context) error{
		func(ctx context.Context) (err error) {
			if s.leaf == nil {
				s.leaf, err = s.b.findOpen(ctx, s.rec.H0(), 256)
			}
			if err != nil || s.leaf == nil {
				return err
			}
			if tried { // an answer that did not come is no proof that nothing was written
				found, err := s.b.findClose(ctx, *s.leaf, 256)
				if found != nil {
					leaf = *found
				}
				if found != nil || err != nil {
					return err
				}
			}
			tried = true
			leaf, err = s.b.appendClose(ctx, typ, s.id, 0, *s.leaf, f)
			return err
		},
		s.keepBeginning,
		func(ctx context.Context) error {
			if s.leaf == nil {
				return s.b.keepUnannounced(ctx, s.id, f, record)
			}
			return s.b.keepClose(ctx, leaf, s.id, 0, f, record)
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

type closeFacts struct {
	head   [32]byte
	seq    uint32
	bytes  int64
	gaps   uint64
	reason string
	at     time.Time
}

// appendClose announces the end of a part and gives the index of its leaf.
func (b *Broker) appendClose(ctx context.Context, typ string, sid id.Session, part uint32, open uint64,
	f closeFacts) (uint64, error) {
	body, err := ledger.CloseBody{Session: sid, Part: part, Open: open, HFinal: f.head, Seq: f.seq, Bytes: f.bytes, Gaps: f.gaps, Reason: f.reason, AtMS: f.at.UnixMilli()}.Marshal()
	if err != nil {
		return 0, fmt.Errorf("%s leaf: %w", typ, err)
	}
	out, err := b.cfg.Signer.Append(ctx, signer.AppendRequest{Type: typ, Ref: []uint64{open}, Body: body})
	return out.Index, err
}

// keepClose stores where and how a part ended.
func (b *Broker) keepClose(ctx context.Context, leaf uint64, sid id.Session, part uint32, f closeFacts,
	record string) error {
	if err := b.ground(); err != nil {
		return err
	}
	_, err := b.cfg.Store.ChangePart(ctx, sid, part, func(p *store.Part) error {
		p.CloseLeaf, p.HFinal, p.Seq, p.Bytes, p.Ended, p.State = &leaf, f.head, f.seq, f.bytes, f.at, record
		return nil
	})
	return err
}

// keepUnannounced says in the row of a part that it has ended, though the log knows nothing of it.
func (b *Broker) keepUnannounced(ctx context.Context, sid id.Session, f closeFacts, record string) error {
	if err := b.ground(); err != nil {
		return err
	}
	_, err := b.cfg.Store.ChangePart(ctx, sid, 0, func(p *store.Part) error {
		p.HFinal, p.Seq, p.Bytes, p.Ended, p.State = f.head, f.seq, f.bytes, f.at, record
		return nil
	})
	if errors.Is(err, store.ErrNotFound) {
		return nil // it did not come to that
	}
	return err
}

// findOpen looks for the open leaf of a recording among the newest entries: a signer that failed after it had
// announced, or a crash between its answer and our row, must not leave an open leaf without an end.
func (b *Broker) findOpen(ctx context.Context, h0 [32]byte, back uint64) (index *uint64, err error) {
	err = b.newest(ctx, back, func(i uint64, leaf ledger.Leaf, e signer.Entry) bool {
		body, err := ledger.ParseOpenBody(e.Body)
		if leaf.Type != "open" || err != nil || body.H0 != h0 {
			return false
		}
		index = &i
		return true
	})
	return index, err
}

// findClose looks for the end of an open leaf.
func (b *Broker) findClose(ctx context.Context, open uint64, back uint64) (found *uint64, err error) {
	err = b.newest(ctx, back, func(i uint64, leaf ledger.Leaf, e signer.Entry) bool {
		if leaf.Type != "close" && leaf.Type != "interrupted" || !slices.Equal(leaf.Ref, []uint64{open}) {
			return false
		}
		found = &i
		return true
	})
	return found, err
}

// newest shows the newest entries of the log, the last one first, until seen has what it wants.
func (b *Broker) newest(ctx context.Context, most uint64, seen func(i uint64, leaf ledger.Leaf, e signer.Entry) bool) error {
	size, err := b.logSize(ctx)
	if err != nil {
		return err
	}
	for i := size; i > 0 && size-i < most; i-- {
		e, err := b.cfg.Signer.Entry(ctx, i-1)
		if err != nil {
			return err
		}
		if leaf, err := ledger.ParseLeaf(e.Leaf); err == nil && seen(i-1, leaf, e) {
			return nil
		}
	}
	return nil
}

func (b *Broker) logSize(ctx context.Context) (uint64, error) {
	keys, err := b.cfg.Signer.Keys(ctx)
	if err != nil {
		return 0, err
	}
	note, err := b.cfg.Signer.Head(ctx)
	if err != nil {
		return 0, err
	}
	cp, err := ledger.ParseCheckpoint(note, keys.LogKey)
	return cp.Size, err
}
