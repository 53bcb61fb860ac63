package archive

import (
	"sort"

	"github.com/sallyport/sallyport/recorder/format"
)

// How many s frames, and bytes of input, wait for their reveal; the format lets none be revealed later. Revealed pieces wait too
// where something before them was not: a machine can call every second byte hidden.
const (
	typingWindow = 1 << 16
	typingBytes  = 64 << 20
	typingPieces = 1 << 16
)

// Typed is a stretch of input. Sealed stretches have no text.
type Typed struct {
	At     uint64 // microseconds since the session began
	Ch     uint32
	Offset uint64
	Bytes  uint64
	Sealed bool
	Text   []byte // as typed
}

// typing puts reveals back where they were typed: it gives the input in typed order, once it is known
// what of it is revealed.
type typing struct {
	fn   func(Typed) error
	win  []keys
	base int
	size uint64 // bytes in win
	bits int    // revealed pieces in win
	byCh map[uint32][]int
	part uint32
}

// keys is an s frame and what was revealed of it so far, in order of offset.
type keys struct {
	at    uint64
	ch    uint32
	off   uint64
	n     uint64
	shown []Typed
	open  uint64 // bytes in shown
}

func newTyping(fn func(Typed) error) *typing { return &typing{fn: fn, byCh: map[uint32][]int{}} }

func (t *typing) add(m Moment) error {
	if m.Part != t.part { // channels of another part are others
		if err := t.end(); err != nil {
			return err
		}
		t.part = m.Part
	}
	switch m.Kind {
	case format.KindSealed, format.KindClear:
		t.byCh[m.Ch] = append(t.byCh[m.Ch], t.base+len(t.win))
		t.win = append(t.win, keys{at: m.At, ch: m.Ch, off: m.Frame.At, n: m.Len()})
		t.size += m.Len()
		if m.Kind == format.KindClear {
			t.reveal(m)
		}
		for len(t.win) > typingWindow || t.size > typingBytes || t.bits > typingPieces {
			if err := t.settle(); err != nil {
				return err
			}
		}
	case format.KindReveal:
		t.reveal(m)
	}
	return t.settled()
}

func (t *typing) reveal(m Moment) {
	numbers := t.byCh[m.Ch]
	i := sort.Search(len(numbers), func(i int) bool { return t.win[numbers[i]-t.base].off > m.Frame.At }) - 1
	if i < 0 {
		return // Verify calls it a fault; here there is no place for it
	}
	k := &t.win[numbers[i]-t.base]
	if m.Frame.At+m.Len() > k.off+k.n {
		return
	}
	at := sort.Search(len(k.shown), func(i int) bool { return k.shown[i].Offset >= m.Frame.At })
	k.shown = append(k.shown, Typed{})
	copy(k.shown[at+1:], k.shown[at:])
	k.shown[at] = Typed{At: k.at, Ch: k.ch, Offset: m.Frame.At, Bytes: m.Len(), Text: append([]byte(nil), m.Data...)}
	k.open += m.Len()
	t.bits++
}

// settled gives out what is revealed whole, so that little has to be kept.
func (t *typing) settled() error {
	for len(t.win) > 0 && t.win[0].whole() {
		if err := t.settle(); err != nil {
			return err
		}
	}
	return nil
}

func (k *keys) whole() bool { return k.open >= k.n }

// settle gives out the oldest s frame: what nobody revealed is sealed.
func (t *typing) settle() error {
	k := t.win[0]
	t.win[0] = keys{}
	t.win = t.win[1:]
	t.base++
	t.size -= k.n
	t.bits -= len(k.shown)
	if rest := t.byCh[k.ch][1:]; len(rest) == 0 {
		delete(t.byCh, k.ch)
	} else {
		t.byCh[k.ch] = rest
	}
	off, end := k.off, k.off+k.n
	for _, s := range k.shown {
		if err := t.sealed(k, off, s.Offset); err != nil {
			return err
		}
		if err := t.fn(s); err != nil {
			return err
		}
		off = s.Offset + s.Bytes
	}
	return t.sealed(k, off, end)
}

func (t *typing) sealed(k keys, from, to uint64) error {
	if from >= to {
		return nil
	}
	return t.fn(Typed{At: k.at, Ch: k.ch, Offset: from, Bytes: to - from, Sealed: true})
}

// end gives out the rest.
func (t *typing) end() error {
	for len(t.win) > 0 {
		if err := t.settle(); err != nil {
			return err
		}
	}
	return nil
}
