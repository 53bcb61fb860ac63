package gateway

import (
	"context"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/store"
)

var errDraining = errkind.New(errkind.Unavailable, "the gateway is about to restart and starts no new sessions").
	WithHint("Try again in a minute.")

// draining refuses a request once the drain has begun; before that it is nil.
func (b *Broker) draining() *errkind.Error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.drain {
		return errDraining
	}
	return nil
}

// Quiet begins the drain: no session starts from now on, sessions that were allowed and not opened yet are closed, and
// running ones get text as a session message. ctx bounds the writes to the database.
func (b *Broker) Quiet(ctx context.Context, text string) {
	b.refuseNew(ctx)
	for _, s := range b.sessions() {
		s.notice("drain", text)
	}
}

// Drain ends the running sessions with the reason "drain" and starts no new ones. It returns when every session is
// closed or ctx ends.
func (b *Broker) Drain(ctx context.Context) {
	b.refuseNew(ctx)
	for _, s := range b.sessions() {
		s.cancel(ended(ByDrain, "the gateway restarts"))
	}
	all := make(chan struct{})
	go func() { b.ended.Wait(); close(all) }()
	select {
	case <-all:
	case <-ctx.Done():
	}
	b.settleRest(ctx)
}

// refuseNew refuses further requests and closes the rows of decisions that can no longer be redeemed. A row that is
// left open reads as a session that was running when the gateway stopped, so the next start would call it "gateway
// crashed".
func (b *Broker) refuseNew(ctx context.Context) {
	b.mu.Lock()
	b.drain = true
	left := b.asked
	b.asked = map[id.Session]asked{}
	b.mu.Unlock()
	for sid := range left {
		b.drained(ctx, sid)
	}
}

// drained records in the row of an allowed but unopened session that the drain refused it. A failed write is retried,
// at the latest when Drain ends.
func (b *Broker) drained(ctx context.Context, sid id.Session) {
	now := b.cfg.Now()
	b.settle(context.WithoutCancel(ctx), sid, "that the drain refused it", func(ctx context.Context) error {
		if err := b.ground(); err != nil {
			return err
		}
		_, err := b.cfg.Store.ChangeSession(ctx, sid, func(row *store.Session) error {
			row.State, row.Ended, row.EndReason = store.Refused, now, ByDrain
			return nil
		})
		return err
	})
}
