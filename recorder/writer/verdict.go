package writer

import (
	"context"
	"log/slog"
	"math"
	"time"

	"github.com/sallyport/sallyport/recorder/format"
)

const (
	// flushWait is how long a reveal waits for a chunk to ride in.
	flushWait = 100 * time.Millisecond
	// What of the input may wait for its verdict. A device that judges needs a round trip for it, so
	// only one that does not judge makes its technician wait.
	judgeBytes = 256 << 10
	judgeItems = 4096
)

// unjudged is typed text of one s frame, or what is left of it, that the device has not judged yet. It is
// the only place where the recorder remembers what was typed, and it is erased as soon as it is judged.
type unjudged struct {
	ch       uint32
	actor    uint64
	at       uint64
	data     []byte
	deadline time.Time // zero: its Input has not returned
	frame    *shown
}

// shown is what was revealed of one s frame.
type shown struct {
	end    uint64 // of the last stretch; first the frame's beginning
	behind int    // stretches that do not begin where the one before ended
}

// mostBehind is how many such stretches a part may have in all, so that its readers' window never holds too many.
const mostBehind = format.RevealSplits - format.RevealFrames

// judge holds a recording's unjudged input. The recording's mutex guards it.
type judge struct {
	items  []unjudged
	bytes  int
	deaf   bool              // the device left input out
	behind int               // of all s frames
	hidden int               // stretches
	until  map[uint32]uint64 // where each channel's last hidden stretch ends
	moved  chan struct{}     // closed when something was judged; nil: nobody waits
	timed  bool              // the timer runs
	flush  bool              // the lazy flush is due
}

func (j *judge) add(it item) {
	j.items = append(j.items, unjudged{ch: it.ch, actor: it.actor, at: it.at, data: append([]byte(nil), it.body...), frame: &shown{end: it.at}})
	j.bytes += len(it.body)
}

// cut takes the range out of what is unjudged and gives its pieces, one per s frame.
func (j *judge) cut(ch uint32, from, to uint64) (out []unjudged) {
	kept := make([]unjudged, 0, len(j.items))
	for _, u := range j.items {
		end := u.at + uint64(len(u.data))
		lo, hi := max(u.at, from), min(end, to)
		if u.ch != ch || lo >= hi {
			kept = append(kept, u)
			continue
		}
		if left := u.part(u.at, lo); len(left.data) > 0 {
			kept = append(kept, left)
		}
		out = append(out, u.part(lo, hi))
		if right := u.part(hi, end); len(right.data) > 0 {
			kept = append(kept, right)
		}
		j.bytes -= int(hi - lo)
	}
	j.items = kept
	return out
}

func (u unjudged) part(from, to uint64) unjudged {
	u.data = u.data[from-u.at : to-u.at]
	u.at = from
	return u
}

// skips reports whether input before at waits for its verdict.
func (j *judge) skips(ch uint32, at uint64) bool {
	for _, u := range j.items {
		if u.ch == ch && u.at < at {
			return true
		}
	}
	return false
}

// show reports whether a piece may be revealed. Readers take a bounded number of stretches, of one s frame and of all:
// beyond that the device's word would make a record that does not verify.
func (j *judge) show(u unjudged) bool {
	if u.at != u.frame.end {
		if u.frame.behind == format.RevealParts-1 || j.behind == mostBehind {
			return false
		}
		u.frame.behind++
		j.behind++
	}
	u.frame.end = u.at + uint64(len(u.data))
	return true
}

// hide counts a hidden piece; keys typed one by one are one stretch.
func (j *judge) hide(u unjudged) {
	if end, ok := j.until[u.ch]; !ok || end != u.at {
		j.hidden++
	}
	if j.until == nil {
		j.until = map[uint32]uint64{}
	}
	j.until[u.ch] = u.at + uint64(len(u.data))
}

// restart gives the rest of a channel's input a new deadline after a verdict. A device judges the lines of a paste one
// by one, each when the program reads it, so the last verdict may come long after the paste. judgeBytes bounds the
// memory that a slow device can occupy here.
func (j *judge) restart(ch uint32, deadline time.Time) {
	for i := range j.items {
		if u := &j.items[i]; u.ch == ch && !u.deadline.IsZero() {
			u.deadline = deadline
		}
	}
}

// signal wakes those whom the bound on unjudged input holds up.
func (j *judge) signal() {
	if j.moved != nil {
		close(j.moved)
		j.moved = nil
	}
}

func (j *judge) erase() {
	for _, u := range j.items {
		clear(u.data)
	}
	j.items, j.bytes = nil, 0
	j.signal()
}

