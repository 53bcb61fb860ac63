package asciicast

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
)

// Index is the index of a segmented recording, as asciinema-player 3.17.0 reads it. The form is not
// documented by the player and is held by a test against its rules: the first segment begins at 0, starts
// rise and lie before the duration, markers never fall.
type Index struct {
	Version  int             `json:"version"` // 1
	Duration json.RawMessage `json:"duration"`
	Term     Term            `json:"term"`
	Segments []SegmentAt     `json:"segments"`
	Markers  []IndexMarker   `json:"markers"`
}

// SegmentAt tells where a segment begins and where it is, relative to the index.
type SegmentAt struct {
	Start json.RawMessage `json:"start"`
	URL   string          `json:"url"`
}

// IndexMarker is [seconds, label].
type IndexMarker struct {
	At    json.RawMessage
	Label string
}

// MarshalJSON writes the pair.
func (m IndexMarker) MarshalJSON() ([]byte, error) { return json.Marshal([]any{m.At, m.Label}) }

// SegmentWriter writes one segment while its events come: a segment may be large.
type SegmentWriter struct {
	w    *bufio.Writer
	buf  bytes.Buffer
	json *json.Encoder
	any  bool
}

// NewSegmentWriter begins a segment on an empty screen of the size given. What a screen showed before
// is not known without a terminal emulator, so only a segment at the recording's beginning is exact.
func NewSegmentWriter(w io.Writer, cols, rows int) (*SegmentWriter, error) {
	s := &SegmentWriter{w: bufio.NewWriterSize(w, 64<<10)}
	s.json = json.NewEncoder(&s.buf)
	s.json.SetEscapeHTML(false)
	snapshot, err := json.Marshal(struct {
		Term
		Init string `json:"init"`
	}{Term{cols, rows}, ""})
	if err != nil {
		return nil, err
	}
	s.w.WriteString(`{"snapshot":`)
	s.w.Write(snapshot)
	_, err = s.w.WriteString(`,"events":[`)
	return s, err
}

// Event writes one event. us is in the recording's time, not the segment's.
func (s *SegmentWriter) Event(us uint64, code, data string) error {
	if s.any {
		s.w.WriteString(",\n")
	}
	s.any = true
	s.buf.Reset()
	if err := s.json.Encode([]any{Seconds(us), code, data}); err != nil {
		return err
	}
	_, err := s.w.Write(bytes.TrimRight(s.buf.Bytes(), "\n"))
	return err
}

// Close ends the segment.
func (s *SegmentWriter) Close() error {
	s.w.WriteString("]}\n")
	return s.w.Flush()
}
