package scan

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/sallyport/sallyport/recorder/format"
)

// Cut describes where the scan ended.
func (s *Scanner) Cut() *format.Cut {
	why := "it ends after a whole chunk, without a close"
	if s.Torn > 0 {
		why = fmt.Sprintf("it ends inside a chunk, of which %d bytes are there", s.Torn)
	}
	return &format.Cut{File: s.File, Offset: s.Offset, Torn: s.Torn, Why: why}
}

// EntryBefore gives the last index entry that is not behind segment. The close record is not
// verified: a lie in it makes the tag of the chunk it points to fail.
func (s *Scanner) EntryBefore(segment uint32) (format.IndexEntry, uint32, bool) {
	rec := s.PeekClose()
	if rec == nil || rec.Stride == 0 || len(rec.Index) == 0 {
		return format.IndexEntry{}, 0, false
	}
	i := min(int(segment/rec.Stride), len(rec.Index)-1)
	e := rec.Index[i]
	j := uint64(i) * uint64(rec.Stride)
	if e.Seq == 0 || e.Offset < uint64(s.Offset) || e.Offset >= uint64(s.Size) || j > e.Offset/(format.ChunkHeaderLen+format.Padding+format.TagLen) {
		return format.IndexEntry{}, 0, false
	}
	return e, uint32(j), true
}

// PeekClose reads the close record through the trailer, without the scan.
func (s *Scanner) PeekClose() *format.CloseRecord {
	end := s.Size - format.TrailerLen
	var tail [format.TrailerLen]byte
	if !s.claimed || format.ReadFull(s.Src, tail[:], end) != nil {
		return nil
	}
	at := int64(binary.LittleEndian.Uint64(tail[8:]))
	if at < s.Offset || at > end-format.ChunkHeaderLen {
		return nil
	}
	var head [format.ChunkHeaderLen]byte
	if format.ReadFull(s.Src, head[:], at) != nil {
		return nil
	}
	c, n, err := format.ParseChunkHeader(&head)
	if err != nil || c.Type != format.ChunkClose || at+format.ChunkHeaderLen+int64(n) != end {
		return nil
	}
	body := make([]byte, n)
	if format.ReadFull(s.Src, body, at+format.ChunkHeaderLen) != nil {
		return nil
	}
	var rec format.CloseRecord
	text, _, err := format.SplitSigned(body)
	if err != nil || format.DecodeExact(text, &rec) != nil {
		return nil
	}
	return &rec
}

// From gives a scanner of its own that begins at the segment number j which e names, or behind the header if e is
// zero. It counts as if all before it had been scanned; leadsTo says later whether that holds.
func (s *Scanner) From(e format.IndexEntry, j uint32) *Scanner {
	sc := *s
	sc.d, sc.in, sc.index = sha256.New(), window{}, nil
	if sc.Resume(); e.Seq > 0 {
		sc.Jump(e, j)
		sc.Totals.Chunks = uint64(e.Seq) - 1
	}
	return &sc
}

// LeadsTo reports whether a scan ended in the state from which the next one began, at the segment that e names and that
// has this many before it, and takes its counts over there if so. The next one's first chunk begins a segment, where
// all that a scan remembers of the segment before is forgotten.
func (s *Scanner) LeadsTo(n *Scanner, e format.IndexEntry, segments uint64) bool {
	if s.Closed != nil || len(n.index) == 0 || n.index[0] != e ||
		s.Offset != int64(e.Offset) || s.Seq != e.Seq-1 || s.H != e.H || s.T > e.T || s.Totals.Segments != segments {
		return false
	}
	n.Totals.Statements += s.Totals.Statements
	n.index = append(s.index, n.index...)
	return true
}
