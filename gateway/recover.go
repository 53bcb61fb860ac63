package gateway

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"time"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/recorder"
	"github.com/sallyport/sallyport/recorder/ledger"
)

// Recover settles what a crash left behind: every recording that was cut gets its interrupted leaf, every session that
// ran is closed. settled is told of each recording that needs no further attention.
func (b *Broker) Recover(ctx context.Context, cut []recorder.Interrupted, settled func(recorder.Interrupted) error) error {
	var all error
	for _, i := range cut {
		err := b.recoverPart(ctx, i)
		if err == nil {
			err = settled(i)
		}
		if err != nil {
			all = errors.Join(all, fmt.Errorf("settle session %s: %w", i.Session, err))
		}
	}
	return errors.Join(all, b.closeParts(ctx), b.closeRows(ctx))
}

func (b *Broker) recoverPart(ctx context.Context, i recorder.Interrupted) error {
	p, err := b.cfg.Store.Part(ctx, i.Session, i.Part)
	if errors.Is(err, store.ErrNotFound) {
		return b.recoverWithoutRow(ctx, i)
	}
	if err != nil || p.CloseLeaf != nil {
		return err
	}
	if p.OpenLeaf == nil {
		if p.OpenLeaf, err = b.findOpen(ctx, i.H0, 10_000); err != nil || p.OpenLeaf == nil {
			return err
		}
		if err := b.keepOpen(ctx, p); err != nil {
			return err
		}
	}
	b.cfg.Log.Warn("a recording was cut by a crash", slog.String("session", i.Session.String()), slog.Int64("bytes", i.Bytes))
	f := closeFacts{head: i.Head, seq: i.Seq, bytes: i.Bytes, reason: ByGatewayCrash, at: b.cfg.Now()}
	leaf, err := b.endOnce(ctx, "interrupted", i.Session, i.Part, *p.OpenLeaf, f)
	if err != nil {
		return err
	}
	return b.keepClose(ctx, leaf, i.Session, i.Part, f, store.RecordCut)
}

// recoverWithoutRow ends, in the log, a recording that the database does not know: after the restore of a backup the
// log and the recordings are newer than the rows.
func (b *Broker) recoverWithoutRow(ctx context.Context, i recorder.Interrupted) error {
	open, err := b.findOpen(ctx, i.H0, 10_000)
	if err != nil {
		return err
	}
	if open == nil {
		b.cfg.Log.Warn("a recording that neither the database nor the newest entries of the log know: "+
			"its session was never announced, or longer ago than 10,000 entries", slog.String("file", i.File))
		return nil
	}
	f := closeFacts{head: i.Head, seq: i.Seq, bytes: i.Bytes, reason: ByGatewayCrash, at: b.cfg.Now()}
	_, err = b.endOnce(ctx, "interrupted", i.Session, i.Part, *open, f)
	return err
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
func (b *Broker) closeParts(ctx context.Context) error {
	parts, err := b.cfg.Store.UnclosedParts(ctx)
	if err != nil {
		return err
	}
	var all error
	for _, p := range parts {
		if p.State != store.RecordRunning {
			continue // it was never announced
		}
		if err := b.closePart(ctx, p); err != nil {
			all = errors.Join(all, fmt.Errorf("announce the end of session %s: %w", p.Session, err))
		}
	}
	return all
}

func (b *Broker) closePart(ctx context.Context, p store.Part) error {
	closed, reason, err := b.cfg.Recorder.Ended(p.Session, p.Part, p.Started)
	if errors.Is(err, recorder.ErrOpen) || errors.Is(err, fs.ErrNotExist) {
		// Interrupted parts are settled already; a missing part may have its end in the log.
		return b.closeFromLog(ctx, p)
	}
	if err != nil {
		return err
	}
	f := closeFacts{head: closed.HFinal, seq: closed.Seq, bytes: closed.Bytes, gaps: closed.Totals.Gaps, reason: reason, at: b.cfg.Now()}
	if p.OpenLeaf == nil {
		if p.OpenLeaf, err = b.findOpen(ctx, p.H0, 10_000); err != nil || p.OpenLeaf == nil {
			return err
		}
		if err := b.keepOpen(ctx, p); err != nil {
			return err
		}
	}
	leaf, err := b.endOnce(ctx, "close", p.Session, p.Part, *p.OpenLeaf, f)
	if err != nil {
		return err
	}
	return b.keepClose(ctx, leaf, p.Session, p.Part, f, recordOf(closed))
}

// closeFromLog takes over an end that the log has and the row does not, as after the restore of an older database.
func (b *Broker) closeFromLog(ctx context.Context, p store.Part) error {
	if p.OpenLeaf == nil {
		return nil
	}
	found, err := b.findClose(ctx, *p.OpenLeaf, 10_000)
	if err != nil || found == nil {
		return err
	}
	e, err := b.cfg.Signer.Entry(ctx, *found)
	if err != nil {
		return err
	}
	body, err := ledger.ParseCloseBody(e.Body)
	if err != nil {
		return err
	}
	f := closeFacts{head: body.HFinal, seq: body.Seq, bytes: body.Bytes, gaps: body.Gaps, reason: body.Reason,
		at: time.UnixMilli(body.AtMS)}
	return b.keepClose(ctx, *found, p.Session, p.Part, f, store.RecordCut)
}

// endOnce gives the end that stands in the log, if an earlier recovery or the process itself got that far, or writes it.
func (b *Broker) endOnce(ctx context.Context, typ string, sid id.Session, part uint32, open uint64,
	f closeFacts) (uint64, error) {
	found, err := b.findClose(ctx, open, 10_000)
	if err != nil {
		return 0, err
	}
	if found != nil {
		return *found, nil
	}
	leaf, err := b.appendClose(ctx, typ, sid, part, open, f)
	if errkind.KindOf(err) != errkind.Conflict {
		return leaf, err
	}
	if found, _ = b.findClose(ctx, open, math.MaxUint64); found == nil { // it is there, further back
		return leaf, err
	}
	return *found, nil
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
