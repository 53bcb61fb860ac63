package gateway

import (
	"context"
	"errors"
	"time"

	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/store"
)

// part is what is known about one part of a recording. reconcile adds what it learns, so a retry goes on from there.
type part struct {
	session id.Session
	number  uint32
	h0      [32]byte    // first hash; zero if the container's header cannot be read and the database has no row
	file    string      // the container: store.RecordComplete, RecordGap, RecordCut or RecordMissing
	stop    *closeFacts // where the container ends; nil if neither it nor its session says so
	open    *openLeaf   // its beginning in the log; nil if neither its session nor its row knows one
	end     *loggedEnd  // its end in the log; nil if not known
}

// openLeaf is the beginning of a part in the log.
type openLeaf struct {
	index uint64
	store func(*store.Part) // completes a row without an open leaf; unused if the index is from the row
}

// reconcile makes the container, the log and the database agree about one part. It finishes a session, retries what
// failed, and recovers after a crash. It may be called again after any error and after success, by this process or the
// next one, and ends in the same state.
//
// The log gets at most one end for an open leaf; one that it has already takes precedence over p.stop. Without p.stop
// it gets none, because an absent container does not say where it ended. A part that the log never announced has its
// end in its row alone. A part without a row, as after the restore of an older database, has it in the log alone.
//
// It returns the errors of the signer and of the database. While the database is known not to answer, it writes the end
// to the log and returns errGround without waiting.
func (b *Broker) reconcile(ctx context.Context, p *part) (err error) {
	if p.open == nil {
		if p.open, err = b.unendedOpen(ctx, p.h0); err != nil {
			return err
		}
	}
	if p.open != nil && p.end == nil {
		if p.end, err = b.endInLog(ctx, p); err != nil {
			return err
		}
	}
	return b.storePart(ctx, p)
}

// storePart adds the beginning and the end to the part's row.
func (b *Broker) storePart(ctx context.Context, p *part) error {
	if err := b.ground(); err != nil {
		return err
	}
	_, err := b.cfg.Store.ChangePart(ctx, p.session, p.number, func(row *store.Part) error {
		if row.OpenLeaf == nil && p.open != nil {
			p.open.store(row)
		}
		p.storeEnd(row, b.cfg.Now())
		return nil
	})
	if errors.Is(err, store.ErrNotFound) {
		return nil // refused before its row was stored, or the database is older
	}
	return err
}

// storeEnd adds to the row what is known about the end. A part that was never announced keeps the first end time that
// was stored, because no leaf has it.
func (p *part) storeEnd(row *store.Part, now time.Time) {
	switch {
	case p.end != nil:
		row.CloseLeaf, row.Ended, row.State = &p.end.leaf, p.end.facts.at, p.end.record(p.file)
		p.end.facts.store(row)
	case p.open != nil: // it has no end, and may be found again
		if p.file == store.RecordMissing {
			row.State = p.file
		}
	default:
		if row.State = p.file; row.Ended.IsZero() {
			row.Ended = now
		}
		if p.stop != nil {
			p.stop.store(row)
		}
	}
}

func (f *closeFacts) store(row *store.Part) { row.HFinal, row.Seq, row.Bytes = f.head, f.seq, f.bytes }
