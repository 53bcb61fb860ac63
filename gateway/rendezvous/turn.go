package rendezvous

import (
	"context"
	"fmt"
	"time"

	"github.com/sallyport/sallyport/internal/wire"
	"github.com/sallyport/sallyport/recorder/ledger"
)

// turnTime bounds how long one open keeps the next from being sent to the same device.
const turnTime = 10 * time.Second

// decided says that the device has looked at the log: whatever comes next is proven from where it stands now.
func (c *call) decided() { c.once.Do(func() { close(c.heard) }) }

// inTurn sends an open once the device has decided on the one before. A device takes a head of the log only with the proof
// from the head that it holds, and each open gives it a later one: two at once would both be proven from the same
// head, and the second refused.
func (r *Registry) inTurn(ctx context.Context, c *call, msg *wire.Open) {
	select {
	case c.line.turn <- struct{}{}:
	case <-c.heard:
		return
	case <-ctx.Done():
		return
	}
	defer func() { <-c.line.turn }()
	if err := r.prove(ctx, c.line, msg); err != nil {
		r.settle(c, outcome{err: fmt.Errorf("open %s: %w", c.sid, err)})
		return
	}
	raw, err := wire.Encode(msg)
	if err != nil { // never the line's fault: nothing was sent
		r.settle(c, outcome{err: fmt.Errorf("open %s: %w", c.sid, err)})
		return
	}
	if c.line.noise.Send(raw, sendTime) != nil {
		c.line.ws.Close()
		r.settle(c, outcome{err: lost(string(c.line.name))})
		return
	}
	late := time.NewTimer(turnTime)
	defer late.Stop()
	select {
	case <-c.heard:
	case <-late.C:
	case <-ctx.Done():
	}
}

// prove makes an open's proofs begin where the device stands. What the signer proved began where it stood when the session
// was announced; since then another open or a witnessed head may have moved it on, even past this open's checkpoint.
func (r *Registry) prove(ctx context.Context, l *line, msg *wire.Open) error {
	l.mu.Lock()
	held := l.size
	l.mu.Unlock()
	cp, err := ledger.ParseCheckpoint(msg.Checkpoint, r.bundle.Load().parsed.Log.Key)
	if err != nil || held == 0 {
		return nil // the device says what is wrong with it
	}
	size := cp.Size
	if size < held {
		h, err := r.loadHead(ctx)
		if err != nil {
			return err
		}
		if msg.Proof, err = r.cfg.Signer.Prove(ctx, msg.Index, h.size); err != nil {
			return err
		}
		msg.Checkpoint, size = h.note, h.size
	}
	msg.Consistency = nil
	if size > held {
		msg.Consistency, err = r.cfg.Signer.ProveConsistency(ctx, held, size)
	}
	return err
}
