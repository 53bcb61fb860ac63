package writer

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/recorder"
	"github.com/sallyport/sallyport/recorder/format"
	"github.com/sallyport/sallyport/recorder/seal"
)

// Recording is one part of one session while it is recorded. Several goroutines may call its methods. Only one should
// record a given stream of a channel, or its bytes mix.
//
// Methods that record return nil only when their argument is durable. After an error nothing of it may be sent or
// shown.
type Recording struct {
	n       *Node
	name    string
	session id.Session
	part    uint32
	t0      time.Time
	h0      [32]byte
	slotRK  [32]byte
	slotSK  [32]byte
	f       file

	// The committer's.
	s         *seal.Sealer
	flight    pending       // taken from next, not all of it sealed yet
	lastEpoch atomic.Uint64 // of the journal, in which the file got its last bytes; read by the checkpointer

	slowed  chan string   // holds the text until it is read
	stopped chan struct{} // closed when it accepts no more streams: ended, closing or failed
	failed  chan struct{} // closed when it can no longer record
	ended   chan struct{} // closed when Close may return

	mu       sync.Mutex // guards what follows
	next     pending    // to be sealed
	batch    *batch     // the last one that it joined
	queued   bool       // it is in the node's gathering batch
	put      uint64     // entries taken in, ever
	durable  uint64     // of them
	held     int64      // bytes that wait to be durable, without reveals
	offsets  map[streamID]uint64
	channels map[uint32]channel // that were started
	judge    judge
	budget   budget
	slow     bool   // slowed was told
	clock    uint64 // time of the last entry
	active   time.Time
	soft     error // ends the streams; a note, the exit and the close can still be written
	hard     error // ends everything
	closing  bool
	reason   string
	closeAt  uint64
	last     recorder.Closed // what is durable

	flushTimer   *time.Timer
	verdictTimer *time.Timer
}

// channel is what the order of a channel's entries depends on.
type channel struct {
	terminal bool
	ended    bool // its input has ended
}

type streamID struct {
	ch     uint32
	stream format.Stream
}

// H0 is the first hash of the chain. The open leaf commits to it.
func (r *Recording) H0() [32]byte { return r.h0 }

// Slowed gives once that the session has used up what it may record at full speed.
func (r *Recording) Slowed() <-chan string { return r.slowed }

// SlotRK is the SHA-256 of the readers' slot file.
func (r *Recording) SlotRK() [32]byte { return r.slotRK }

// SlotSK is the SHA-256 of the unsealing officers' slot file.
func (r *Recording) SlotSK() [32]byte { return r.slotSK }

// File is the container's path, relative to the node's directory; see Place.
func (r *Recording) File() string { return r.name }

// Started is when the part began, from its header. The place of its files follows from it.
func (r *Recording) Started() time.Time { return r.t0 }

// Failed is closed when the recording accepts nothing more. Err says why.
func (r *Recording) Failed() <-chan struct{} { return r.failed }

// Err gives the reason, for people, why the recording accepts nothing more; nil while it accepts.
func (r *Recording) Err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.hard != nil {
		return r.hard
	}
	return r.soft
}

// Progress gives the durable chain state, for the progress leaf.
func (r *Recording) Progress() recorder.Closed {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last
}

// Close ends the part. The close record is durable when it returns nil. If the recording has failed, Close returns the
// state that is durable, and the reason for the failure.
func (r *Recording) Close(ctx context.Context, reason string) (recorder.Closed, error) {
	r.mu.Lock()
	if r.hard == nil && !r.closing {
		r.giveUp(func(*unjudged) bool { return true })
		r.closing, r.reason, r.closeAt = true, reason, r.tick()
		r.halt()
		r.quiet()
		r.join()
	}
	r.mu.Unlock()
	select {
	case <-r.ended:
	case <-ctx.Done():
		return recorder.Closed{}, fmt.Errorf("close recording %s: %w", r.name, context.Cause(ctx))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last, r.hard
}

var errClosed = errkind.New(errkind.Conflict, "the recording of this session is closed")

// halt wakes callers that wait for room in the queue. The caller holds r.mu.
func (r *Recording) halt() {
	select {
	case <-r.stopped:
	default:
		close(r.stopped)
	}
}

// stopError gives the reason why nothing more is accepted.
func (r *Recording) stopError() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.refuses(format.KindOutput)
}

// refuses gives the reason why an item of this kind is not accepted, or nil. The caller holds r.mu.
func (r *Recording) refuses(k format.Kind) error {
	switch {
	case r.hard != nil:
		return r.hard
	case r.closing:
		return errClosed
	case r.soft != nil && !(item{kind: k}).late():
		return r.soft
	}
	return nil
}

// end ends the session's streams for a reason that leaves the record whole. It records the reason, and the close can
// follow. It returns the reason.
func (r *Recording) end(why *errkind.Error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.refuses(format.KindOutput); err != nil {
		return err
	}
	r.soft = why
	r.n.cfg.Log.Warn("a recording ends its session", slog.String("session", r.session.String()), slog.String("reason", why.Text))
	r.remark(format.Note{Kind: format.NoteEnding, Text: why.Text})
	r.join()
	r.halt()
	close(r.failed)
	return why
}

// fail ends the recording at once. Bytes that are not durable are lost. They were not acknowledged.
func (r *Recording) fail(why error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.hard != nil || r.done() {
		return
	}
	r.hard = why
	if r.soft == nil {
		close(r.failed)
	}
	r.halt()
	r.quiet()
	r.judge.erase()
	close(r.ended)
}

func (r *Recording) done() bool {
	select {
	case <-r.ended:
		return true
	default:
		return false
	}
}

// tick gives the current time in microseconds since the part began. The caller holds r.mu.
func (r *Recording) tick() uint64 {
	r.active = r.n.cfg.Now()
	if t := r.active.Sub(r.t0).Microseconds(); t > 0 {
		r.clock = max(r.clock, uint64(t))
	}
	return r.clock
}

var errPart = errkind.New(errkind.Unavailable, "this part of the recording is full, so the session ends").WithHint("Open another session.")
