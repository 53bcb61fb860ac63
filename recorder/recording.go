package recorder

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
)

// Recording is one part of one session while it is recorded. Its methods may be called by several
// goroutines; those of one channel and stream should be called by one, or its bytes mix.
//
// Methods that record return nil only when what they were given is durable. After any error nothing of it
// may be forwarded or shown.
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
	s         *sealer
	flight    pending       // taken from next, not all of it sealed yet
	lastEpoch atomic.Uint64 // of the journal, in which the file got its last bytes; read by the checkpointer

	stopped chan struct{} // closed when it takes no more streams: ended, closing or failed
	failed  chan struct{} // closed when it can no longer record
	ended   chan struct{} // closed when Close may return

	mu      sync.Mutex // guards what follows
	next    pending    // to be sealed
	batch   *batch     // the last one that it joined
	queued  bool       // it is in the node's gathering batch
	put     uint64     // entries taken in, ever
	durable uint64     // of them
	held    int64      // bytes that wait to be durable, but for reveals
	offsets map[streamID]uint64
	judge   judge
	budget  budget
	clock   uint64 // time of the last entry
	active  time.Time
	soft    error // ends the streams; a note, the exit and the close can still be written
	hard    error // ends everything
	closing bool
	reason  string
	closeAt uint64
	last    Closed // what is durable

	flushTimer   *time.Timer
	verdictTimer *time.Timer
}

type streamID struct {
	ch     uint32
	stream uint8
}

// Closed says how a part ended. Of a recording that failed it says what was durable.
type Closed struct {
	HFinal [32]byte
	Seq    uint32
	Bytes  int64
	Totals Totals
	Hidden int // stretches of input that the device called hidden
}

// H0 is what the open leaf commits to.
func (r *Recording) H0() [32]byte { return r.h0 }

// SlotRK is the SHA-256 of the readers' slot file.
func (r *Recording) SlotRK() [32]byte { return r.slotRK }

// SlotSK is the SHA-256 of the unsealing officers' slot file.
func (r *Recording) SlotSK() [32]byte { return r.slotSK }

// File is the container's name in the node's directory.
func (r *Recording) File() string { return r.name }

// Failed is closed when the recording takes no more of the session; Err says why.
func (r *Recording) Failed() <-chan struct{} { return r.failed }

// Err gives the reason why the recording takes no more, for people; nil while it does.
func (r *Recording) Err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.hard != nil {
		return r.hard
	}
	return r.soft
}

// Progress gives the durable chain state, for the progress leaf.
func (r *Recording) Progress() Closed {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last
}

// Output records bytes on their way to the technician.
func (r *Recording) Output(ctx context.Context, ch uint32, stream uint8, p []byte) error {
	if stream != StreamOut && stream != StreamErr {
		return fmt.Errorf("output on stream %d", stream)
	}
	return r.streams(ctx, item{kind: KindOutput, ch: ch, stream: stream}, p, true)
}

// Input records bytes on their way to the device. They are sealed until a Verdict says that the terminal
// showed them.
func (r *Recording) Input(ctx context.Context, ch uint32, actor uint64, p []byte) error {
	return r.streams(ctx, item{kind: KindSealed, ch: ch, stream: StreamIn, actor: actor}, p, len(p) > keystroke)
}

// streams records p in pieces and waits for the last of them.
func (r *Recording) streams(ctx context.Context, it item, p []byte, patient bool) error {
	if len(p) == 0 {
		return r.Err()
	}
	if it.kind == KindSealed {
		if err := r.awaitVerdicts(ctx, len(p)); err != nil {
			return err
		}
		defer r.arm() // nobody can judge what was not forwarded yet
	}
	var last receipt
	for len(p) > 0 {
		it.body = p[:min(len(p), piece)]
		p = p[len(it.body):]
		if err := r.spare(); err != nil {
			return err
		}
		if err := r.afford(ctx, len(it.body), patient); err != nil {
			return err
		}
		at, err := r.take(ctx, it)
		if err != nil {
			return err
		}
		last = at
	}
	return r.wait(ctx, last)
}

// spare ends the session where a full disk has just enough left to end it well.
func (r *Recording) spare() error {
	if !r.n.vol.full.Load() || !r.n.vol.tight(r.n.count()) {
		return nil
	}
	return r.end(errFull("the disk that keeps the recordings is full, so the session ends"))
}

// Resize records a new size of the terminal.
func (r *Recording) Resize(ch uint32, cols, rows uint16) error {
	return r.event(KindResize, appendResize(nil, ch, cols, rows))
}

// Exit records the end of a channel's program.
func (r *Recording) Exit(e Exit) error {
	if !signalName(e.Signal) {
		e.Signal = "UNKNOWN" // devices send what they like
	}
	return r.event(KindExit, appendExit(nil, e))
}

// maxText bounds what a device can put into one event.
const maxText = 4 << 10

