package recorder

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
)

// scanner walks a container chunk by chunk without a key: sizes, numbers, times, types, chain, close
// and trailer. It holds one chunk in memory.
type scanner struct {
	file string
	size int64
	src  io.ReaderAt
	in   window
	d    hash.Hash // of the chain
	c    Chunk     // the last one read

	hdr    Header
	h0     [32]byte
	h      [32]byte
	off    int64
	held   int64             // the bytes before it are known to be those that were written
	key    ed25519.PublicKey // the record key, where it is known
	seq    uint32
	t      uint64
	totals Totals
	index  []IndexEntry
	stride uint32

	segBody int  // ct_len in the open segment
	jumped  bool // not scanned from its beginning
	claimed bool // the file ends with a trailer's magic, so nothing may be missing
	closed  *CloseRecord
	body    []byte // the close record's bytes and signature
	sig     []byte
	torn    int64 // bytes of an unfinished chunk at the end
}

// newScanner reads the header.
func newScanner(file string, src io.ReaderAt, size int64) (*scanner, error) {
	s := &scanner{file: file, size: size, src: src, stride: 1, d: sha256.New()}
	if err := s.open(); err != nil {
		return nil, err
	}
	s.resume()
	return s, nil
}

// resume begins to read chunks at s.off.
func (s *scanner) resume() { s.in.from(s.src, s.off, s.size) }

func (s *scanner) fault(off int64, rule, format string, args ...any) error {
	return &Fault{File: s.file, Offset: off, Rule: rule, Detail: fmt.Sprintf(format, args...)}
}

// faultIn is one of a chunk that is there in its whole length.
func (s *scanner) faultIn(c *Chunk, rule, format string, args ...any) error {
	return &Fault{File: s.file, Offset: c.Offset, Length: c.Size(), Rule: rule, Detail: fmt.Sprintf(format, args...)}
}

// broken is the fault of a chain that came to another state than it should have: where something wrong entered it is not known,
// only between which two states.
func (s *scanner) broken(to int64, rule, format string, args ...any) error {
	return &Fault{File: s.file, Offset: s.held, Length: max(to-s.held, 0), Rule: rule, Detail: fmt.Sprintf(format, args...)}
}

func (s *scanner) open() error {
	prefix := make([]byte, headerAt, headerAt+maxHeader)
	if err := readAt(s.src, prefix, 0); err != nil {
		return s.fault(0, RuleFile, "no header: %v", err)
	}
	n, err := headerLen(prefix)
	if err != nil {
		return &Fault{File: s.file, Length: headerAt, Rule: RuleFile, Detail: err.Error()}
	}
	prefix = prefix[:headerAt+n]
	if err := readAt(s.src, prefix[headerAt:], headerAt); err != nil {
		return s.fault(headerAt, RuleFile, "header is cut off: %v", err)
	}
	if s.hdr, err = parseHeader(prefix[headerAt:]); err != nil {
		return &Fault{File: s.file, Offset: headerAt, Length: int64(n), Rule: RuleHeader, Detail: err.Error()}
	}
	s.h0 = chainStart(prefix)
	s.h, s.off = s.h0, int64(len(prefix))
	s.claim()
	return nil
}

// claim looks whether the file says that it is whole.
func (s *scanner) claim() {
	tail := make([]byte, len(trailerMagic))
	s.claimed = s.size-trailerLen >= s.off && readAt(s.src, tail, s.size-trailerLen) == nil && bytes.Equal(tail, trailerMagic[:])
}

// jump goes on with the segment that e names, number j of the part. What lies before is not counted,
// so the close cannot be compared any more.
func (s *scanner) jump(e IndexEntry, j uint32) {
	s.off, s.seq, s.t, s.h = int64(e.Offset), e.Seq-1, e.T, e.H
	s.totals.Segments, s.jumped = uint64(j), true
	s.resume()
}

