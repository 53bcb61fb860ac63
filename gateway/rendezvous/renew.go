package rendezvous

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/wire"
)

// renewal is one next pass that a device was asked to take. Only this very line's word on it counts.
type renewal struct {
	line    *line
	heard   chan struct{} // closed with the device's answer
	refused error         // set before heard is closed
	size    atomic.Uint64 // of the log, as this message told it
	known   bool          // heard is closed; guarded by Registry.mu
}

type renewalKey struct {
	session id.Session
	n       uint32
}

// Renew implements gateway.Lines.
func (r *Registry) Renew(ctx context.Context, fp wire.Hash, msg wire.Renew) (refused, err error) {
	row, l, err := r.fit(ctx, fp)
	if err != nil {
		return nil, err
	}
	if msg.Status, err = r.freshStatus(ctx, l); err != nil {
		return nil, err
	}
	msg.T = wire.TypeRenew
	key, n := renewalKey{msg.Session, msg.N}, &renewal{line: l, heard: make(chan struct{})}
	if err := r.awaitRenewal(key, n); err != nil {
		return nil, err
	}
	defer r.forgetRenewal(key)
	if err := r.inTurn(ctx, l, n.heard, &msg, &n.size); err != nil {
		return nil, fmt.Errorf("renew %s: %w", msg.Session, err)
	}
	select {
	case <-n.heard:
	case <-l.gone:
		return nil, lost(string(row.Name))
	case <-ctx.Done():
		return nil, gaveUp(ctx, string(row.Name))
	}
	if n.refused == nil {
		l.holds(n.size.Load())
	}
	return n.refused, nil
}

// awaitRenewal makes the renewal known before the device hears of it.
func (r *Registry) awaitRenewal(key renewalKey, n *renewal) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch d := r.devices[n.line.fp]; {
	case !r.open:
		return unavailable("the gateway is about to restart and renews no sessions", "Try again in a minute.")
	case r.renewals[key] != nil:
		return errkind.New(errkind.Conflict, "this pass is being given to the device already")
	case d == nil || d.disputed || len(d.lines) != 1 || d.lines[0] != n.line:
		return lost(string(n.line.name))
	}
	r.renewals[key] = n
	return nil
}

func (r *Registry) forgetRenewal(key renewalKey) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.renewals, key)
}

// renewed takes the device's answer to a renewal; why is nil where it was accepted.
func (r *Registry) renewed(l *line, sid id.Session, n uint32, why error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	w := r.renewals[renewalKey{sid, n}]
	if w == nil || w.line != l || w.known {
		return
	}
	w.refused, w.known = why, true
	close(w.heard)
}

var _ gateway.Lines = (*Registry)(nil)
