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
	size, err := r.prove(ctx, c.line, msg)
	if err != nil {
		r.settle(c, outcome{err: fmt.Errorf("open %s: %w", c.sid, err)})
		return
	}
	c.size.Store(size)
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
// It gives the size that the device holds once it agrees.
func (r *Registry) prove(ctx context.Context, l *line, msg *wire.Open) (uint64, error) {
	l.mu.Lock()
	held := l.size
	l.mu.Unlock()
	cp, err := ledger.ParseCheckpoint(msg.Checkpoint, r.bundle.Load().parsed.Log.Key)
	if err != nil {
		return 0, nil // the device says what is wrong with it
	}
	size := cp.Size
	if held == 0 {
		return size, nil
	}
	if size < held {
		h, err := r.loadHead(ctx)
		if err != nil {
			return 0, err
		}
		if msg.Proof, err = r.cfg.Signer.Prove(ctx, msg.Index, h.size); err != nil {
			return 0, err
		}
		msg.Checkpoint, size = h.note, h.size
	}
	msg.Consistency = nil
	if size > held {
		msg.Consistency, err = r.cfg.Signer.ProveConsistency(ctx, held, size)
	}
	return size, err
}

// holds says that the device holds a head of at least this size.
func (l *line) holds(size uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.size = max(l.size, size)
}

// step sends a head by itself, unless an open is on its way: that brings one too. Until the device's next ping shows that
// it took it, no open is proven from where it stood before.
func (r *Registry) step(l *line, msg wire.CheckpointMsg, size uint64) {
	select {
	case l.turn <- struct{}{}:
	default:
		return
	}
	if !r.enter() || l.send(msg) != nil {
		<-l.turn
		return
	}
	go func() {
		defer r.lines.Done()
		defer func() { <-l.turn }()
		late := time.NewTimer(turnTime)
		defer late.Stop()
		for {
			select {
			case <-l.moved:
				l.mu.Lock()
				taken := l.size >= size
				l.mu.Unlock()
				if taken {
					return
				}
			case <-l.gone:
				return
			case <-late.C:
				return
			}
		}
	}()
}
