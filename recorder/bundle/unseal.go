package bundle

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"filippo.io/age"

	"github.com/sallyport/sallyport/recorder/format"
	"github.com/sallyport/sallyport/recorder/reader"
)

// Hidden is one typed line, or the rest of one, that no reveal shows: it was typed at a hidden prompt, or the device
// gave no verdict on it.
type Hidden struct {
	Part      uint32
	At        time.Time // of its first byte
	Ch        uint32
	Offset    uint64 // in the input of the channel, in bytes
	Text      []byte // as typed
	NoVerdict int    // bytes of Text without a verdict of the device; the terminal may have shown them
}

// Errors if the identities do not open enough.
var (
	ErrNotReader   = errors.New("none of the identities is a reader's")
	ErrNotUnsealer = errors.New("none of the identities is an unsealing officer's")
)

// Unseal opens the input that stayed sealed, and calls fn with each line in the order of typing. The identities must
// open both keys of every part, because sealed input is inside chunks that the readers' key encrypts. Unseal does not
// verify anything. Verify does.
func (s *Source) Unseal(ctx context.Context, ids []age.Identity, fn func(Hidden) error) error {
	for n := range uint32(len(s.m.Parts)) {
		name := format.FileName(s.m.Session, n)
		if p := s.m.Parts[n]; p.Recording == 0 || p.SlotRK == 0 || p.SlotSK == 0 {
			continue // shredded
		}
		if err := s.unsealPart(ctx, n, name, ids, fn); err != nil {
			return err
		}
	}
	return nil
}

func (s *Source) unsealPart(ctx context.Context, n uint32, name string, ids []age.Identity, fn func(Hidden) error) error {
	rkName, skName := format.SlotNames(s.m.Session, n)
	rk, err := s.unlock(rkName, ids, ErrNotReader)
	if err != nil {
		return err
	}
	sk, err := s.unlock(skName, ids, ErrNotUnsealer)
	if err != nil {
		return err
	}
	src := s.pieces[name]
	frames := func(each func(*format.Frame) error) error {
		r, err := reader.Open(src, src.Size(), name, rk, &sk)
		if err != nil {
			return err
		}
		return eachFrame(ctx, r, each)
	}
	l := liner{part: n, shown: ranges{}, unjudged: ranges{}, fn: fn}
	if err := frames(l.judged); err != nil {
		return err
	}
	if err := frames(l.frame); err != nil {
		return err
	}
	return l.flush()
}

func (s *Source) unlock(name string, ids []age.Identity, none error) ([32]byte, error) {
	key, err := format.Unlock(io.NewSectionReader(s.pieces[name], 0, s.pieces[name].Size()), ids...)
	var no *age.NoIdentityMatchError
	if errors.As(err, &no) {
		return key, fmt.Errorf("%s: %w", name, none)
	}
	return key, err
}

// eachFrame calls each with every frame, up to the end or to the point where the part is cut.
func eachFrame(ctx context.Context, r *reader.Reader, each func(*format.Frame) error) error {
	for n := 0; ; n++ {
		if n%256 == 0 && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		f, err := r.Next()
		if err == io.EOF || errors.Is(err, format.ErrCut) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := each(f); err != nil {
			return err
		}
	}
}

// ranges are ranges of the input of each channel. Adjacent ranges are joined.
type ranges map[uint32][]stretch

type stretch struct{ from, to uint64 }

func (r ranges) add(ch uint32, from, to uint64) {
	all := r[ch]
	if n := len(all); n > 0 && all[n-1].to == from {
		all[n-1].to = to
		return
	}
	at, _ := slices.BinarySearchFunc(all, from, func(s stretch, from uint64) int { return int(int64(s.from - from)) })
	r[ch] = slices.Insert(all, at, stretch{from, to})
}

// covered gives how many bytes from off on are in the ranges, or otherwise how many are not, at most n.
func (r ranges) covered(ch uint32, off, n uint64) (in bool, length uint64) {
	all := r[ch]
	i, exact := slices.BinarySearchFunc(all, off, func(s stretch, off uint64) int { return int(int64(s.from - off)) })
	if exact {
		return true, min(n, all[i].to-off)
	}
	if i > 0 && all[i-1].to > off {
		return true, min(n, all[i-1].to-off)
	}
	if i < len(all) {
		n = min(n, all[i].from-off)
	}
	return false, n
}

// liner joins hidden bytes to lines.
type liner struct {
	part     uint32
	shown    ranges // by reveals
	unjudged ranges // by notes
	fn       func(Hidden) error
	line     Hidden
}

// maxHiddenLine bounds what is joined.
const maxHiddenLine = 64 << 10

// judged collects what a frame says about a range of input: that it was revealed, or that no verdict came.
func (l *liner) judged(f *format.Frame) error {
	switch f.Kind {
	case format.KindReveal:
		l.shown.add(f.Ch, f.At, f.At+f.Len())
	case format.KindNote:
		n, err := f.Note()
		if err != nil {
			return err
		}
		if n.Kind == format.NoteNoVerdict && n.Ch != nil && n.At < n.At+n.N {
			l.unjudged.add(*n.Ch, n.At, n.At+n.N)
		}
	}
	return nil
}

func (l *liner) frame(f *format.Frame) error {
	if f.Kind != format.KindSealed {
		return nil
	}
	for off, rest := f.At, f.Data; len(rest) > 0; {
		shown, n := l.shown.covered(f.Ch, off, uint64(len(rest)))
		if !shown {
			if err := l.add(f, off, rest[:n]); err != nil {
				return err
			}
		}
		off, rest = off+n, rest[n:]
	}
	return nil
}

func (l *liner) add(f *format.Frame, off uint64, p []byte) error {
	for len(p) > 0 {
		if h := &l.line; len(h.Text) > 0 && (h.Ch != f.Ch || h.Offset+uint64(len(h.Text)) != off || len(h.Text) >= maxHiddenLine) {
			if err := l.flush(); err != nil {
				return err
			}
		}
		if len(l.line.Text) == 0 {
			l.line = Hidden{Part: l.part, At: f.Wall, Ch: f.Ch, Offset: off}
		}
		n := bytes.IndexAny(p, "\r\n") + 1
		ends := n > 0
		if !ends {
			n = len(p)
		}
		l.line.Text = append(l.line.Text, p[:n]...)
		off, p = off+uint64(n), p[n:]
		if ends {
			if err := l.flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (l *liner) flush() error {
	h := l.line
	l.line = Hidden{}
	if len(h.Text) == 0 {
		return nil
	}
	for off, end := h.Offset, h.Offset+uint64(len(h.Text)); off < end; {
		in, n := l.unjudged.covered(h.Ch, off, end-off)
		if in {
			h.NoVerdict += int(n)
		}
		off += n
	}
	return l.fn(h)
}
