package recorder

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"io"
)

// close reads the close record and compares it with the scan. Its signature is checked where the
// key is known.
func (s *scanner) close(c *Chunk) error {
	body, sig, err := splitSigned(c.Body)
	if err != nil {
		return s.faultIn(c, RuleClose, "%v", err)
	}
	var rec CloseRecord
	if err := decodeExact(body, &rec); err != nil {
		return s.faultIn(c, RuleClose, "%v", err)
	}
	if rec.Head != c.Before {
		return s.parted(&rec, body, sig, c)
	}
	if what := s.differs(&rec, c); what != "" {
		return s.fault(c.Offset, RuleClose, "%s is not what the scan found", what)
	}
	s.closed, s.body, s.sig = &rec, bytes.Clone(body), bytes.Clone(sig)
	return nil
}

// parted is the fault of a chain that did not come to where the close says. A close that is signed says in which state each segment
// began, and so in which of them it went astray.
func (s *scanner) parted(rec *CloseRecord, body, sig []byte, c *Chunk) error {
	to := c.Offset + c.Size()
	if s.key != nil && verifyClose(s.key, body, sig) == nil {
		to = c.Offset
		for i, e := range rec.Index {
			if i >= len(s.index) || s.index[i] != e {
				to = int64(e.Offset)
				break
			}
			s.held = max(s.held, int64(e.Offset))
		}
	}
	return s.broken(to, RuleClose, "chain state before the close is not what the scan found")
}

func (s *scanner) differs(rec *CloseRecord, c *Chunk) string {
	switch {
	case rec.V != Version:
		return "version"
	case rec.Session != s.hdr.Session || rec.Part != s.hdr.Part:
		return "session or part"
	case rec.Seq != c.Seq || rec.T != c.T:
		return "number or time of the close"
	case s.jumped: // the rest counts the whole part
		return ""
	}
	return s.miscounted(rec)
}

// miscounted compares what counts the whole part.
func (s *scanner) miscounted(rec *CloseRecord) string {
	switch {
	case rec.Totals.Chunks != s.totals.Chunks, rec.Totals.Segments != s.totals.Segments, rec.Totals.Statements != s.totals.Statements:
		return "count of chunks, segments or statements"
	case rec.Stride != s.stride || !sameIndex(rec.Index, s.index):
		return "segment index"
	}
	return ""
}

func sameIndex(a, b []IndexEntry) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// trailer demands the exact trailer and then the end of the file.
func (s *scanner) trailer() error {
	if s.size-s.off != trailerLen {
		return s.fault(s.off, RuleTrailer, "%d bytes after the close, want %d", s.size-s.off, trailerLen)
	}
	got := make([]byte, trailerLen)
	if err := readAt(s.src, got, s.off); err != nil {
		return fmt.Errorf("read %s at %d: %w", s.file, s.off, err)
	}
	closeAt := s.off - chunkHeaderLen - int64(len(s.body)+len(s.sig)+8)
	if !bytes.Equal(got, trailer(closeAt, s.seq, s.h)) {
		return &Fault{File: s.file, Offset: s.off, Length: trailerLen, Rule: RuleTrailer, Detail: "is not what the scan found"}
	}
	return io.EOF
}

// signature checks the close record under the record key, which the header names.
func (s *scanner) signature(key ed25519.PublicKey) error {
	at := s.off - chunkHeaderLen - int64(len(s.body)+len(s.sig)+8)
	if KeyID(key) != s.hdr.GatewayKeyID {
		return s.fault(headerAt, RuleHeader, "gateway_key_id names another record key")
	}
	if err := verifyClose(key, s.body, s.sig); err != nil {
		return &Fault{File: s.file, Offset: at, Length: s.off - at, Rule: RuleSignature, Detail: err.Error()}
	}
	return nil
}
