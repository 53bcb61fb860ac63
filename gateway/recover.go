package gateway

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"

	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/recorder"
	"github.com/sallyport/sallyport/recorder/ledger"
)

// Recover settles what a crash left behind: every recording that was cut gets its interrupted leaf, every session that
// ran is closed. settled is told of each recording that needs no further attention.
func (b *Broker) Recover(ctx context.Context, cut []recorder.Interrupted, settled func(recorder.Interrupted) error) error {
	opens, err := b.opensToLearn(ctx, cut)
	if err != nil {
		return err
	}
	var all error
	for _, i := range cut {
		err := b.recoverPart(ctx, i, opens)
		if err == nil {
			err = settled(i)
		}
		if err != nil {
			all = errors.Join(all, fmt.Errorf("settle session %s: %w", i.Session, err))
		}
	}
	return errors.Join(all, b.closeParts(ctx, opens), b.closeRows(ctx))
}

// opensToLearn finds, by first hash, the open leaves of recordings that were cut or whose row lacks the open leaf: the
// process may have died after the signer's answer and before it stored the row.
func (b *Broker) opensToLearn(ctx context.Context, cut []recorder.Interrupted) (map[[32]byte]uint64, error) {
	wanted := map[[32]byte]bool{}
	for _, i := range cut {
		wanted[i.H0] = true
	}
	parts, err := b.cfg.Store.UnclosedParts(ctx)
	if err != nil {
		return nil, err
	}
	for _, p := range parts {
		if p.State == store.RecordRunning && p.OpenLeaf == nil {
			wanted[p.H0] = true
		}
	}
	delete(wanted, [32]byte{}) // the first hash of a recording with a damaged header is not known
	return b.findOpens(ctx, wanted)
}

func (b *Broker) recoverPart(ctx context.Context, i recorder.Interrupted, opens map[[32]byte]uint64) error {
	f := closeFacts{head: i.Head, seq: i.Seq, bytes: i.Bytes, reason: ByGatewayCrash, at: b.cfg.Now()}
	p, err := b.cfg.Store.Part(ctx, i.Session, i.Part)
	if errors.Is(err, store.ErrNotFound) {
		return b.recoverWithoutRow(ctx, i, f, opens)
	}
	if err != nil || p.CloseLeaf != nil {
		return err
	}
	b.cfg.Log.Warn("a recording was cut by a crash", slog.String("session", i.Session.String()),
		slog.Int64("bytes", i.Bytes))
	return b.closeAs(ctx, "interrupted", p, f, store.RecordCut, opens)
}

// recoverWithoutRow ends, in the log, a recording that the database does not know: after the restore of a backup the
// log and the recordings are newer than the rows.
func (b *Broker) recoverWithoutRow(ctx context.Context, i recorder.Interrupted, f closeFacts,
	opens map[[32]byte]uint64) error {
	open, ok := opens[i.H0]
	if !ok {
		b.cfg.Log.Warn("neither the database nor the log knows this recording: its session was never announced",
			slog.String("file", i.File))
		return nil
	}
	_, err := b.endOnce(ctx, "interrupted", i.Session, i.Part, open, f)
	return err
}

// closeAs ends a part in the log and in its row. A part that was never announced ends only in its row. file is the
// state of the part's container.
func (b *Broker) closeAs(ctx context.Context, typ string, p store.Part, f closeFacts, file string,
	opens map[[32]byte]uint64) error {
	if err := b.learnOpen(ctx, &p, opens); err != nil {
		return err
	}
	if p.OpenLeaf == nil {
		return b.keepUnannounced(ctx, p.Session, p.Part, f, file)
	}
	end, err := b.endOnce(ctx, typ, p.Session, p.Part, *p.OpenLeaf, f)
	if err != nil {
		return err
	}
	return b.keepClose(ctx, end, p.Session, p.Part, file)
}

// learnOpen adds the open leaf from the log to a part and its row, if they lack it.
func (b *Broker) learnOpen(ctx context.Context, p *store.Part, opens map[[32]byte]uint64) error {
	open, ok := opens[p.H0]
	if p.OpenLeaf != nil || !ok {
		return nil
	}
	p.OpenLeaf = &open
	return b.keepOpen(ctx, *p)
}

// keepOpen completes a part's row from the log.
func (b *Broker) keepOpen(ctx context.Context, p store.Part) error {
	e, err := b.cfg.Signer.Entry(ctx, *p.OpenLeaf)
	if err != nil {
		return err
	}
	_, err = b.cfg.Store.ChangePart(ctx, p.Session, p.Part, func(row *store.Part) error {
		row.OpenLeaf, row.Retain = p.OpenLeaf, promised(e.Body)
		return nil
	})
	return err
}

