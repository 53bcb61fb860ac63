package gateway

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/signer"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/recorder/ledger"
)

// closeFacts is what a close leaf says about the end of a part.
type closeFacts struct {
	head   [32]byte
	seq    uint32
	bytes  int64
	gaps   uint64
	reason string
	at     time.Time
}

// loggedEnd is the end of a part in the log. A part has at most one.
type loggedEnd struct {
	leaf  uint64 // index
	typ   string // close or interrupted
	facts closeFacts
}

// record gives the state of a recording with this end. file is the state of its container.
func (e loggedEnd) record(file string) string {
	if e.typ == "interrupted" {
		return store.RecordCut
	}
	return file
}

// endOnce writes the end of a part to the log. If the log has an end already, endOnce reads and returns that one: an
// earlier recovery may have written it, or this process, which then lost the answer.
func (b *Broker) endOnce(ctx context.Context, typ string, sid id.Session, part uint32, open uint64,
	f closeFacts) (loggedEnd, error) {
	leaf, err := b.appendClose(ctx, typ, sid, part, open, f)
	if errkind.KindOf(err) != errkind.Conflict {
		return loggedEnd{leaf, typ, f}, err
	}
	end, readErr := b.findEnd(ctx, open)
	switch {
	case readErr != nil:
		return loggedEnd{}, readErr
	case end == nil:
		return loggedEnd{}, err
	}
	return *end, nil
}

// appendClose announces the end of a part and gives the index of its leaf.
func (b *Broker) appendClose(ctx context.Context, typ string, sid id.Session, part uint32, open uint64,
	f closeFacts) (uint64, error) {
	body, err := ledger.CloseBody{Session: sid, Part: part, Open: open, HFinal: f.head, Seq: f.seq, Bytes: f.bytes,
		Gaps: f.gaps, Reason: f.reason, AtMS: f.at.UnixMilli()}.Marshal()
	if err != nil {
		return 0, fmt.Errorf("%s leaf: %w", typ, err)
	}
	out, err := b.cfg.Signer.Append(ctx, signer.AppendRequest{Type: typ, Ref: []uint64{open}, Body: body})
	return out.Index, err
}

// findEnd reads the end of an open leaf; nil if the log has none. The end follows its beginning, so the search starts
// there and needs no other bound.
func (b *Broker) findEnd(ctx context.Context, open uint64) (end *loggedEnd, err error) {
	var bad error
	err = b.readLog(ctx, open+1, func(i uint64, leaf ledger.Leaf, body []byte) (done bool) {
		if leaf.Type != "close" && leaf.Type != "interrupted" || !slices.Equal(leaf.Ref, []uint64{open}) {
			return false
		}
		var c ledger.CloseBody
		if c, bad = ledger.ParseCloseBody(body); bad == nil {
			end = &loggedEnd{i, leaf.Type, closeFacts{head: c.HFinal, seq: c.Seq, bytes: c.Bytes, gaps: c.Gaps,
				reason: c.Reason, at: time.UnixMilli(c.AtMS)}}
		}
		return true
	})
	if err == nil {
		err = bad
	}
	return end, err
}

// findOpens finds the open leaves of recordings by their first hashes. The signer knows those that have no end yet. For
// the others findOpens reads the log, once for all of them. A recording that is absent from the result was never
// announced.
func (b *Broker) findOpens(ctx context.Context, wanted map[[32]byte]bool) (map[[32]byte]uint64, error) {
	found := map[[32]byte]uint64{}
	for h0 := range wanted {
		open, err := b.cfg.Signer.Unended(ctx, h0)
		if err != nil {
			return nil, err
		}
		if open != nil {
			found[h0] = *open
		}
	}
	if len(found) == len(wanted) {
		return found, nil
	}
	err := b.readLog(ctx, 0, func(i uint64, leaf ledger.Leaf, body []byte) (done bool) {
		if leaf.Type != "open" {
			return false
		}
		if open, err := ledger.ParseOpenBody(body); err == nil && wanted[open.H0] {
			found[open.H0] = i
		}
		return len(found) == len(wanted)
	})
	return found, err
}

// readLog calls seen with each entry of the log from an index on, until seen returns true or the log ends.
func (b *Broker) readLog(ctx context.Context, from uint64,
	seen func(i uint64, leaf ledger.Leaf, body []byte) (done bool)) error {
	for {
		entries, err := b.cfg.Signer.Entries(ctx, from)
		if err != nil || len(entries) == 0 {
			return err
		}
		for _, e := range entries {
			leaf, err := ledger.ParseLeaf(e.Leaf)
			if err != nil {
				return fmt.Errorf("log entry %d: %w", from, err)
			}
			if seen(from, leaf, e.Body) {
				return nil
			}
			from++
		}
	}
}
