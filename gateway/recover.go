package gateway

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"time"

	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/recorder"
	"github.com/sallyport/sallyport/recorder/format"
	"github.com/sallyport/sallyport/recorder/ledger"
)

// leftover is a part that an earlier process may not have finished.
type leftover struct {
	*part
	row *store.Part           // nil: the database has none, because it is older than the recording
	cut *recorder.Interrupted // nil: the recorder does not report it as cut
}

// Recover reconciles the recordings that an earlier process left behind: those that the recorder reports as cut, and
// those whose end is not in the database. It then closes the rows of all sessions, since none runs yet. settled is
// told of each cut recording that needs no further attention. Recover returns the errors of all parts together.
func (b *Broker) Recover(ctx context.Context, cut []recorder.Interrupted,
	settled func(recorder.Interrupted) error) error {
	parts, err := b.leftovers(ctx, cut)
	if err == nil {
		err = b.learnOpens(ctx, parts)
	}
	if err != nil {
		return err
	}
	var all error
	for _, l := range parts {
		err := b.recoverPart(ctx, l)
		if err == nil && l.cut != nil {
			err = settled(*l.cut)
		}
		if err != nil {
			all = errors.Join(all, fmt.Errorf("settle session %s: %w", l.session, err))
		}
	}
	return errors.Join(all, b.closeRows(ctx))
}

// leftovers lists the cut recordings, and then the others without an end in the database.
func (b *Broker) leftovers(ctx context.Context, cut []recorder.Interrupted) ([]*leftover, error) {
	rows, err := b.cfg.Store.UnclosedParts(ctx)
	if err != nil {
		return nil, err
	}
	var out []*leftover
	listed := map[string]bool{}
	for _, i := range cut {
		l, err := b.cutPart(ctx, i)
		if err != nil {
			return nil, err
		}
		out = append(out, l)
		listed[format.FileName(i.Session, i.Part)] = true
	}
	for _, row := range rows {
		if !listed[format.FileName(row.Session, row.Part)] {
			out = append(out, &leftover{part: storedPart(row), row: &row})
		}
	}
	return out, nil
}

func (b *Broker) cutPart(ctx context.Context, i recorder.Interrupted) (*leftover, error) {
	row, err := b.cfg.Store.Part(ctx, i.Session, i.Part)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return &leftover{part: &part{session: i.Session, number: i.Part, h0: i.H0}, cut: &i}, nil
	case err != nil:
		return nil, err
	}
	return &leftover{part: storedPart(row), row: &row, cut: &i}, nil
}

// storedPart gives what the database knows about a part.
func storedPart(row store.Part) *part {
	p := &part{session: row.Session, number: row.Part, h0: row.H0}
	if row.OpenLeaf != nil {
		p.open = &openLeaf{index: *row.OpenLeaf}
	}
	return p
}

// learnOpens looks for the open leaves that the database lacks: the process may have died after the signer's answer and
// before it stored the row, or the signer may have announced a session after the gateway had given it up. The signer
// knows the open leaves without an end. For the others the log is read, once for all of them.
func (b *Broker) learnOpens(ctx context.Context, parts []*leftover) (err error) {
	wanted := map[[32]byte]*part{}
	for _, l := range parts {
		if l.open != nil {
			continue
		}
		if l.open, err = b.unendedOpen(ctx, l.h0); err != nil {
			return err
		}
		if unknown := l.row == nil || l.row.State == store.RecordRunning; unknown && l.open == nil {
			wanted[l.h0] = l.part
		}
	}
	delete(wanted, [32]byte{}) // the first hash of a recording with a damaged header is not known
	return b.findOpens(ctx, wanted)
}

func (b *Broker) recoverPart(ctx context.Context, l *leftover) error {
	if l.finished() {
		return nil
	}
	if err := b.readContainer(l); err != nil {
		return err
	}
	if err := b.reconcile(ctx, l.part); err != nil {
		return err
	}
	b.logRecovered(l)
	return nil
}

