package format

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
	"unicode/utf8"
)

// Command says that a process started or ended, and how that is known.
type Command struct {
	Ch        uint32   `cbor:"ch"`
	Source    string   `cbor:"source"` // agent.exec, exec.kernel, line.reconstructed, …
	Argv      []string `cbor:"argv,omitempty"`
	Exe       string   `cbor:"exe,omitempty"`
	PID       uint32   `cbor:"pid,omitempty"`
	PPID      uint32   `cbor:"ppid,omitempty"`
	UID       *uint32  `cbor:"uid,omitempty"`
	Truncated bool     `cbor:"truncated,omitempty"`
	Ended     bool     `cbor:"ended,omitempty"`
	Status    uint32   `cbor:"status,omitempty"`
	Signal    string   `cbor:"signal,omitempty"`
}

// Note is a marker, or a remark of the recorder or the gateway about the record.
type Note struct {
	Kind string  `cbor:"kind"`
	Text string  `cbor:"text,omitempty"`
	Ch   *uint32 `cbor:"ch,omitempty"` // the channel that it is about; with At and N: a range of that channel's input
	At   uint64  `cbor:"at,omitempty"`
	N    uint64  `cbor:"n,omitempty"`
}

// Kinds of notes that this package writes or that its readers know.
const (
	NoteMarker     = "marker"      // set by a person
	NoteNoVerdict  = "no-verdict"  // the device gave no verdict on a range of input, which stays sealed
	NoteEnding     = "ending"      // why the recorder ends the session
	NoteStart      = "start"       // what the gateway requests for a channel; recorded before it is sent
	NoteDiffers    = "differs"     // the device says that it started another program, or received more input, than the record has
	NotePass       = "pass"        // the session's next pass, recorded before it is sent; or the device's refusal
	NoteChannelEnd = "channel-end" // why the gateway ended a channel while its session continues, or did not open one
	NoteInputEnd   = "input-end"   // the end of a channel's input; recorded before it is sent
)

// Gap is a stretch of time that is not in the record, with what is known about it.
type Gap struct {
	Reason string `cbor:"reason"`
	From   uint64 `cbor:"from"` // microseconds since the part began
	To     uint64 `cbor:"to"`
	Bytes  uint64 `cbor:"bytes"`
}

// Exit is the end of a channel's program.
type Exit struct {
	Ch     uint32
	Status uint32
	Signal string // without SIG; empty unless a signal ended it
}

// Anchor ties record time to the wall clock.
type Anchor struct {
	WallNs uint64
	Step   bool // the wall clock was stepped since the previous anchor
}

// Attest carries one of the device's statement keys. The one for hidden ranges is sealed.
type Attest struct {
	Hidden bool
	Key    []byte // 32 bytes, or 48 sealed ones
}

// AppendResize writes the data of an r frame.
func AppendResize(b []byte, ch uint32, cols, rows uint16) []byte {
	b = binary.AppendUvarint(b, uint64(ch))
	b = binary.AppendUvarint(b, uint64(cols))
	return binary.AppendUvarint(b, uint64(rows))
}

// Resize reads an r frame.
func (f *Frame) Resize() (ch uint32, cols, rows uint16, err error) {
	c := cursor{b: f.Data}
	ch = uint32(c.num(math.MaxUint32, "channel"))
	cols = uint16(c.num(math.MaxUint16, "columns"))
	rows = uint16(c.num(math.MaxUint16, "rows"))
	return ch, cols, rows, c.end()
}

// end requires that no bytes are left.
func (c *cursor) end() error {
	if c.err == nil && len(c.b) != 0 {
		return errors.New("bytes after the last field")
	}
	return c.err
}

// AppendAnchor writes the data of a t frame. step says that the wall clock was stepped since the previous anchor.
func AppendAnchor(b []byte, wallNs uint64, step bool) []byte {
	b = binary.AppendUvarint(b, wallNs)
	if step {
		return append(b, 1)
	}
	return append(b, 0)
}

// Anchor reads a t frame.
func (f *Frame) Anchor() (Anchor, error) {
	c := cursor{b: f.Data}
	a := Anchor{WallNs: c.num(math.MaxInt64, "wall clock")}
	step := c.byte()
	a.Step = step == 1
	if c.err == nil && step > 1 {
		return a, fmt.Errorf("step %d", step)
	}
	return a, c.end()
}

// AppendExit writes the data of an e frame.
func AppendExit(b []byte, e Exit) []byte {
	b = binary.AppendUvarint(b, uint64(e.Ch))
	b = binary.AppendUvarint(b, uint64(e.Status))
	return append(b, e.Signal...)
}

// Exit reads an e frame.
func (f *Frame) Exit() (Exit, error) {
	c := cursor{b: f.Data}
	e := Exit{Ch: uint32(c.num(math.MaxUint32, "channel")), Status: uint32(c.num(math.MaxUint32, "status"))}
	if c.err != nil {
		return e, c.err
	}
	if e.Signal = string(c.b); !SignalName(e.Signal) {
		return e, errors.New("signal name is not A-Z and 0-9, at most 16")
	}
	return e, nil
}

// SignalName reports whether s may be the name of a signal: at most 16 of A-Z and 0-9.
func SignalName(s string) bool {
	return len(s) <= 16 && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") == ""
}

// Attest reads an a frame.
func (f *Frame) Attest() (Attest, error) {
	if len(f.Data) == 33 && f.Data[0] == 0 || len(f.Data) == 33+TagLen && f.Data[0] == 1 {
		return Attest{Hidden: f.Data[0] == 1, Key: f.Data[1:]}, nil
	}
	return Attest{}, errors.New("not a statement key")
}

// Command reads a c frame.
func (f *Frame) Command() (c Command, err error) { return c, DecodeExact(f.Data, &c) }

// Note reads an m frame.
func (f *Frame) Note() (n Note, err error) { return n, DecodeExact(f.Data, &n) }

// Gap reads a g frame.
func (f *Frame) Gap() (g Gap, err error) { return g, DecodeExact(f.Data, &g) }

// Clip shortens s to at most n bytes without cutting a character, and makes it valid UTF-8. CBOR text must be valid
// UTF-8, and devices may send anything.
func Clip(s string, n int) string {
	s = strings.ToValidUTF8(s, "�")
	for len(s) > n {
		_, size := utf8.DecodeLastRuneInString(s[:n])
		if s[:n][n-size] < utf8.RuneSelf || utf8.ValidString(s[:n]) {
			return s[:n]
		}
		n -= size
	}
	return s
}
