// Package scan walks a container chunk by chunk without a key: sizes, numbers, times, types, the chain, the close
// record and the trailer. It is what level A of a verification rests on.
//
// It stands between format and those who read. Crash recovery in writer finds with it where a recording was cut, and
// reader finds with it the chunks to open, so that neither needs the other. A file is taken as hostile: limits come
// before allocation, and memory does not grow with the file.
package scan

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"hash"
	"io"

	"github.com/sallyport/sallyport/recorder/format"
)

// Scanner walks a container chunk by chunk without a key: sizes, numbers, times, types, chain, close
// and trailer. It holds one chunk in memory.
type Scanner struct {
	File string // its name in faults
	Size int64  // of Src, in bytes
	Src  io.ReaderAt
	in   window
	d    hash.Hash    // of the chain
	c    format.Chunk // the last one read

	Header format.Header
	H0     [32]byte          // chain state after the header
	H      [32]byte          // after the last chunk
	Offset int64             // where the next chunk begins
	Held   int64             // the bytes before it are known to be those that were written
	Key    ed25519.PublicKey // the record key, where it is known
	Seq    uint32            // of the last chunk
	T      uint64            // its time, in microseconds since the part began
	Totals format.Totals     // of chunks, segments and statements
	index  []format.IndexEntry
	stride uint32

	segBody int                 // ct_len in the open segment
	jumped  bool                // not scanned from its beginning
	claimed bool                // the file ends with a trailer's magic, so nothing may be missing
	Closed  *format.CloseRecord // once it was read
	body    []byte              // the close record's bytes and signature
	sig     []byte
	Torn    int64 // bytes of an unfinished chunk at the end
}

// New reads the header of a container of size bytes. The error is a *format.Fault.
func New(file string, src io.ReaderAt, size int64) (*Scanner, error) {
	s := &Scanner{File: file, Size: size, Src: src, stride: 1, d: sha256.New()}
	if err := s.open(); err != nil {
		return nil, err
	}
	s.Resume()
	return s, nil
}

// Resume begins to read chunks at s.off.
func (s *Scanner) Resume() { s.in.from(s.Src, s.Offset, s.Size) }

// Fault is one at an offset, of which it is not known how far it reaches.
func (s *Scanner) Fault(off int64, rule, text string, args ...any) error {
	return &format.Fault{File: s.File, Offset: off, Rule: rule, Detail: fmt.Sprintf(text, args...)}
}

// faultIn is one of a chunk that is there in its whole length.
func (s *Scanner) faultIn(c *format.Chunk, rule, text string, args ...any) error {
	return &format.Fault{File: s.File, Offset: c.Offset, Length: c.Size(), Rule: rule, Detail: fmt.Sprintf(text, args...)}
}

// Broken is the fault of a chain that came to another state than it should have: where something wrong entered it is
// not known, only between which two states.
func (s *Scanner) Broken(to int64, rule, text string, args ...any) error {
	return &format.Fault{File: s.File, Offset: s.Held, Length: max(to-s.Held, 0), Rule: rule,
		Detail: fmt.Sprintf(text, args...)}
}

func (s *Scanner) open() error {
	prefix := make([]byte, format.HeaderAt, format.HeaderAt+format.MaxHeader)
	if err := format.ReadFull(s.Src, prefix, 0); err != nil {
		return s.Fault(0, format.RuleFile, "no header: %v", err)
	}
	n, err := format.HeaderLen(prefix)
	if err != nil {
		return &format.Fault{File: s.File, Length: format.HeaderAt, Rule: format.RuleFile, Detail: err.Error()}
	}
	prefix = prefix[:format.HeaderAt+n]
	if err := format.ReadFull(s.Src, prefix[format.HeaderAt:], format.HeaderAt); err != nil {
		return s.Fault(format.HeaderAt, format.RuleFile, "header is cut off: %v", err)
	}
	if s.Header, err = format.ParseHeader(prefix[format.HeaderAt:]); err != nil {
		return &format.Fault{File: s.File, Offset: format.HeaderAt, Length: int64(n), Rule: format.RuleHeader,
			Detail: err.Error()}
	}
	s.H0 = format.ChainStart(prefix)
	s.H, s.Offset = s.H0, int64(len(prefix))
	s.Claim()
	return nil
}

// Claim looks whether the file says that it is whole.
func (s *Scanner) Claim() {
	tail := make([]byte, len(format.TrailerMagic))
	at := s.Size - format.TrailerLen
	s.claimed = at >= s.Offset && format.ReadFull(s.Src, tail, at) == nil && bytes.Equal(tail, format.TrailerMagic[:])
}