// Command records that a program started or ended.
func (r *Recording) Command(c Command) error {
	argv, left := make([]string, 0, len(c.Argv)), 32<<10
	for _, a := range c.Argv {
		short := clip(a, min(left, maxText))
		c.Truncated = c.Truncated || short != a
		left -= len(short) + 8
		if argv = append(argv, short); left <= 8 || len(argv) == maxArgs {
			c.Truncated = c.Truncated || len(argv) < len(c.Argv)
			break
		}
	}
	c.Argv = argv
	c.Source, c.Exe, c.Signal = clip(c.Source, 64), clip(c.Exe, maxText), clip(c.Signal, 16)
	return r.encoded(KindCommand, c)
}

// maxArgs is well inside what the readers' CBOR decoder takes for one array.
const maxArgs = 1024

// Note records a marker, or a remark on the record itself.
func (r *Recording) Note(n Note) error {
	n.Kind, n.Text = clip(n.Kind, 64), clip(n.Text, maxText)
	return r.encoded(KindNote, n)
}

// Gap records that something is missing, and what is known of it.
func (r *Recording) Gap(g Gap) error {
	g.Reason = clip(g.Reason, maxText)
	return r.encoded(KindGap, g)
}

// Notice records the log's answer to the open leaf.
func (r *Recording) Notice(b []byte) error { return r.event(KindNotice, b) }

// Attest records one of the device's statement keys. The one for hidden ranges is sealed.
func (r *Recording) Attest(a Attest) error {
	if len(a.Key) != 32 {
		return fmt.Errorf("statement key of %d bytes, want 32", len(a.Key))
	}
	if !a.Hidden {
		return r.event(KindAttest, append([]byte{0}, a.Key...))
	}
	return r.record(item{kind: KindAttest, fields: []byte{1}, body: a.Key})
}

// Statement records a device statement with its signature, readable without a key.
func (r *Recording) Statement(body, sig []byte) error {
	b := lp(lp(nil, body), sig)
	if len(b) > maxStatement {
		return fmt.Errorf("statement of %d bytes, at most %d", len(b), maxStatement)
	}
	return r.event(kindStatement, b)
}

func (r *Recording) encoded(k Kind, v any) error {
	b, err := encMode.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode frame %q: %w", byte(k), err)
	}
	return r.event(k, b)
}

func (r *Recording) event(k Kind, data []byte) error {
	if len(data) > maxFrame {
		return fmt.Errorf("frame %q of %d bytes, at most %d", byte(k), len(data), maxFrame)
	}
	return r.record(item{kind: k, body: data})
}

// record takes an event in and waits for it. Commands and notes wait for the budget: a device that
// reports them without end is slowed down like one that prints without end.
func (r *Recording) record(it item) error {
	ctx := context.Background()
	if err := r.afford(ctx, len(it.body), it.kind == KindCommand || it.kind == KindNote); err != nil && !it.late() {
		return err
	}
	at, err := r.take(ctx, it)
	if err != nil {
		return err
	}
	return r.wait(ctx, at)
}

// Close ends the part: the close record is durable when it returns. Of a recording that failed it gives
// what is durable, and why there is no more.
func (r *Recording) Close(ctx context.Context, reason string) (Closed, error) {
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
		return Closed{}, fmt.Errorf("close recording %s: %w", r.name, context.Cause(ctx))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last, r.hard
}

var errClosed = errkind.New(errkind.Conflict, "the recording of this session is closed")

// halt wakes those who wait to be let in. The caller holds r.mu.
func (r *Recording) halt() {
	select {
	case <-r.stopped:
	default:
		close(r.stopped)
	}
}

// stopError says why nothing more is taken.
func (r *Recording) stopError() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.refuses(KindOutput)
}

// refuses says why an item of this kind is not taken; nil if it is. The caller holds r.mu.
func (r *Recording) refuses(k Kind) error {
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

// end ends the session's streams for a reason that leaves the record whole: it says so in the record, and
// the close can follow. It gives the reason back.
func (r *Recording) end(why *errkind.Error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.refuses(KindOutput); err != nil {
		return err
	}
	r.soft = why
	r.n.cfg.Log.Warn("a recording ends its session", slog.String("session", r.session.String()), slog.String("reason", why.Text))
	r.remark(Note{Kind: NoteEnding, Text: why.Text})
	r.join()
	r.halt()
	close(r.failed)
	return why
}

// fail ends the recording at once. What is not durable is lost, and was not acknowledged.
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

// tick gives the time of what happens now, in microseconds since the part began. The caller holds r.mu.
func (r *Recording) tick() uint64 {
	r.active = r.n.cfg.Now()
	if t := r.active.Sub(r.t0).Microseconds(); t > 0 {
		r.clock = max(r.clock, uint64(t))
	}
	return r.clock
}

var errPart = errkind.New(errkind.Unavailable, "this part of the recording is full, so the session ends").WithHint("Open another session.")
