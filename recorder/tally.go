package recorder

import (
	"errors"
	"fmt"
)

var errRevealDiffers = errors.New("a reveal shows other bytes than were typed")

// tally checks what concerns all frames of a part: streams without a hole, reveals, totals.
type tally struct {
	totals  Totals
	streams map[uint64]uint64 // channel and stream: where its next bytes begin
	typed   *typed

	gaps     []Gap
	unjudged uint64 // bytes of input that no verdict came for
	silent   int    // notes that say so
	commands int
	keys     int // device statement keys
	steps    int // of the wall clock
	last     uint64
}

func newTally() *tally { return &tally{streams: map[uint64]uint64{}, typed: newTyped()} }

// add takes in the next frame. The error is the rule and what broke it.
func (t *tally) add(f *Frame) (rule string, err error) {
	t.totals.Frames++
	t.last = f.T
	switch f.Kind {
	case KindOutput:
		t.totals.Out += f.Len()
		return RuleOffset, t.follow(f)
	case KindSealed:
		t.totals.In += f.Len()
		if err := t.follow(f); err != nil {
			return RuleOffset, err
		}
		t.typed.sealed(f)
	case KindReveal:
		t.totals.Revealed += f.Len()
		err := t.typed.reveal(f)
		if errors.Is(err, errRevealDiffers) {
			return RuleSealed, err
		}
		return RuleReveal, err
	default:
		t.event(f)
	}
	return "", nil
}

// follow demands that stream bytes begin where those before them end.
func (t *tally) follow(f *Frame) error {
	id := uint64(f.Ch)<<8 | uint64(f.Stream)
	at, known := t.streams[id]
	switch {
	case !known && len(t.streams) == maxStreams:
		return fmt.Errorf("more than %d streams", maxStreams)
	case f.At != at:
		return fmt.Errorf("channel %d stream %d goes on at %d, want %d", f.Ch, f.Stream, f.At, at)
	}
	t.streams[id] = at + f.Len()
	return nil
}

// event counts the kinds that the report tells of. parseFrame has read them once.
func (t *tally) event(f *Frame) {
	switch f.Kind {
	case KindGap:
		g, _ := f.Gap()
		t.totals.Gaps++
		t.totals.GapBytes += g.Bytes
		if len(t.gaps) < maxRanges {
			t.gaps = append(t.gaps, g)
		}
	case KindNote:
		if n, _ := f.Note(); n.Kind == NoteNoVerdict {
			t.unjudged += n.N
			t.silent++
		}
	case KindCommand:
		t.commands++
	case KindAttest:
		t.keys++
	case KindAnchor:
		if a, _ := f.Anchor(); a.Step {
			t.steps++
		}
	}
}