// Jump goes on with the segment that e names, number j of the part. What lies before is not counted,
// so the close cannot be compared any more.
func (s *Scanner) Jump(e format.IndexEntry, j uint32) {
	s.Offset, s.Seq, s.T, s.H = int64(e.Offset), e.Seq-1, e.T, e.H
	s.Totals.Segments, s.jumped = uint64(j), true
	s.Resume()
}

// Next gives the next chunk. io.EOF means that the close and the trailer were there and held; ErrCut
// that the file ends without them, after a whole chunk or inside one (torn).
func (s *Scanner) Next() (*format.Chunk, error) {
	if s.Closed != nil {
		return nil, s.trailer()
	}
	left := s.Size - s.Offset
	if left == 0 {
		return nil, format.ErrCut
	}
	if left < format.ChunkHeaderLen {
		return nil, s.tear(left)
	}
	head, err := s.in.ahead(format.ChunkHeaderLen)
	if err != nil {
		return nil, fmt.Errorf("read %s at %d: %w", s.File, s.Offset, err)
	}
	c := &s.c
	n, err := c.Parse((*[format.ChunkHeaderLen]byte)(head))
	if err != nil {
		return nil, s.Fault(s.Offset, format.RuleChunk, "%v", err)
	}
	if err := s.follows(c, n); err != nil {
		return nil, err
	}
	room := left
	if s.claimed {
		room -= format.TrailerLen
	}
	if room < format.ChunkHeaderLen+int64(n) {
		return nil, s.tear(left)
	}
	if err := s.read(c, n); err != nil {
		return nil, err
	}
	return c, s.account(c)
}

// tear ends the scan inside a chunk. Where a trailer follows, the file claims to be whole.
func (s *Scanner) tear(left int64) error {
	if s.claimed {
		return s.Fault(s.Offset, format.RuleChunk, "the last chunk runs into the trailer")
	}
	s.Torn = left
	return format.ErrCut
}

// follows checks a chunk's header against what came before.
func (s *Scanner) follows(c *format.Chunk, n int) error {
	switch {
	case c.Seq != s.Seq+1:
		return s.Fault(s.Offset, format.RuleSeq, "chunk %d after chunk %d", c.Seq, s.Seq)
	case c.T < s.T:
		return s.Fault(s.Offset, format.RuleTime, "time falls from %d to %d us", s.T, c.T)
	case c.Type == format.ChunkData && s.Totals.Segments == 0:
		return s.Fault(s.Offset, format.RuleOrder, "data before the first segment")
	case c.Type == format.ChunkStatement && n > format.MaxStatement:
		return s.Fault(s.Offset, format.RuleStatement, "statement of %d bytes, at most %d", n, format.MaxStatement)
	}
	if c.Type == format.ChunkSegment {
		s.segBody = 0
	}
	if c.Sealed() {
		s.segBody += n
	}
	if s.segBody > format.MaxSegmentBody {
		return s.Fault(s.Offset, format.RuleChunk, "segment of more than %d bytes", format.MaxSegmentBody)
	}
	return nil
}

// read takes the body in and links the chain: the hash of the chunk before goes where that chunk ended, so that what is
// hashed lies in one piece.
func (s *Scanner) read(c *format.Chunk, n int) error {
	if _, err := s.in.ahead(format.ChunkHeaderLen + n); err != nil {
		return fmt.Errorf("read %s at %d: %w", s.File, s.Offset, err)
	}
	b := s.in.take(format.ChunkHeaderLen + n)
	copy(b, s.H[:])
	s.d.Reset()
	s.d.Write(b)
	s.d.Sum(c.After[:0])
	c.Offset, c.Before, c.Body = s.Offset, s.H, b[before+format.ChunkHeaderLen:]
	return nil
}

// account counts the chunk and reads the clear ones.
func (s *Scanner) account(c *format.Chunk) error {
	switch c.Type {
	case format.ChunkSegment:
		s.segment(c)
	case format.ChunkStatement:
		if _, _, err := format.SplitSigned(c.Body); err != nil {
			return s.faultIn(c, format.RuleStatement, "%v", err)
		}
		s.Totals.Statements++
	case format.ChunkClose:
		if err := s.close(c); err != nil {
			return err
		}
	}
	if c.Type != format.ChunkClose {
		s.Totals.Chunks++
	}
	s.Seq, s.T, s.H, s.Offset = c.Seq, c.T, c.After, s.Offset+c.Size()
	return nil
}

func (s *Scanner) segment(c *format.Chunk) {
	j := s.Totals.Segments
	s.Totals.Segments++
	if st := format.Stride(j + 1); st != s.stride {
		s.stride = st
		s.index = format.ThinIndex(s.index)
	}
	if j%uint64(s.stride) == 0 {
		s.index = append(s.index, format.IndexEntry{Seq: c.Seq, Offset: uint64(c.Offset), T: c.T, H: c.Before})
	}
}
