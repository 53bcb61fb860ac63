package rendezvous

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/internal/wire"
	"github.com/sallyport/sallyport/recorder/ledger"
)

// turnTime bounds how long one open keeps the next from being sent to the same device.
const turnTime = 10 * time.Second

// decided says that the device has looked at the log: whatever comes next is proven from where it stands now.
func (c *call) decided() { c.once.Do(func() { close(c.heard) }) }

// announced is a message with a leaf that the device wants proven.
type announced interface {
	Announcement() wire.Announcement
	Prove(wire.Announcement)
}

// inTurn sends a message once the device has decided on the one before, and waits until it has decided on this one, which
// closes heard, or its time is up. A device takes a head of the log only with the proof from the head that it holds, and
// each message gives it a later one: two at once would both be proven from the same head, and the second refused. Before
// it sends, it tells the size of the log that the device holds once it agrees. An error means that nothing was sent.
func (r *Registry) inTurn(ctx context.Context, l *line, heard <-chan struct{}, msg announced, size *atomic.Uint64) error {
	select {
	case l.turn <- struct{}{}:
	case <-heard:
		return nil
	case <-ctx.Done():
		return nil
	}
	defer func() { <-l.turn }()
	agreed, err := r.prove(ctx, l, msg)
	if err != nil {
		return err
	}
	size.Store(agreed)
	raw, err := wire.Encode(msg)
	if err != nil { // never the line's fault
		return err
	}
	if l.noise.Send(raw, sendTime) != nil {
		l.ws.Close()
		return lost(string(l.name))
	}
	late := time.NewTimer(turnTime)
	defer late.Stop()
	select {
	case <-heard:
	case <-late.C:
	case <-ctx.Done():
	}
	return nil
}

// prove makes a message's proofs begin where the device stands. What the signer proved began where it stood when the leaf
// was written; since then another message or a witnessed head may have moved it on, even past this one's checkpoint.
// It gives the size that the device holds once it agrees.
func (r *Registry) prove(ctx context.Context, l *line, msg announced) (uint64, error) {
	l.mu.Lock()
	held := l.size
	l.mu.Unlock()
	a := msg.Announcement()
	cp, err := ledger.ParseCheckpoint(a.Checkpoint, r.bundle.Load().parsed.Log.Key)
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
		if a.Proof, err = r.cfg.Signer.Prove(ctx, a.Index, h.size); err != nil {
			return 0, err
		}
		a.Checkpoint, size = h.note, h.size
	}
	a.Consistency = nil
	if size > held {
		a.Consistency, err = r.cfg.Signer.ProveConsistency(ctx, held, size)
	}
	msg.Prove(a)
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
