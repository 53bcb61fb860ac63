package recorder

import (
	"log/slog"
	"time"

	"github.com/sallyport/sallyport/internal/errkind"
)

// batch is what one sync makes durable. Whoever comes while one is under way joins the next.
type batch struct {
	dirty []*Recording
	done  chan struct{} // closed once it is durable, or has failed
}

func newBatch() *batch { return &batch{done: make(chan struct{})} }

// share is what one recording has in the batch that is being committed.
type share struct {
	r        *Recording
	at       int64 // where its chunks go in its file
	from, to int   // where they are in the batch
	entries  int
	counted  int64
	after    Closed
	closes   bool
	err      error // it could not be sealed, or not stored
}

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
		return &syncError{journalName, err}
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

func (n *Node) storeShares() {
	for i := range n.shares {
		n.storeShare(&n.shares[i])
	}
}

// storeShare writes one recording's chunks into its file. Where only the ballast had room for them, they are
// its last but for its close.
func (n *Node) storeShare(s *share) {
	chunks := n.jr.buf[s.from:s.to]
	_, err := s.r.f.WriteAt(chunks, s.at)
	if err != nil && isFull(err) {
		n.vol.release()
		if _, err = s.r.f.WriteAt(chunks, s.at); err == nil {
			s.r.end(errFull("the disk that keeps the recordings is full, so the session ends"))
		}
	}
	if err != nil {
		s.err = err
	}
}

// settleShare tells a recording what became of its share.
func (n *Node) settleShare(s *share) {
	r := s.r
	n.hold(-s.counted)
	switch {
	case n.failed() != nil:
	case s.err != nil:
		r.fail(n.unstored(s))
		n.drop(r)
	default:
		r.settle(s)
	}
	if s.closes && s.err == nil {
		r.lastEpoch.Store(n.jr.epoch)
		n.forget(r)
	}
}

func (n *Node) unstored(s *share) error {
	n.cfg.Log.Error("a recording failed", slog.String("file", s.r.name), slog.Any("error", s.err))
	if isFull(s.err) {
		return errFull("the disk that keeps the recordings is full, so the session ends").Because(s.err)
	}
	return errkind.New(errkind.Unavailable, "the recording of this session failed, and nothing may happen unrecorded, so the session ends").
		WithHint("Open another session. Whoever runs the gateway finds the reason in its log.").Because(s.err)
}

// lastChunks are kept for the end of a part.
const lastChunks = 4096

func (r *Recording) settle(s *share) {
	r.mu.Lock()
	r.durable += uint64(s.entries)
	r.held -= s.counted
	r.last = s.after
	r.last.Hidden = r.judge.hidden
	if s.closes && r.hard == nil {
		close(r.ended)
	}
	r.mu.Unlock()
	if s.after.Seq > maxSeq-lastChunks {
		r.end(errPart)
	}
}

// sealShare seals what the recording has, at most a share of it, and says whether there was anything.
func (r *Recording) sealShare() (share, bool) {
	r.mu.Lock()
	r.queued = false
	if r.flight.empty() {
		r.flight, r.next = r.next, r.flight.recycle()
	}
	s := share{r: r, at: r.s.off, closes: r.closing && r.next.empty()}
	failed, reason, at := r.hard != nil, r.reason, r.closeAt
	more := !r.next.empty()
	r.mu.Unlock()
	if failed || r.lastEpoch.Load() != 0 {
		return s, false
	}
	j := r.n.jr
	head := j.entry()
	s.from = len(j.buf)
	r.sealFlight(&s)
	totals := r.s.totals
	if s.closes = s.closes && r.flight.empty() && s.err == nil; s.closes {
		j.buf, s.err = r.s.end(r.n.bench, j.buf, at, reason, r.n.cfg.Key)
	} else if more || !r.flight.empty() {
		r.again(false)
	}
	if s.to = len(j.buf); s.to == s.from && s.err == nil {
		j.buf = j.buf[:head]
		return s, false
	}
	j.fill(head, r.session, r.part, s.at)
	s.after = Closed{HFinal: r.s.h, Seq: r.s.seq, Bytes: s.at + int64(s.to-s.from), Totals: totals}
	return s, true
}

func (r *Recording) sealFlight(s *share) {
	j := r.n.jr
	r.watchClock()
	for !r.flight.empty() && s.err == nil && len(j.buf)-s.from < shareBytes {
		data, es := r.flight.rest()
		var n int
		j.buf, n, s.err = r.s.next(r.n.bench, j.buf, data, es)
		s.counted += r.flight.drop(n)
		s.entries += n
	}
}

// stepAt is the jump of the wall clock that the record notes as a step; less is a clock being steered.
const stepAt = 500 * time.Millisecond

// watchClock compares the wall clock with the time since the part began.
func (r *Recording) watchClock() {
	now := r.n.cfg.Now()
	drift := now.UnixNano() - r.t0.UnixNano() - int64(now.Sub(r.t0))
	if d := time.Duration(drift - r.s.drift); d > stepAt || d < -stepAt {
		r.s.stepped = true
	}
	r.s.drift = drift
}

// rest lets go of what recordings hold without need, and of those that have failed.
func (n *Node) rest() {
	n.mu.Lock()
	open := n.recordings()
	n.mu.Unlock()
	now := n.cfg.Now()
	for _, r := range open {
		r.mu.Lock()
		idle, failed := now.Sub(r.active) >= idleAfter && !r.queued && r.next.empty(), r.hard != nil
		if idle {
			r.next = pending{}
		}
		r.mu.Unlock()
		if failed {
			n.drop(r)
		} else if idle && r.flight.empty() {
			r.s.endSegment()
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
	r.s.endSegment()
	clear(r.s.read.secret[:])
	clear(r.s.seal.secret[:])
	n.forget(r)
	r.lastEpoch.Store(n.jr.epoch)
	if n.failed() == nil {
		n.jr.dirty[r] = struct{}{}
	} else if err := r.f.Close(); err != nil {
		n.cfg.Log.Warn("a recording's file could not be closed", slog.String("file", r.name), slog.Any("error", err))
	}
}
