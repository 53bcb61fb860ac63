package writer

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"time"

	"github.com/sallyport/sallyport/recorder/format"
)

const (
	// flushWait is how long a reveal waits for another entry to share a chunk with.
	flushWait = 100 * time.Millisecond
	// Limits on input that waits for its verdict. A device needs a round trip for a verdict, so these limits delay
	// input only if the device sends none.
	judgeBytes = 512 << 10
	judgeItems = 4096
)

// unjudged is typed text of one s frame, or a rest of it, on which no verdict has come yet. It is the only place
// where the recorder remembers what was typed. It is erased as soon as a verdict comes.
type unjudged struct {
	ch       uint32
	actor    uint64
	at       uint64
	data     []byte
	deadline time.Time // zero: its Input has not returned
	frame    *shown
	whole    bool // data is all of its memory
}

// shown says which ranges of one s frame were revealed.
type shown struct {
	end    uint64 // of the last range; at first the frame's beginning
	behind int    // ranges that do not begin where the one before ended
}

// mostBehind bounds such ranges of a part, so that its readers never have to remember more than the format allows.
const mostBehind = format.RevealSplits - format.RevealFrames

// judge has a recording's input without a verdict. The recording's mutex guards it.
type judge struct {
	items  []unjudged
	bytes  int
	deaf   bool              // the device left input out
	behind int               // of all s frames
	hidden int               // stretches
	until  map[uint32]uint64 // where each channel's last hidden stretch ends
	more   map[uint32]bool   // channels of whose input the device judges more than there is
	moved  chan struct{}     // closed when something was judged; nil: nobody waits
	timed  bool              // the timer runs
	flush  bool              // the lazy flush is due
	free   [][]byte          // erased memory of whole frames, for the next ones
}

// mostFree bounds the memory that is kept for next frames: a flood of input uses it again, and keys need none.
const mostFree = 8

func (j *judge) add(it item) {
	j.items = append(j.items, unjudged{ch: it.ch, actor: it.actor, at: it.at, data: append(j.memory(len(it.body)), it.body...),
		frame: &shown{end: it.at}, whole: true})
	j.bytes += len(it.body)
}

// memory gives empty memory for n bytes.
func (j *judge) memory(n int) []byte {
	last := len(j.free) - 1
	if n < piece || last < 0 {
		return nil
	}
	m := j.free[last]
	j.free = j.free[:last]
	return m
}

// done erases a piece that was judged.
func (j *judge) done(u unjudged) {
	clear(u.data)
	if u.whole && len(u.data) == piece && len(j.free) < mostFree {
		j.free = append(j.free, u.data[:0])
	}
}

// cut removes a range from the unjudged input and gives its pieces, one for each s frame.
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
	u.whole = u.whole && to-from == uint64(len(u.data))
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

// show reports whether a piece may be revealed. Readers accept a bounded number of ranges, of one s frame and of all.
// With more, a device's verdicts could make a record that does not verify.
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

// hide counts a hidden piece. Keys that were typed one by one count as one range.
func (j *judge) hide(u unjudged) {
	if end, ok := j.until[u.ch]; !ok || end != u.at {
		j.hidden++
	}
	if j.until == nil {
		j.until = map[uint32]uint64{}
	}
	j.until[u.ch] = u.at + uint64(len(u.data))
}

// restart gives the rest of a channel's input a new deadline after a verdict. A device judges the lines of a paste
// one by one, each when the program reads it, so the last verdict may come long after the paste. judgeBytes bounds
// the memory that a slow device can use here.
func (j *judge) restart(ch uint32, deadline time.Time) {
	for i := range j.items {
		if u := &j.items[i]; u.ch == ch && !u.deadline.IsZero() {
			u.deadline = deadline
		}
	}
}

// signal wakes input that waits for the limit on unjudged input.
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
	j.items, j.bytes, j.free = nil, 0, nil
	j.signal()
}

// Verdict takes the device's verdict on n bytes of a channel's input from offset on. If the terminal showed them,
// they are revealed to the readers of the record. If hidden is set, they stay sealed. Verdict does not wait. It ignores
// bytes that were judged before, and notes that there were some which the record does not have. A device must judge in
// order. If it leaves bytes out, no further verdict is accepted. Otherwise it could split its input into so many pieces
// that searching them would take all the time here.
func (r *Recording) Verdict(ch uint32, offset, n uint64, hidden bool) {
	to := offset + n // without a terminal nothing is sealed, so there is nothing to reveal
	if to < offset {
		to = math.MaxUint64
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.hard != nil || r.closing || n == 0 {
		return
	}
	r.compare(ch, to)
	if r.judge.deaf {
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
		r.judge.done(u)
	}
	r.judge.signal()
}

// compare notes, once for a channel, that the device judges input which the record does not have. A device judges every
// byte that it receives, and input is in the record before it is sent, so there was another way to the device, or the
// device lies. The caller holds r.mu.
func (r *Recording) compare(ch uint32, to uint64) {
	has := r.offsets[streamID{ch, format.StreamIn}]
	if _, started := r.channels[ch]; !started || to <= has || r.judge.more[ch] {
		return
	}
	if r.judge.more == nil {
		r.judge.more = map[uint32]bool{}
	}
	r.judge.more[ch] = true
	unit := "bytes"
	if to == 1 {
		unit = "byte"
	}
	text := fmt.Sprintf("channel %d: the device says that it received %d %s of input, and the record has %d",
		ch, to, unit, has)
	r.remark(format.Note{Kind: format.NoteDiffers, Ch: &ch, Text: text})
	r.flushSoon()
}

// awaitVerdicts delays input while too much earlier input has no verdict.
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

// arm sets the deadline for the verdict on input that has just become durable or has failed.
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

// expire gives up input whose deadline has passed.
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

// giveUp leaves unjudged input sealed and records a note about it, one for adjacent ranges. The caller holds r.mu.
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
		panic(err) // impossible for a struct of text and numbers
	}
	r.add(item{kind: format.KindNote, body: body})
}

// flushSoon bounds how long a reveal or a remark waits for another entry to share a chunk with. The caller holds r.mu.
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
