// Package reader gives the frames of a recording and verifies it. [Verify] checks a container at three levels:
// without a key, with the reading key, and with the unsealing key as well. [Open] reads frames from any segment on.
//
// Both take every length and every frame as hostile: limits come before allocation, and memory does not grow with the
// recording. The package never imports the writer: a verifier must not be able to make what it checks.
package reader

import (
	"errors"
	"fmt"
	"io"

	"github.com/sallyport/sallyport/recorder/format"
	"github.com/sallyport/sallyport/recorder/scan"
)

// Reader gives the frames of one part in recorded order. It holds one chunk in memory. It checks
// sizes, chain, tags and the shape of frames as it goes; what needs the whole part (offsets, reveals,
// totals, signature) is Verify's.
type Reader struct {
	sc   *scan.Scanner
	op   *opener
	keys [2][32]byte
	sk   bool
	done error // io.EOF or a fault: final
}

// Open checks header and keys. With sk, what was typed out of sight is opened too; the archive
// never has it.
func Open(src io.ReaderAt, size int64, file string, rk [32]byte, sk *[32]byte) (*Reader, error) {
	sc, err := scan.New(file, src, size)
	if err != nil {
		return nil, err
	}
	r := &Reader{sc: sc}
	r.keys[0] = rk
	if sk != nil {
		r.keys[1], r.sk = *sk, true
	}
	if r.op, err = r.opener(); err != nil {
		return nil, err
	}
	return r, nil
}

func (r *Reader) opener() (*opener, error) {
	var sk *[32]byte
	if r.sk {
		sk = &r.keys[1]
	}
	return newOpener(r.sc.File, &r.sc.Header, &r.keys[0], sk)
}

// Header gives the part's header.
func (r *Reader) Header() format.Header { return r.sc.Header }

// H0 is the chain state that the open leaf commits to.
func (r *Reader) H0() [32]byte { return r.sc.H0 }

// Closed gives the close record once Next has returned io.EOF, else nil. Its signature is not
// checked here.
func (r *Reader) Closed() *format.CloseRecord { return r.sc.Closed }

// Next gives the next frame, which is good until the following call. io.EOF is the end of a closed
// part, a *Cut the end of one that is not, a *Fault is final.
func (r *Reader) Next() (*format.Frame, error) {
	for r.done == nil {
		if r.op.open {
			f, err := r.op.next()
			if err == nil {
				return f, nil
			}
			if err != io.EOF {
				r.done = err
				break
			}
		}
		if err := r.advance(); err != nil {
			var cut *format.Cut
			if errors.As(err, &cut) {
				return nil, err // not final: see Grow
			}
			r.done = err
		}
	}
	return nil, r.done
}

// advance opens the next sealed chunk.
func (r *Reader) advance() error {
	if left := r.sc.Size - r.sc.Offset; r.sc.Closed != nil && left < format.TrailerLen {
		return &format.Cut{File: r.sc.File, Offset: r.sc.Offset, Torn: left,
			Why: "it ends after the close, inside the trailer"}
	}
	c, err := r.sc.Next()
	if err == format.ErrCut {
		return r.sc.Cut()
	}
	if err != nil {
		return err
	}
	switch {
	case c.Sealed():
		return r.op.chunk(c, uint32(r.sc.Totals.Segments-1))
	case c.Type == format.ChunkClose:
		return r.op.end()
	}
	return nil
}

// Grow tells the reader that the file has more bytes now. After a *Cut, Next goes on behind the last
// whole chunk: so a recording is followed while it is written.
func (r *Reader) Grow(size int64) {
	r.sc.Size, r.sc.Torn = size, 0
	r.sc.Claim()
	r.sc.Resume()
}

// Seek makes Next go on with the first frame of a segment, counted from 0. Where the part is closed
// it jumps by the close record's index, else it reads the chain up to there; it decrypts nothing on
// the way.
func (r *Reader) Seek(segment uint32) error {
	op, err := r.opener()
	if err != nil {
		return err
	}
	sc, err := scan.New(r.sc.File, r.sc.Src, r.sc.Size)
	if err != nil {
		return err
	}
	if e, j, ok := sc.EntryBefore(segment); ok {
		sc.Jump(e, j)
	}
	r.sc, r.op, r.done = sc, op, nil
	for {
		c, err := sc.Next()
		if err == format.ErrCut || err == io.EOF {
			return fmt.Errorf("%s has no segment %d", sc.File, segment)
		}
		if err != nil {
			return err
		}
		if c.Type == format.ChunkSegment && sc.Totals.Segments-1 == uint64(segment) {
			return op.chunk(c, segment)
		}
	}
}
