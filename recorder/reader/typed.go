package reader

import (
	"bytes"
	"fmt"
	"sort"

	"github.com/sallyport/sallyport/recorder/format"
)

// span is a stretch of bytes of an s frame.
type span struct{ from, to uint32 }

// typedFrame is an s frame and what of it was not revealed.
type typedFrame struct {
	ch    uint32
	at    uint64
	actor uint64
	n     uint32
	left  []span
	text  []byte // level C
}

// typed follows the input of a part: reveals must be ranges of one earlier s frame, and none twice.
type typed struct {
	win   []typedFrame
	base  int              // number of win[0] in the part
	byCh  map[uint32][]int // numbers of a channel's frames that are still in win
	bytes int64
	split int // stretches in win

	ends   map[uint32]hiddenEnd // of each channel's last hidden stretch
	hidden Hidden
}

// Hidden is the input that no reveal shows: what the terminal hid, and what nobody judged.
type Hidden struct {
	Bytes  uint64
	Count  int     // stretches of it
	Ranges []Range // the first 1,000 of them
}

// Range is a stretch of one channel's input.
type Range struct {
	Ch uint32
	At uint64
	N  uint64
}

// hiddenEnd is where a stretch ends, and which of the ranges it is; -1: it is not kept.
type hiddenEnd struct {
	at uint64
	i  int
}

const maxRanges = 1000

func newTyped() *typed {
	return &typed{byCh: map[uint32][]int{}, ends: map[uint32]hiddenEnd{}}
}

// sealed takes in an s frame.
func (t *typed) sealed(f *format.Frame) {
	n := uint32(f.Len())
	e := typedFrame{ch: f.Ch, at: f.At, actor: f.Actor, n: n, left: []span{{0, n}}}
	if f.Opened {
		e.text = bytes.Clone(f.Data)
	}
	t.byCh[f.Ch] = append(t.byCh[f.Ch], t.base+len(t.win))
	t.win = append(t.win, e)
	t.bytes += int64(n)
	t.split++
	for len(t.win) > format.RevealFrames || t.bytes > format.RevealBytes {
		t.forget()
	}
}

// forget lets the oldest s frame go: what is left of it stays hidden.
func (t *typed) forget() {
	e := &t.win[0]
	for _, s := range e.left {
		t.hide(e.ch, e.at+uint64(s.from), uint64(s.to-s.from))
	}
	t.bytes -= int64(e.n)
	t.split -= len(e.left)
	if rest := t.byCh[e.ch][1:]; len(rest) == 0 {
		delete(t.byCh, e.ch)
	} else {
		t.byCh[e.ch] = rest
	}
	*e = typedFrame{}
	t.win = t.win[1:]
	t.base++
}

// hide counts a hidden stretch; neighbours are one.
func (t *typed) hide(ch uint32, at, n uint64) {
	h := &t.hidden
	h.Bytes += n
	end, ok := t.ends[ch]
	if !ok || end.at != at {
		h.Count++
		end.i = -1
		if len(h.Ranges) < maxRanges {
			end.i = len(h.Ranges)
			h.Ranges = append(h.Ranges, Range{Ch: ch, At: at})
		}
	}
	if end.i >= 0 {
		h.Ranges[end.i].N += n
	}
	end.at = at + n
	t.ends[ch] = end
}

// end gives what stayed hidden in the whole part.
func (t *typed) end() Hidden {
	for len(t.win) > 0 {
		t.forget()
	}
	return t.hidden
}

// reveal checks an i frame.
func (t *typed) reveal(f *format.Frame) error {
	numbers := t.byCh[f.Ch]
	i := sort.Search(len(numbers), func(i int) bool { return t.win[numbers[i]-t.base].at > f.At }) - 1
	if i < 0 {
		return fmt.Errorf("it shows input of channel %d at %d, where no sealed input is that could be revealed", f.Ch, f.At)
	}
	e := &t.win[numbers[i]-t.base]
	from, n := f.At-e.at, f.Len()
	switch {
	case from+n > uint64(e.n):
		return fmt.Errorf("its range of channel %d at %d is not inside one sealed input", f.Ch, f.At)
	case f.Actor != e.actor:
		return fmt.Errorf("it names actor %d, the sealed input %d", f.Actor, e.actor)
	case e.text != nil && !bytes.Equal(e.text[from:from+n], f.Data):
		return errRevealDiffers
	}
	return t.carve(e, span{uint32(from), uint32(from + n)})
}

// carve takes a range out of what is left of an s frame.
func (t *typed) carve(e *typedFrame, r span) error {
	i := sort.Search(len(e.left), func(i int) bool { return e.left[i].to > r.from })
	if i == len(e.left) || e.left[i].from > r.from || e.left[i].to < r.to {
		return fmt.Errorf("channel %d at %d: some of it was revealed before", e.ch, e.at+uint64(r.from))
	}
	s := e.left[i]
	var parts []span
	if s.from < r.from {
		parts = append(parts, span{s.from, r.from})
	}
	if r.to < s.to {
		parts = append(parts, span{r.to, s.to})
	}
	t.split += len(parts) - 1
	if len(e.left)+len(parts)-1 > format.RevealParts || t.split > format.RevealSplits {
		return fmt.Errorf("sealed input is revealed in too many pieces")
	}
	e.left = append(e.left[:i], append(parts, e.left[i+1:]...)...)
	return nil
}
