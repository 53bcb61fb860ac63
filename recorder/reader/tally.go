package reader

import (
	"errors"
	"fmt"
	"math"

	"github.com/sallyport/sallyport/recorder/format"
)

var errRevealDiffers = errors.New("a reveal shows other bytes than were typed")

// tally checks what concerns all frames of a part: streams without a hole, reveals, totals.
type tally struct {
	totals   format.Totals
	streams  map[uint64]uint64 // channel and stream: where its next bytes begin
	typed    *typed
	channels *channels // nil in version 1, which does not say when a channel starts

	gaps     []format.Gap
	unjudged uint64 // bytes of input that no verdict came for
	silent   int    // notes that say so
	commands int
	keys     int // device statement keys
	steps    int // of the wall clock
	last     uint64
}

func newTally(version uint64) *tally {
	t := &tally{streams: map[uint64]uint64{}, typed: newTyped()}
	if version >= format.Version2 {
		t.channels = newChannels()
	}
	return t
}

// add takes in the next frame. The error is the rule and what broke it.
func (t *tally) add(f *format.Frame) (rule string, err error) {
	t.totals.Frames++
	t.last = f.T
	if t.channels != nil {
		if err := t.channels.add(f); err != nil {
			return format.RuleChannel, err
		}
	}
	switch f.Kind {
	case format.KindOutput:
		t.totals.Out += f.Len()
		return format.RuleOffset, t.follow(f)
	case format.KindSealed:
		t.totals.In += f.Len()
		if err := t.follow(f); err != nil {
			return format.RuleOffset, err
		}
		t.typed.sealed(f)
	case format.KindClear:
		if t.channels == nil {
			return format.RuleFrame, fmt.Errorf("a frame %q in a recording of version 1", byte(f.Kind))
		}
		t.totals.In += f.Len()
		t.totals.Revealed += f.Len()
		return format.RuleOffset, t.follow(f)
	case format.KindReveal:
		t.totals.Revealed += f.Len()
		err := t.typed.reveal(f)
		if errors.Is(err, errRevealDiffers) {
			return format.RuleSealed, err
		}
		return format.RuleReveal, err
	case format.KindGap:
		return format.RuleTotals, t.gap(f)
	default:
		t.event(f)
	}
	return "", nil
}

// gap counts a gap. The sum of all gaps must fit into 64 bits. Otherwise it could overflow to a small total.
func (t *tally) gap(f *format.Frame) error {
	g, _ := f.Gap() // ParseFrame has read it once
	if g.Bytes > math.MaxUint64-t.totals.GapBytes {
		return fmt.Errorf("the bytes of the gaps are more than %d", uint64(math.MaxUint64))
	}
	t.totals.Gaps++
	t.totals.GapBytes += g.Bytes
	if len(t.gaps) < maxRanges {
		t.gaps = append(t.gaps, g)
	}
	return nil
}

// follow demands that stream bytes begin where those before them end.
func (t *tally) follow(f *format.Frame) error {
	id := uint64(f.Ch)<<8 | uint64(f.Stream)
	at, known := t.streams[id]
	switch {
	case !known && len(t.streams) == format.MaxStreams:
		return fmt.Errorf("more than %d streams", format.MaxStreams)
	case f.At != at:
		return fmt.Errorf("channel %d stream %d goes on at %d, want %d", f.Ch, f.Stream, f.At, at)
	}
	t.streams[id] = at + f.Len()
	return nil
}

// event counts the kinds that the report tells of. ParseFrame has read them once.
func (t *tally) event(f *format.Frame) {
	switch f.Kind {
	case format.KindNote:
		if n, _ := f.Note(); n.Kind == format.NoteNoVerdict {
			t.unjudged += min(n.N, math.MaxUint64-t.unjudged)
			t.silent++
		}
	case format.KindCommand:
		t.commands++
	case format.KindAttest:
		t.keys++
	case format.KindAnchor:
		if a, _ := f.Anchor(); a.Step {
			t.steps++
		}
	}
}
