package gateway

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/sallyport/sallyport/internal/errkind"
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

// endInLog writes the end of an announced part to the log. If the log has an end already, it reads and returns that
// one: an earlier recovery may have written it, or this process, which then lost the answer. Without p.stop it only
// looks for an end and returns nil if there is none.
func (b *Broker) endInLog(ctx context.Context, p *part) (*loggedEnd, error) {
	if p.stop == nil {
		open, err := b.cfg.Signer.Unended(ctx, p.h0)
		if err != nil || open != nil { // without an end, the log is not searched for it at each start
			return nil, err
		}
		return b.findEnd(ctx, p.open.index)
	}
	end, err := b.appendEnd(ctx, p)
	if errkind.KindOf(err) != errkind.Conflict {
		return end, err
	}
	end, readErr := b.findEnd(ctx, p.open.index)
	if readErr != nil {
		return nil, readErr
	}
	if end == nil {
		return nil, err
	}
	return end, nil
}

// appendEnd writes the end of a part to the log: close if its container has its close, otherwise interrupted.
func (b *Broker) appendEnd(ctx context.Context, p *part) (*loggedEnd, error) {
	typ, f := "close", *p.stop
	if p.file == store.RecordCut {
		typ = "interrupted"
	}
	body, err := ledger.CloseBody{Session: p.session, Part: p.number, Open: p.open.index, HFinal: f.head, Seq: f.seq,
		Bytes: f.bytes, Gaps: f.gaps, Reason: f.reason, AtMS: f.at.UnixMilli()}.Marshal()
	if err != nil {
		return nil, fmt.Errorf("%s leaf: %w", typ, err)
	}
	out, err := b.cfg.Signer.Append(ctx, signer.AppendRequest{Type: typ, Ref: []uint64{p.open.index}, Body: body})
	if err != nil {
		return nil, err
	}
	return &loggedEnd{out.Index, typ, f}, nil
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

// unendedOpen gives the open leaf of a recording by its first hash while the log has no end of it; otherwise nil.
func (b *Broker) unendedOpen(ctx context.Context, h0 [32]byte) (*openLeaf, error) {
	i, err := b.cfg.Signer.Unended(ctx, h0)
	if err != nil || i == nil {
		return nil, err
	}
	e, err := b.cfg.Signer.Entry(ctx, *i)
	if err != nil {
		return nil, err
	}
	return openAt(*i, e.Body), nil
}

// openAt gives an open leaf from the log, which has the promised retention date and only the hash of the pass.
func openAt(index uint64, body []byte) *openLeaf {
	return &openLeaf{index, func(row *store.Part) { row.OpenLeaf, row.Retain = &index, promised(body) }}
}

// findOpens adds the open leaves of parts by their first hashes, in one reading of the log for all of them. The log
// does not announce the parts that still have none afterwards.
func (b *Broker) findOpens(ctx context.Context, parts map[[32]byte]*part) error {
	if len(parts) == 0 {
		return nil
	}
	left := len(parts)
	return b.readLog(ctx, 0, func(i uint64, leaf ledger.Leaf, body []byte) (done bool) {
		if leaf.Type != "open" {
			return false
		}
		open, err := ledger.ParseOpenBody(body)
		if p := parts[open.H0]; err == nil && p != nil {
			if p.open == nil {
				left--
			}
			p.open = openAt(i, body)
		}
		return left == 0
	})
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