// Verdict says what the device's terminal did with a range of input: showed it (then it is revealed to the
// readers of the record), or hid it (then it stays sealed). It waits for nothing. What was judged before,
// or was never typed, is left alone. A device judges in order: of one that leaves some out nothing more is taken, or it
// could break its input into so many pieces that nothing else would be done here than to look through them.
func (r *Recording) Verdict(ch uint32, offset, n uint64, hidden bool) {
	to := offset + n
	if to < offset {
		to = math.MaxUint64
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.hard != nil || r.closing || n == 0 || r.judge.deaf {
		return
	}
	if r.judge.skips(ch, offset) {
		r.judge.deaf = true
		r.n.cfg.Log.Warn("a device judges its input out of order; what is typed from here on stays sealed", slog.String("session", r.session.String()))
		return
	}
	pieces := r.judge.cut(ch, offset, to)
	if len(pieces) > 0 {
		r.judge.restart(ch, r.n.cfg.Now().Add(r.n.cfg.VerdictWait))
	}
	for _, u := range pieces {
		if hidden || !r.judge.show(u) {
			r.judge.hide(u)
		} else {
			r.add(item{kind: format.KindReveal, ch: ch, stream: format.StreamIn, actor: u.actor, at: u.at, body: u.data})
			r.flushSoon()
		}
		clear(u.data)
	}
	r.judge.signal()
}

// awaitVerdicts holds up input while too much of what came before it is unjudged.
func (r *Recording) awaitVerdicts(ctx context.Context, n int) error {
	for {
		r.mu.Lock()
		j := &r.judge
		if len(j.items) == 0 || j.bytes+n <= judgeBytes && len(j.items) < judgeItems {
			r.mu.Unlock()
			return nil
		}
		if j.moved == nil {
			j.moved = make(chan struct{})
		}
		moved := j.moved
		r.mu.Unlock()
		if err := r.await(ctx, moved, false); err != nil {
			return err
		}
	}
}

// arm starts the clock of input that has just become durable, or failed to.
func (r *Recording) arm() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.hard != nil || r.closing {
		return
	}
	deadline := r.n.cfg.Now().Add(r.n.cfg.VerdictWait)
	for i := len(r.judge.items) - 1; i >= 0 && r.judge.items[i].deadline.IsZero(); i-- {
		r.judge.items[i].deadline = deadline
	}
	if len(r.judge.items) > 0 && !r.judge.timed {
		r.judge.timed = true
		r.verdictTimer.Reset(r.n.cfg.VerdictWait)
	}
}

// expire gives up on input whose time is over.
func (r *Recording) expire() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.judge.timed = false
	if r.hard != nil || r.closing {
		return
	}
	now := r.n.cfg.Now()
	r.giveUp(func(u *unjudged) bool { return !u.deadline.IsZero() && !u.deadline.After(now) })
	var first time.Time
	for _, u := range r.judge.items {
		if !u.deadline.IsZero() && (first.IsZero() || u.deadline.Before(first)) {
			first = u.deadline
		}
	}
	if !first.IsZero() {
		r.judge.timed = true
		r.verdictTimer.Reset(first.Sub(now))
	}
}

// giveUp leaves unjudged input sealed and notes it, neighbours in one note. The caller holds r.mu.
func (r *Recording) giveUp(over func(*unjudged) bool) {
	j := &r.judge
	var notes []format.Note
	kept := j.items[:0]
	for _, u := range j.items {
		if !over(&u) {
			kept = append(kept, u)
			continue
		}
		if last := len(notes) - 1; last >= 0 && *notes[last].Ch == u.ch && notes[last].At+notes[last].N == u.at {
			notes[last].N += uint64(len(u.data))
		} else {
			notes = append(notes, format.Note{Kind: format.NoteNoVerdict, Ch: &u.ch, At: u.at, N: uint64(len(u.data))})
		}
		j.bytes -= len(u.data)
		clear(u.data)
	}
	clear(j.items[len(kept):])
	j.items = kept
	for _, n := range notes {
		r.remark(n)
		r.flushSoon()
	}
	j.signal()
}

// remark adds a note of the recorder's own. The caller holds r.mu.
func (r *Recording) remark(n format.Note) {
	body, err := format.Encode(n)
	if err != nil {
		panic(err) // a struct of text and numbers
	}
	r.add(item{kind: format.KindNote, body: body})
}

// flushSoon bounds how long a reveal or a remark waits for a chunk to ride in. The caller holds r.mu.
func (r *Recording) flushSoon() {
	if !r.judge.flush {
		r.judge.flush = true
		r.flushTimer.Reset(flushWait)
	}
}

func (r *Recording) flush() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.judge.flush = false
	if r.hard == nil && len(r.next.es) > 0 {
		r.join()
	}
}

// quiet stops the timers. The caller holds r.mu.
func (r *Recording) quiet() {
	r.flushTimer.Stop()
	r.verdictTimer.Stop()
}