// readAt fills b or says why not.
func readAt(r io.ReaderAt, b []byte, off int64) error {
	n, err := r.ReadAt(b, off)
	if n == len(b) {
		return nil
	}
	if err == nil || err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// errCut is returned by next at the end of a recording that has no close.
var errCut = errors.New("recording is cut")

// next gives the next chunk. io.EOF means that the close and the trailer were there and held; errCut
// that the file ends without them, after a whole chunk or inside one (torn).
func (s *scanner) next() (*Chunk, error) {
	if s.closed != nil {
		return nil, s.trailer()
	}
	left := s.size - s.off
	if left == 0 {
		return nil, errCut
	}
	if left < chunkHeaderLen {
		return nil, s.tear(left)
	}
	head, err := s.in.ahead(chunkHeaderLen)
	if err != nil {
		return nil, fmt.Errorf("read %s at %d: %w", s.file, s.off, err)
	}
	c := &s.c
	n, err := c.parse((*[chunkHeaderLen]byte)(head))
	if err != nil {
		return nil, s.fault(s.off, RuleChunk, "%v", err)
	}
	if err := s.follows(c, n); err != nil {
		return nil, err
	}
	if left < chunkHeaderLen+int64(n) {
		return nil, s.tear(left)
	}
	if err := s.read(c, n); err != nil {
		return nil, err
	}
	return c, s.account(c)
}

// tear ends the scan inside a chunk. Where a trailer follows, the file claims to be whole.
func (s *scanner) tear(left int64) error {
	if s.claimed {
		return s.fault(s.off, RuleChunk, "the last chunk runs into the trailer")
	}
	s.torn = left
	return errCut
}

// follows checks a chunk's header against what came before.
func (s *scanner) follows(c *Chunk, n int) error {
	switch {
	case c.Seq != s.seq+1:
		return s.fault(s.off, RuleSeq, "chunk %d after chunk %d", c.Seq, s.seq)
	case c.T < s.t:
		return s.fault(s.off, RuleTime, "time falls from %d to %d us", s.t, c.T)
	case c.Type == ChunkData && s.totals.Segments == 0:
		return s.fault(s.off, RuleOrder, "data before the first segment")
	case c.Type == ChunkStatement && n > maxStatement:
		return s.fault(s.off, RuleStatement, "statement of %d bytes, at most %d", n, maxStatement)
	}
	if c.Type == ChunkSegment {
		s.segBody = 0
	}
	if c.sealed() {
		s.segBody += n
	}
	if s.segBody > maxSegmentBody {
		return s.fault(s.off, RuleChunk, "segment of more than %d bytes", maxSegmentBody)
	}
	return nil
}

// read takes the body in and links the chain: the hash of the chunk before goes where that chunk ended, so that what is
// hashed lies in one piece.
func (s *scanner) read(c *Chunk, n int) error {
	if _, err := s.in.ahead(chunkHeaderLen + n); err != nil {
		return fmt.Errorf("read %s at %d: %w", s.file, s.off, err)
	}
	b := s.in.take(chunkHeaderLen + n)
	copy(b, s.h[:])
	s.d.Reset()
	s.d.Write(b)
	s.d.Sum(c.After[:0])
	c.Offset, c.Before, c.Body = s.off, s.h, b[before+chunkHeaderLen:]
	return nil
}

// account counts the chunk and reads the clear ones.
func (s *scanner) account(c *Chunk) error {
	switch c.Type {
	case ChunkSegment:
		s.segment(c)
	case ChunkStatement:
		if _, _, err := splitSigned(c.Body); err != nil {
			return s.faultIn(c, RuleStatement, "%v", err)
		}
		s.totals.Statements++
	case ChunkClose:
		if err := s.close(c); err != nil {
			return err
		}
	}
	if c.Type != ChunkClose {
		s.totals.Chunks++
	}
	s.seq, s.t, s.h, s.off = c.Seq, c.T, c.After, s.off+c.Size()
	return nil
}

func (s *scanner) segment(c *Chunk) {
	j := s.totals.Segments
	s.totals.Segments++
	if st := stride(j + 1); st != s.stride {
		s.stride = st
		s.index = thin(s.index)
	}
	if j%uint64(s.stride) == 0 {
		s.index = append(s.index, IndexEntry{Seq: c.Seq, Offset: uint64(c.Offset), T: c.T, H: c.Before})
	}
}
