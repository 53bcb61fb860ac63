package writer

import (
	"log/slog"
	"time"

	"github.com/sallyport/sallyport/recorder/format"
	"github.com/sallyport/sallyport/recorder/seal"
)

// batch is a set of recordings whose entries one sync makes durable. Entries that arrive during a sync join the next
// batch.
type batch struct {
	dirty []*Recording
	done  chan struct{} // closed once it is durable, or has failed
}

func newBatch() *batch { return &batch{done: make(chan struct{})} }

// join adds r to the batch that is being gathered.
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
	// idleEvery is how often idle recordings give back memory. Bytes are in the journal alone for at most twice this
	// time, which bounds how much recovery copies.
	idleEvery = 5 * time.Second
	// idleAfter ends the open segment of a recording that has nothing to record: its keys are erased,
	// and its compressor, most of its memory, goes back to the pool.
	idleAfter = 10 * time.Second
	// A segment that is a quarter full ends sooner, because that costs few more segments. There may be many sessions
	// whose output stands still because the technician does not read.
	restPlain = seal.SegmentPlain / 4
	restAfter = time.Second
)

// commits seals and commits batches one after the other, until the node closes. No other goroutine uses the sealers and
// the journal.
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

// commit seals the pending entries of the batch's recordings. It writes them to the journal with one sync and to the
// session files without a sync, and wakes the callers that wait.
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

// again joins the next batch if this one did not take all of the recording's entries. left means that it took none.
func (r *Recording) again(left bool) {
	r.mu.Lock()
	r.queued = r.queued && !left
	r.join()
	r.mu.Unlock()
}

// store writes the batch. It writes the session files while the journal syncs, and before any caller is woken. If a
// file finds no space, only its own session fails, and nothing was acknowledged.
func (n *Node) store() error {
	if err := n.jr.write(); err != nil {
		if !isFull(err) {
			return err
		}
		n.vol.release() // only a copy-on-write file system needs space to overwrite
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

// sideBySide is the least size of a batch, in bytes, whose files are written while the journal syncs. To write less
// takes less time than to wake another thread, and a keystroke waits for it.
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

// stepAt is the smallest jump of the wall clock that is recorded as a step. Less is a clock that a time service
// adjusts.
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

// rest frees memory that idle recordings do not need, and drops recordings that have failed.
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
			r.next, r.judge.free = pending{}, nil
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

// drop removes a failed recording and erases its keys. The next checkpoint closes its file. If there will be none, drop
// closes it.
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
