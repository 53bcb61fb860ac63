// Package asciicast writes terminal recordings in asciinema's formats: asciicast version 2, version 3,
// and the segmented form that asciinema-player 3.17 plays.
//
// All three are exports and no evidence: they are JSON text, and terminals are bytes. What is no valid
// UTF-8 is replaced, and a character that was cut in two is put together again.
//
// What was recorded may have been written to attack whoever looks at it. Escape sequences stay in a cast, since a
// cast is for an emulator; the player is one, a terminal that a cast is written into is not, and that is the choice of whoever
// does it. It imports none of our packages.
package asciicast

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"time"
)

// Header describes a recording.
type Header struct {
	Cols, Rows int
	Started    time.Time
	Title      string
}

// Codes of events.
const (
	Output = "o"
	Input  = "i"
	Resize = "r" // data: COLSxROWS
	Marker = "m"
	Exit   = "x" // version 3 only; data: the status
)

// Writer writes an asciicast. Times are microseconds since the beginning and never fall.
type Writer struct {
	w       *bufio.Writer
	version int
	last    uint64
	buf     bytes.Buffer
	json    *json.Encoder
}

type header2 struct {
	Version   int    `json:"version"`
	Width     int    `json:"width"`
	Height    int    `json:"height"`
	Timestamp int64  `json:"timestamp,omitempty"`
	Title     string `json:"title,omitempty"`
}

type header3 struct {
	Version   int    `json:"version"`
	Term      Term   `json:"term"`
	Timestamp int64  `json:"timestamp,omitempty"`
	Title     string `json:"title,omitempty"`
}

// Term is a terminal's size.
type Term struct {
	Cols int `json:"cols"`
	Rows int `json:"rows"`
}

// NewWriter writes the header. version is 2 or 3.
func NewWriter(w io.Writer, version int, h Header) (*Writer, error) {
	out := &Writer{w: bufio.NewWriterSize(w, 64<<10), version: version}
	out.json = json.NewEncoder(&out.buf)
	out.json.SetEscapeHTML(false)
	var stamp int64
	if !h.Started.IsZero() {
		stamp = h.Started.Unix()
	}
	switch version {
	case 2:
		return out, out.line(header2{2, h.Cols, h.Rows, stamp, h.Title})
	case 3:
		return out, out.line(header3{3, Term{h.Cols, h.Rows}, stamp, h.Title})
	}
	return nil, fmt.Errorf("asciicast version %d does not exist: 2 and 3 do", version)
}

func (w *Writer) line(v any) error {
	w.buf.Reset()
	if err := w.json.Encode(v); err != nil { // ends with a newline
		return err
	}
	_, err := w.w.Write(w.buf.Bytes())
	return err
}

// Event writes one event. What the version does not know is left out.
func (w *Writer) Event(us uint64, code, data string) error {
	if code == Exit && w.version < 3 {
		return nil
	}
	us = max(us, w.last)
	t := us
	if w.version == 3 { // since the event before
		t = us - w.last
	}
	w.last = us
	return w.line([]any{Seconds(t), code, data})
}

// Close writes what is buffered.
func (w *Writer) Close() error { return w.w.Flush() }

// Seconds gives microseconds as a JSON number of seconds, exactly.
func Seconds(us uint64) json.RawMessage {
	b := strconv.AppendUint(nil, us/1e6, 10)
	return fmt.Appendf(b, ".%06d", us%1e6)
}

// Size is the data of a resize event.
func Size(cols, rows int) string { return fmt.Sprintf("%dx%d", cols, rows) }
