package recorder

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// ErrCut is what a *Cut is: errors.Is(err, ErrCut).
var ErrCut = errCut

// Cut says that a recording ends without its close, as it does after a crash and while it is still
// being written. What came before it holds.
type Cut struct {
	File   string
	Offset int64 // behind the last whole chunk
	Torn   int64 // bytes of an unfinished chunk behind it
	Why    string
}

func (c *Cut) Error() string {
	return fmt.Sprintf("%s, offset %d: the recording is cut: %s", c.File, c.Offset, c.Why)
}

// Is makes a Cut an ErrCut.
func (c *Cut) Is(target error) bool { return target == ErrCut }

// cut describes where the scan ended.
func (s *scanner) cut() *Cut {
	why := "it ends after a whole chunk, without a close"
	if s.torn > 0 {
		why = fmt.Sprintf("it ends inside a chunk, of which %d bytes are there", s.torn)
	}
	return &Cut{File: s.file, Offset: s.off, Torn: s.torn, Why: why}
}

// Reader gives the frames of one part in recorded order. It holds one chunk in memory. It checks
// sizes, chain, tags and the shape of frames as it goes; what needs the whole part (offsets, reveals,
// totals, signature) is Verify's.
type Reader struct {
	sc   *scanner
	op   *opener
	keys [2][32]byte
	sk   bool
	done error // io.EOF or a fault: final
}

// OpenReader checks header and keys. With sk, what was typed out of sight is opened too; the archive
// never has it.
func OpenReader(src io.ReaderAt, size int64, file string, rk [32]byte, sk *[32]byte) (*Reader, error) {
	sc, err := newScanner(file, src, size)
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
	return newOpener(r.sc.file, &r.sc.hdr, &r.keys[0], sk)
}

// Header gives the part's header.
func (r *Reader) Header() Header { return r.sc.hdr }

// H0 is the chain state that the open leaf commits to.
func (r *Reader) H0() [32]byte { return r.sc.h0 }

// Closed gives the close record once Next has returned io.EOF, else nil. Its signature is not
// checked here.
func (r *Reader) Closed() *CloseRecord { return r.sc.closed }

// Next gives the next frame, which is good until the following call. io.EOF is the end of a closed
// part, a *Cut the end of one that is not, a *Fault is final.
func (r *Reader) Next() (*Frame, error) {
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
			var cut *Cut
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
	if left := r.sc.size - r.sc.off; r.sc.closed != nil && left < trailerLen {
		return &Cut{File: r.sc.file, Offset: r.sc.off, Torn: left, Why: "it ends after the close, inside the trailer"}
	}
	c, err := r.sc.next()
	if err == errCut {
		return r.sc.cut()
	}
	if err != nil {
		return err
	}
	switch {
	case c.sealed():
		return r.op.chunk(c, uint32(r.sc.totals.Segments-1))
	case c.Type == ChunkClose:
		return r.op.end()
	}
	return nil
}

// Grow tells the reader that the file has more bytes now. After a *Cut, Next goes on behind the last
// whole chunk: so a recording is followed while it is written.
func (r *Reader) Grow(size int64) {
	r.sc.size, r.sc.torn = size, 0
	r.sc.claim()
	r.sc.resume()
}

// Seek makes Next go on with the first frame of a segment, counted from 0. Where the part is closed
// it jumps by the close record's index, else it reads the chain up to there; it decrypts nothing on
// the way.
func (r *Reader) Seek(segment uint32) error {
	op, err := r.opener()
	if err != nil {
		return err
	}
	sc, err := newScanner(r.sc.file, r.sc.src, r.sc.size)
	if err != nil {
		return err
	}
	if e, j, ok := sc.entryBefore(segment); ok {
		sc.jump(e, j)
	}
	r.sc, r.op, r.done = sc, op, nil
	for {
		c, err := sc.next()
		if err == errCut || err == io.EOF {
			return fmt.Errorf("%s has no segment %d", sc.file, segment)
		}
		if err != nil {
			return err
		}
		if c.Type == ChunkSegment && sc.totals.Segments-1 == uint64(segment) {
			return op.chunk(c, segment)
		}
	}
}

// entryBefore gives the last index entry that is not behind segment. The close record is not
// verified: a lie in it makes the tag of the chunk it points to fail.
func (s *scanner) entryBefore(segment uint32) (IndexEntry, uint32, bool) {
	rec := s.peekClose()
	if rec == nil || rec.Stride == 0 || len(rec.Index) == 0 {
		return IndexEntry{}, 0, false
	}
	i := min(int(segment/rec.Stride), len(rec.Index)-1)
	e := rec.Index[i]
	j := uint64(i) * uint64(rec.Stride)
	if e.Seq == 0 || e.Offset < uint64(s.off) || e.Offset >= uint64(s.size) || j > e.Offset/(chunkHeaderLen+padding+tagLen) {
		return IndexEntry{}, 0, false
	}
	return e, uint32(j), true
}

// peekClose reads the close record through the trailer, without the scan.
func (s *scanner) peekClose() *CloseRecord {
	end := s.size - trailerLen
	var tail [trailerLen]byte
	if !s.claimed || readAt(s.src, tail[:], end) != nil {
		return nil
	}
	at := int64(binary.LittleEndian.Uint64(tail[8:]))
	if at < s.off || at > end-chunkHeaderLen {
		return nil
	}
	var head [chunkHeaderLen]byte
	if readAt(s.src, head[:], at) != nil {
		return nil
	}
	c, n, err := parseChunkHeader(&head)
	if err != nil || c.Type != ChunkClose || at+chunkHeaderLen+int64(n) != end {
		return nil
	}
	body := make([]byte, n)
	if readAt(s.src, body, at+chunkHeaderLen) != nil {
		return nil
	}
	var rec CloseRecord
	text, _, err := splitSigned(body)
	if err != nil || decodeExact(text, &rec) != nil {
		return nil
	}
	return &rec
}
