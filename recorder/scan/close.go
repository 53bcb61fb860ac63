package scan

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"io"

	"github.com/sallyport/sallyport/recorder/format"
)

// close reads the close record and compares it with the scan. Its signature is checked where the
// key is known.
func (s *Scanner) close(c *format.Chunk) error {
	body, sig, err := format.SplitSigned(c.Body)
	if err != nil {
		return s.faultIn(c, format.RuleClose, "%v", err)
	}
	var rec format.CloseRecord
	if err := format.DecodeExact(body, &rec); err != nil {
		return s.faultIn(c, format.RuleClose, "%v", err)
	}
	if rec.Head != c.Before {
		return s.parted(&rec, body, sig, c)
	}
	if what := s.differs(&rec, c); what != "" {
		return s.Fault(c.Offset, format.RuleClose, "%s is not what the scan found", what)
	}
	s.Closed, s.body, s.sig = &rec, bytes.Clone(body), bytes.Clone(sig)
	return nil
}

// parted is the fault of a chain that did not come to where the close says. A close that is signed says in which state each segment
// began, and so in which of them it went astray.
func (s *Scanner) parted(rec *format.CloseRecord, body, sig []byte, c *format.Chunk) error {
	to := c.Offset + c.Size()
	if s.Key != nil && format.VerifyClose(s.Key, body, sig) == nil {
		to = c.Offset
		for i, e := range rec.Index {
			if i >= len(s.index) || s.index[i] != e {
				to = int64(e.Offset)
				break
			}
			s.Held = max(s.Held, int64(e.Offset))
		}
	}
	return s.Broken(to, format.RuleClose, "chain state before the close is not what the scan found")
}

func (s *Scanner) differs(rec *format.CloseRecord, c *format.Chunk) string {
	switch {
	case rec.V != s.Header.V:
		return "version"
	case rec.Session != s.Header.Session || rec.Part != s.Header.Part:
		return "session or part"
	case rec.Seq != c.Seq || rec.T != c.T:
		return "number or time of the close"
	case s.jumped: // the rest counts the whole part
		return ""
	}
	return s.Miscounted(rec)
}

// Miscounted compares what counts the whole part.
func (s *Scanner) Miscounted(rec *format.CloseRecord) string {
	switch {
	case rec.Totals.Chunks != s.Totals.Chunks, rec.Totals.Segments != s.Totals.Segments, rec.Totals.Statements != s.Totals.Statements:
		return "count of chunks, segments or statements"
	case rec.Stride != s.stride || !sameIndex(rec.Index, s.index):
		return "segment index"
	}
	return ""
}

func sameIndex(a, b []format.IndexEntry) bool {
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
func (s *Scanner) trailer() error {
	if s.Size-s.Offset != format.TrailerLen {
		return s.Fault(s.Offset, format.RuleTrailer, "%d bytes after the close, want %d", s.Size-s.Offset, format.TrailerLen)
	}
	got := make([]byte, format.TrailerLen)
	if err := format.ReadFull(s.Src, got, s.Offset); err != nil {
		return fmt.Errorf("read %s at %d: %w", s.File, s.Offset, err)
	}
	closeAt := s.Offset - format.ChunkHeaderLen - int64(len(s.body)+len(s.sig)+8)
	if !bytes.Equal(got, format.Trailer(closeAt, s.Seq, s.H)) {
		return &format.Fault{File: s.File, Offset: s.Offset, Length: format.TrailerLen,
			Rule: format.RuleTrailer, Detail: "is not what the scan found"}
	}
	return io.EOF
}

// Signature checks the close record under the record key, which the header names.
func (s *Scanner) Signature(key ed25519.PublicKey) error {
	at := s.Offset - format.ChunkHeaderLen - int64(len(s.body)+len(s.sig)+8)
	if format.KeyID(key) != s.Header.GatewayKeyID {
		return s.Fault(format.HeaderAt, format.RuleHeader, "gateway_key_id names another record key")
	}
	if err := format.VerifyClose(key, s.body, s.sig); err != nil {
		return &format.Fault{File: s.File, Offset: at, Length: s.Offset - at, Rule: format.RuleSignature, Detail: err.Error()}
	}
	return nil
}