// finished says that the row has its end. A part that was never announced has it without a leaf.
func (l *leftover) finished() bool {
	switch {
	case l.row == nil:
		return false
	case l.row.CloseLeaf != nil:
		return true
	}
	return l.open == nil && l.cut == nil && l.row.State != store.RecordRunning
}

// readContainer finds out where the part's container ends.
func (b *Broker) readContainer(l *leftover) error {
	if i := l.cut; i != nil {
		l.file = store.RecordCut
		l.stop = b.stopped(recorder.Closed{HFinal: i.Head, Seq: i.Seq, Bytes: i.Bytes}, ByGatewayCrash)
		return nil
	}
	closed, reason, err := b.cfg.Recorder.Ended(l.session, l.number, l.row.Started)
	switch {
	case errors.Is(err, recorder.ErrOpen): // it was cut and is settled, so the log has its end
		l.file = store.RecordCut
	case errors.Is(err, fs.ErrNotExist):
		l.file = store.RecordMissing
	case err != nil:
		return err
	default:
		l.file, l.stop = recordOf(closed), b.stopped(closed, reason)
	}
	return nil
}

// logRecovered tells the operator about a recording that is incomplete.
func (b *Broker) logRecovered(l *leftover) {
	log := b.cfg.Log.With(slog.String("session", l.session.String()))
	switch {
	case l.row == nil && l.open == nil:
		log.Warn("neither the database nor the log knows this recording: its session was never announced",
			slog.String("file", l.cut.File))
	case l.cut != nil:
		log.Warn("a recording was cut by a crash", slog.Int64("bytes", l.cut.Bytes))
	case l.file == store.RecordMissing && l.open != nil && l.end == nil && l.row.State != l.file:
		log.Warn("a recording that the log announces is missing, and has no end")
	}
}

// stopped gives the facts about a container that ends now, or that ended before this process began.
func (b *Broker) stopped(c recorder.Closed, reason string) *closeFacts {
	return &closeFacts{head: c.HFinal, seq: c.Seq, bytes: c.Bytes, gaps: c.Totals.Gaps, reason: reason, at: b.cfg.Now()}
}

// recordOf gives the row's state of a recording that has its close.
func recordOf(c recorder.Closed) string {
	if c.Totals.Gaps > 0 {
		return store.RecordGap
	}
	return store.RecordComplete
}

// closeRows ends every row of a session that cannot run, since this process has just begun.
func (b *Broker) closeRows(ctx context.Context) error {
	rows, err := b.cfg.Store.RunningSessions(ctx)
	if err != nil {
		return err
	}
	for _, r := range rows {
		if r.Node != b.cfg.Node {
			continue
		}
		end, err := b.endOf(ctx, r)
		if err != nil {
			return err
		}
		if _, err = b.cfg.Store.ChangeSession(ctx, r.ID, end); err != nil {
			return err
		}
	}
	return nil
}

// endOf returns the edit that ends a session's row. Reason and time come from the close leaf. Without one, the session
// was ended by the crash.
func (b *Broker) endOf(ctx context.Context, r store.Session) (func(*store.Session) error, error) {
	reason, record, at, gaps := ByGatewayCrash, r.Record, b.cfg.Now(), r.Gaps
	if record == store.RecordRunning {
		record = store.RecordCut
	}
	p, err := b.cfg.Store.Part(ctx, r.ID, 0)
	switch {
	case errors.Is(err, store.ErrNotFound):
	case err != nil:
		return nil, err
	case p.CloseLeaf != nil:
		e, err := b.cfg.Signer.Entry(ctx, *p.CloseLeaf)
		if err != nil {
			return nil, err
		}
		body, err := ledger.ParseCloseBody(e.Body)
		if err != nil {
			return nil, err
		}
		reason, record, at, gaps = body.Reason, p.State, time.UnixMilli(body.AtMS).UTC(), int64(body.Gaps)
	case p.State == store.RecordMissing:
		record = p.State
	}
	return func(s *store.Session) error {
		s.State, s.Ended, s.EndReason, s.Record, s.Gaps = store.Closed, at, reason, record, gaps
		return nil
	}, nil
}
