package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/signer"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/recorder"
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
	record := store.RecordComplete
	if err != nil {
		log.Error("a recording could not be closed", slog.Any("error", err))
		record = store.RecordCut
	} else if closed.Totals.Gaps > 0 {
		record = store.RecordGap
	}
	if err := s.announceClose(ctx, closed, err == nil, reason, record); err != nil {
		log.Error("the end of a session is not in the log yet", slog.Any("error", err))
	}
	now := s.b.cfg.Now()
	err = s.change(ctx, func(row *store.Session) {
		row.State, row.Ended, row.EndReason, row.Record = store.Closed, now, reason, record
		row.BytesIn, row.BytesOut, row.HiddenRanges, row.Gaps = s.bytesIn.Load(), s.bytesOut.Load(), s.hidden.Load(), int64(closed.Totals.Gaps)
		if s.started.IsZero() || s.line == nil {
			row.State = store.Refused
		}
		if s.exited && s.exit.Signal == "" {
			status := int(s.exit.Status)
			row.ExitStatus = &status
		}
		row.ExitSignal = s.exit.Signal
	})
	if err != nil {
		log.Error("the end of a session is not in the database", slog.Any("error", err))
	}
}

func (s *Session) announceClose(ctx context.Context, c recorder.Closed, whole bool, reason, record string) error {
	if s.leaf == nil {
		leaf, err := s.b.findOpen(ctx, s.rec.H0(), 256)
		if err != nil || leaf == nil {
			return err
		}
		s.leaf = leaf
	}
	typ := "close"
	if !whole {
		typ = "interrupted"
	}
	return s.b.closeLeaf(ctx, typ, s.id, 0, *s.leaf, closeFacts{head: c.HFinal, seq: c.Seq, bytes: c.Bytes, gaps: c.Totals.Gaps, reason: reason}, record)
}

type closeFacts struct {
	head   [32]byte
	seq    uint32
	bytes  int64
	gaps   uint64
	reason string
}

// closeLeaf announces the end of a part and keeps what the leaf commits to.
func (b *Broker) closeLeaf(ctx context.Context, typ string, sid id.Session, part uint32, open uint64, f closeFacts, record string) error {
	now := b.cfg.Now()
	body, err := ledger.CloseBody{Session: sid, Part: part, Open: open, HFinal: f.head, Seq: f.seq, Bytes: f.bytes, Gaps: f.gaps, Reason: f.reason, AtMS: now.UnixMilli()}.Marshal()
	if err != nil {
		return fmt.Errorf("%s leaf: %w", typ, err)
	}
	out, err := b.cfg.Signer.Append(ctx, signer.AppendRequest{Type: typ, Ref: []uint64{open}, Body: body})
	if err != nil {
		return err
	}
	_, err = b.cfg.Store.ChangePart(ctx, sid, part, func(p *store.Part) error {
		p.CloseLeaf, p.CloseNonce, p.CloseBody, p.HFinal, p.Seq, p.Bytes, p.Ended, p.State = &out.Index, out.Nonce, body, f.head, f.seq, f.bytes, now, record
		return nil
	})
	return err
}

// findOpen looks for the open leaf of a recording among the newest entries: a signer that failed after it had
// announced, or a crash between its answer and our row, must not leave an open leaf without an end.
func (b *Broker) findOpen(ctx context.Context, h0 [32]byte, back uint64) (*uint64, error) {
	size, err := b.logSize(ctx)
	if err != nil {
		return nil, err
	}
	for i := size; i > 0 && size-i < back; i-- {
		e, err := b.cfg.Signer.Entry(ctx, i-1)
		if err != nil {
			return nil, err
		}
		leaf, err := ledger.ParseLeaf(e.Leaf)
		if err != nil || leaf.Type != "open" {
			continue
		}
		body, err := ledger.ParseOpenBody(e.Body)
		if err == nil && body.H0 == h0 {
			index := i - 1
			return &index, nil
		}
	}
	return nil, nil
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