// closeParts announces the end of recordings that were closed, but whose close leaf the process did not live to see.
func (b *Broker) closeParts(ctx context.Context, opens map[[32]byte]uint64) error {
	parts, err := b.cfg.Store.UnclosedParts(ctx)
	if err != nil {
		return err
	}
	var all error
	for _, p := range parts {
		gone := p.State == store.RecordMissing && p.OpenLeaf != nil // it may have been found since
		if p.State != store.RecordRunning && !gone {
			continue // it was never announced
		}
		if err := b.closePart(ctx, p, opens); err != nil {
			all = errors.Join(all, fmt.Errorf("announce the end of session %s: %w", p.Session, err))
		}
	}
	return all
}

func (b *Broker) closePart(ctx context.Context, p store.Part, opens map[[32]byte]uint64) error {
	closed, reason, err := b.cfg.Recorder.Ended(p.Session, p.Part, p.Started)
	switch {
	case errors.Is(err, recorder.ErrOpen): // interrupted parts are settled already
		return b.closeFromLog(ctx, p, store.RecordCut, opens)
	case errors.Is(err, fs.ErrNotExist):
		return b.closeFromLog(ctx, p, store.RecordMissing, opens)
	case err != nil:
		return err
	}
	f := closeFacts{head: closed.HFinal, seq: closed.Seq, bytes: closed.Bytes, gaps: closed.Totals.Gaps, reason: reason, at: b.cfg.Now()}
	return b.closeAs(ctx, "close", p, f, recordOf(closed), opens)
}

// closeFromLog copies an end from the log to a row that lacks it, as after the restore of an older database. file is
// the state of the part's container.
func (b *Broker) closeFromLog(ctx context.Context, p store.Part, file string, opens map[[32]byte]uint64) error {
	if err := b.learnOpen(ctx, &p, opens); err != nil {
		return err
	}
	if p.OpenLeaf == nil {
		f := closeFacts{head: p.HFinal, seq: p.Seq, bytes: p.Bytes, at: b.cfg.Now()}
		return b.keepUnannounced(ctx, p.Session, p.Part, f, file)
	}
	open, err := b.cfg.Signer.Unended(ctx, p.H0)
	if err != nil {
		return err
	}
	if open != nil { // without an end, the log is not searched for it at each start
		return b.keepMissing(ctx, p, file)
	}
	end, err := b.findEnd(ctx, *p.OpenLeaf)
	if err != nil || end == nil {
		return err
	}
	return b.keepClose(ctx, *end, p.Session, p.Part, file)
}

// keepMissing notes that a recording without an end is gone: otherwise its row would say that it still runs. The log
// gets no end, because nothing says where it was.
func (b *Broker) keepMissing(ctx context.Context, p store.Part, file string) error {
	if file != store.RecordMissing || p.State == file {
		return nil
	}
	b.cfg.Log.Warn("a recording that the log announces is missing, and has no end",
		slog.String("session", p.Session.String()))
	_, err := b.cfg.Store.ChangePart(ctx, p.Session, p.Part, func(row *store.Part) error {
		row.State = file
		return nil
	})
	return err
}

// recordOf is what a row says of a recording that has its close.
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
	now := b.cfg.Now()
	for _, r := range rows {
		if r.Node != b.cfg.Node {
			continue
		}
		reason, record, err := b.endOf(ctx, r)
		if err != nil {
			return err
		}
		_, err = b.cfg.Store.ChangeSession(ctx, r.ID, func(s *store.Session) error {
			s.State, s.Ended, s.EndReason, s.Record = store.Closed, now, reason, record
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// endOf says how a session ended whose row does not know it: as its close leaf says, or by the crash.
func (b *Broker) endOf(ctx context.Context, r store.Session) (reason, record string, err error) {
	record = r.Record
	if record == store.RecordRunning {
		record = store.RecordCut
	}
	p, err := b.cfg.Store.Part(ctx, r.ID, 0)
	if err == nil && p.State == store.RecordMissing {
		record = p.State
	}
	if errors.Is(err, store.ErrNotFound) || err == nil && p.CloseLeaf == nil {
		return ByGatewayCrash, record, nil
	}
	if err != nil {
		return "", "", err
	}
	e, err := b.cfg.Signer.Entry(ctx, *p.CloseLeaf)
	if err != nil {
		return "", "", err
	}
	body, err := ledger.ParseCloseBody(e.Body)
	return body.Reason, p.State, err
}
