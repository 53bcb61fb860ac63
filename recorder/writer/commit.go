package writer

import (
	"log/slog"
	"time"

	"github.com/sallyport/sallyport/recorder/format"
	"github.com/sallyport/sallyport/recorder/seal"
)

// batch is what one sync makes durable. Whoever comes while one is under way joins the next.
type batch struct {
	dirty []*Recording
	done  chan struct{} // closed once it is durable, or has failed
}

func newBatch() *batch { return &batch{done: make(chan struct{})} }

// join puts r into the batch that gathers.
func (n *Node) join(r *Recording) *batch {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.batch.dirty = append(n.batch.dirty, r)
	n.poke()
	return n.batch
}

func (n *Node) poke() {
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

const (
	// idleEvery is how often recordings are looked through for what an idle one need not hold, and how long bytes
	// stay in the journal only, at most twice: that bounds what recovery copies.
	idleEvery = 5 * time.Second
	// idleAfter ends the open segment of a recording that has nothing to record: its keys are erased,
	// and its compressor, most of its memory, goes back to the pool.
	idleAfter = 10 * time.Second
	// A segment that is a quarter full ends sooner, as it costs few more segments: a flood whose technician does not
	// read stands still, and there may be many of them.
	restPlain = seal.SegmentPlain / 4
	restAfter = time.Second
)

// commits seals and commits batches, one after the other, until the node closes. Nothing else uses the
// sealers and the journal.
func (n *Node) commits() {
	defer close(n.jr.jobs)
	tick := time.NewTicker(idleEvery)
	defer tick.Stop()
	for {
		select {
		case <-n.wake:
			n.commit(n.gathered())
		case <-tick.C:
			n.rotateEarly()
			n.rest()
			n.vol.arm()
		case <-n.quit:
			n.commit(n.gathered())
			n.rest()
			n.lastCheckpoint()
			return
		}
	}
}

// lastCheckpoint waits until all files are durable.
func (n *Node) lastCheckpoint() {
	if n.jr.pos > 0 || n.jr.busy {
		n.rotate()
		<-n.jr.freed
		n.jr.busy = false
	}
}

func (n *Node) gathered() *batch {
	n.mu.Lock()
	defer n.mu.Unlock()
	b := n.batch
	n.batch = newBatch()
	return b
}

// commit seals what the batch's recordings have, writes it to the journal with one sync and to the session
// files without, and wakes those who wait.
func (n *Node) commit(b *batch) {
	defer close(b.done)
	if n.failed() != nil {
		n.rest()
		return
	}
	if !n.jr.room() {
		n.rotate()
	}
	began := time.Now()
	n.seal(b)
	if len(n.shares) > 0 {
		if err := n.store(); err != nil {
			n.fail(err)
		}
		n.cfg.Committed(time.Since(began))
	}
	for i := range n.shares {
		n.settleShare(&n.shares[i])
	}
	clear(n.shares)
	n.shares = n.shares[:0]
}

// seal fills the journal's buffer. Recordings that no longer fit come first in the next batch.
func (n *Node) seal(b *batch) {
	n.jr.begin()
	for i, r := range b.dirty {
		if len(n.jr.buf) >= batchBytes {
			for _, later := range b.dirty[i:] {
				later.again(true)
			}
			break
		}
		if s, any := r.sealShare(); any {
			n.shares = append(n.shares, s)
			n.jr.dirty[r] = struct{}{}
		}
	}
	n.jr.pad()
}

// again joins the next batch with what this one did not take. left: it took nothing.
func (r *Recording) again(left bool) {
	r.mu.Lock()
	r.queued = r.queued && !left
	r.join()
	r.mu.Unlock()
}

// store writes the batch. The session files are written while the journal syncs, and before anybody is
// woken: a file that finds no space makes its own session fail, and nothing was acknowledged.
func (n *Node) store() error {
	if err := n.jr.write(); err != nil {
		if !isFull(err) {
			return err
		}
		n.vol.release() // only a copying file system needs space for bytes that were there
		if err := n.jr.write(); err != nil {
			return err
		}
	}
	if err := n.sync(); err != nil {
		return &syncError{format.JournalName, err}
	}
	n.jr.pos += int64(len(n.jr.buf))
	return nil
}

// sideBySide is how much a batch must hold before its files are written while the journal syncs: to write less takes
// less time than to wake another thread for it, and that time is a keystroke's.
const sideBySide = 64 << 10

func (n *Node) sync() error {
	if len(n.jr.buf) < sideBySide {
		n.storeShares()
		return n.jr.f.Datasync()
	}
	synced := make(chan error, 1)
	go func() { synced <- n.jr.f.Datasync() }()
	n.storeShares()
	return <-synced
}

// stepAt is the jump of the wall clock that the record notes as a step; less is a clock being steered.
const stepAt = 500 * time.Millisecond

// watchClock compares the wall clock with the time since the part began.
func (r *Recording) watchClock() {
	now := r.n.cfg.Now()
	drift := now.UnixNano() - r.t0.UnixNano() - int64(now.Sub(r.t0))
	if d := time.Duration(drift - r.s.Drift); d > stepAt || d < -stepAt {
		r.s.Stepped = true
	}
	r.s.Drift = drift
}

// rest lets go of what recordings hold without need, and of those that have failed.
func (n *Node) rest() {
	n.mu.Lock()
	open := n.recordings()
	n.mu.Unlock()
	now := n.cfg.Now()
	for _, r := range open {
		after := idleAfter
		if r.s.Plain >= restPlain {
			after = restAfter
		}
		r.mu.Lock()
		idle, failed := now.Sub(r.active) >= after && !r.queued && r.next.empty(), r.hard != nil
		if idle {
			r.next = pending{}
		}
		r.mu.Unlock()
		if failed {
			n.drop(r)
		} else if idle && r.flight.empty() {
			r.s.EndSegment()
			r.flight = pending{}
		}
	}
}

// drop forgets a recording that has failed, and its keys. Its file is closed at the next checkpoint, or here
// where there will be none.
func (n *Node) drop(r *Recording) {
	r.mu.Lock()
	n.hold(-r.next.drop(len(r.next.es)) - r.flight.drop(len(r.flight.es)-r.flight.done))
	r.mu.Unlock()
	r.s.Forget()
	n.forget(r)
	r.lastEpoch.Store(n.jr.epoch)
	if n.failed() == nil {
		n.jr.dirty[r] = struct{}{}
	} else if err := r.f.Close(); err != nil {
		n.cfg.Log.Warn("a recording's file could not be closed", slog.String("file", r.name), slog.Any("error", err))
	}
}
