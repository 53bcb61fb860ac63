package writer

import (
	"log/slog"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/recorder"
	"github.com/sallyport/sallyport/recorder/format"
)

// share is the part of one recording in the batch that is being committed.
type share struct {
	r        *Recording
	at       int64 // where its chunks go in its file
	from, to int   // where they are in the batch
	entries  int
	counted  int64
	after    recorder.Closed
	closes   bool
	err      error // it could not be sealed, or not stored
}

func (n *Node) storeShares() {
	for i := range n.shares {
		n.storeShare(&n.shares[i])
	}
}

// storeShare writes one recording's chunks into its file. If only the ballast had room for them, nothing but the close
// follows them.
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

// settleShare tells a recording whether its share is durable or has failed.
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
		WithHint("Open another session. The gateway's log has the reason for its operator.").Because(s.err)
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
	if s.after.Seq > format.MaxSeq-lastChunks {
		r.end(errPart)
	}
}

// sealShare seals the recording's pending entries, up to the size of a share, and reports whether there were any.
func (r *Recording) sealShare() (share, bool) {
	r.mu.Lock()
	r.queued = false
	if r.flight.empty() {
		r.flight, r.next = r.next, r.flight.recycle()
	}
	s := share{r: r, at: r.s.Offset, closes: r.closing && r.next.empty()}
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
	totals := r.s.Totals
	if s.closes = s.closes && r.flight.empty() && s.err == nil; s.closes {
		j.buf, s.err = r.s.End(r.n.bench, j.buf, at, reason, r.n.cfg.Key)
	} else if more || !r.flight.empty() {
		r.again(false)
	}
	if s.to = len(j.buf); s.to == s.from && s.err == nil {
		j.buf = j.buf[:head]
		return s, false
	}
	j.fill(head, r.session, r.part, s.at)
	s.after = recorder.Closed{HFinal: r.s.H, Seq: r.s.Seq, Bytes: s.at + int64(s.to-s.from), Totals: totals}
	return s, true
}

func (r *Recording) sealFlight(s *share) {
	j := r.n.jr
	r.watchClock()
	for !r.flight.empty() && s.err == nil && len(j.buf)-s.from < shareBytes {
		data, es := r.flight.rest()
		var n int
		j.buf, n, s.err = r.s.Next(r.n.bench, j.buf, data, es)
		s.counted += r.flight.drop(n)
		s.entries += n
	}
}
