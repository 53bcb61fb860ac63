package rendezvous

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/sallyport/sallyport/internal/wire"
	"github.com/sallyport/sallyport/recorder/ledger"
)

// bundle is the trust bundle in force.
type bundle struct {
	signed wire.Signed
	parsed *wire.Bundle
}

// head is the log as it was last seen.
type head struct {
	note []byte
	size uint64
}

// watchBundle looks for a newer trust bundle now and then, until ctx ends, and gives it to every device at once.
func (r *Registry) watchBundle(ctx context.Context) {
	failed := false // at the last tick, so that a fault is logged once
	tick := time.NewTicker(bundleEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			err := r.PublishBundle(ctx)
			if err != nil && !failed {
				r.cfg.Log.Warn("the trust bundle could not be read", slog.Any("error", err))
			}
			failed = err != nil
		}
	}
}

// PublishBundle reads the signer's bundle and sends a newer one to every device.
func (r *Registry) PublishBundle(ctx context.Context) error {
	newer, err := r.loadBundle(ctx)
	if err != nil || !newer {
		return err
	}
	msg := wire.BundleMsg{T: wire.TypeBundle, Bundle: r.bundle.Load().signed}
	r.mu.Lock()
	var all []*line
	for _, d := range r.devices {
		all = append(all, d.lines...)
	}
	r.mu.Unlock()
	for _, l := range all {
		l.send(msg) // a line that does not take it is closed and gets it when it comes back
	}
	return nil
}

func (r *Registry) loadBundle(ctx context.Context) (newer bool, err error) {
	signed, err := r.cfg.Signer.Bundle(ctx)
	if err != nil {
		return false, err
	}
	old := r.bundle.Load()
	if old != nil && bytes.Equal(old.signed.Body, signed.Body) {
		return false, nil
	}
	parsed, err := wire.ParseBundle(signed)
	if err != nil {
		return false, err
	}
	r.bundle.Store(&bundle{signed: signed, parsed: parsed})
	return old != nil && parsed.Serial > old.parsed.Serial, nil
}

// loadHead reads the log's head.
func (r *Registry) loadHead(ctx context.Context) (*head, error) {
	note, err := r.cfg.Signer.Head(ctx)
	if err != nil {
		return nil, err
	}
	if old := r.head.Load(); old != nil && bytes.Equal(old.note, note) {
		return old, nil
	}
	cp, err := ledger.ParseCheckpoint(note, r.bundle.Load().parsed.Log.Key)
	if err != nil {
		return nil, fmt.Errorf("head of the log: %w", err)
	}
	h := &head{note: note, size: cp.Size}
	r.head.Store(h)
	return h, nil
}

// witness sends a later head with the proof that it extends the device's, not more often than every few minutes. Each
// device that holds a head is one more place where a log rewritten here would show.
func (r *Registry) witness(ctx context.Context, l *line) {
	l.mu.Lock()
	size, last := l.size, l.witnessed
	l.mu.Unlock()
	if r.cfg.Now().Sub(last) < witnessEvery {
		return
	}
	h, err := r.loadHead(ctx)
	if err != nil {
		r.cfg.Log.Warn("a device could not be given the head of the log", slog.String("device", string(l.name)), slog.Any("error", err))
		return
	}
	l.mu.Lock()
	l.witnessed = r.cfg.Now()
	l.mu.Unlock()
	if size > h.size {
		r.cfg.Log.Error("a device has accepted a longer log than there is here: was the log restored from a backup?",
			slog.String("device", string(l.name)), slog.Uint64("device_size", size), slog.Uint64("size", h.size))
		return
	}
	if size == h.size {
		return
	}
	msg := wire.CheckpointMsg{T: wire.TypeCheckpoint, Checkpoint: h.note}
	if size > 0 {
		if msg.Proof, err = r.cfg.Signer.ProveConsistency(ctx, size, h.size); err != nil {
			r.cfg.Log.Warn("a device could not be given the head of the log", slog.String("device", string(l.name)), slog.Any("error", err))
			return
		}
	}
	r.step(l, msg, h.size)
}

// Refresh sends a device a status of now on its last nonce: it was admitted, or locked.
func (r *Registry) Refresh(fp wire.Hash) {
	r.tell(fp, func(l *line) {
		ctx, cancel := context.WithTimeout(r.ctx, sendTime)
		defer cancel()
		st, err := r.freshStatus(ctx, l)
		if err != nil {
			return // its next ping gets one
		}
		l.send(wire.Pong{T: wire.TypeStatus, Status: st})
	})
}
