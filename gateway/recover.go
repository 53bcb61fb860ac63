package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/recorder"
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
	return errors.Join(all, b.closeRows(ctx))
}

func (b *Broker) recoverPart(ctx context.Context, i recorder.Interrupted) error {
	p, err := b.cfg.Store.Part(ctx, i.Session, i.Part)
	if errors.Is(err, store.ErrNotFound) {
		b.cfg.Log.Warn("a recording of a session that was never announced", slog.String("file", i.File))
		return nil
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
	leaf, err := b.appendClose(ctx, "interrupted", i.Session, i.Part, *p.OpenLeaf, f)
	if err != nil {
		return err
	}
	return b.keepClose(ctx, leaf, i.Session, i.Part, f, store.RecordCut)
}

// keepOpen completes a part's row from the log.
func (b *Broker) keepOpen(ctx context.Context, p store.Part) error {
	e, err := b.cfg.Signer.Entry(ctx, *p.OpenLeaf)
	if err != nil {
		return err
	}
	_, err = b.cfg.Store.ChangePart(ctx, p.Session, p.Part, func(row *store.Part) error {
		row.OpenLeaf, row.OpenNonce, row.OpenBody = p.OpenLeaf, e.Nonce, e.Body
		return nil
	})
	return err
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
		_, err := b.cfg.Store.ChangeSession(ctx, r.ID, func(s *store.Session) error {
			s.State, s.Ended, s.EndReason = store.Closed, now, ByGatewayCrash
			if s.Record == store.RecordRunning {
				s.Record = store.RecordCut
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
