package format

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
)

// Frame is one event in a recording.
type Frame struct {
	Seq     uint32 // the chunk it begins in
	Offset  int64  // where that chunk begins in the file
	Segment uint32
	T       uint64    // microseconds since the part began
	Wall    time.Time // by the last anchor before it
	Kind    Kind
	Ch      uint32 // o, s, i, u
	Stream  Stream // o, s, i, u
	At      uint64 // o, s, i, u: offset in the stream
	Actor   uint64 // s, i, u: who typed
	Data    []byte // o, i, u: the bytes; s: the bytes once opened, before that the sealed bytes; others: as encoded
	Opened  bool   // s: Data has the typed bytes

	SealedAt uint32 // s: its number in the segment, which is its nonce
}

// Len is the number of stream bytes that an o, s, i or u frame stands for.
func (f *Frame) Len() uint64 {
	if f.Kind == KindSealed && !f.Opened {
		return uint64(len(f.Data) - TagLen)
	}
	return uint64(len(f.Data))
}

// ErrShortFrame means that a frame is longer than the bytes at hand.
var ErrShortFrame = errors.New("frame is not complete")

// uvarint reads a minimal unsigned LEB128; n is 0 when b ends before it does.
func uvarint(b []byte) (v uint64, n int, err error) {
	v, n = binary.Uvarint(b)
	if n < 0 || n == 0 && len(b) >= binary.MaxVarintLen64 || n > 1 && b[n-1] == 0 {
		return 0, 0, errors.New("number is not in its shortest form")
	}
	return v, n, nil
}

// cursor reads the fields of a frame; the first fault sticks.
type cursor struct {
	b   []byte
	err error
}

func (c *cursor) num(limit uint64, what string) uint64 {
	if c.err != nil {
		return 0
	}
	v, n, err := uvarint(c.b)
	switch {
	case err != nil:
		c.err = fmt.Errorf("%s: %w", what, err)
	case n == 0:
		c.err = ErrShortFrame
	case v > limit:
		c.err = fmt.Errorf("%s %d, at most %d", what, v, limit)
	default:
		c.b = c.b[n:]
		return v
	}
	return 0
}

func (c *cursor) byte() byte {
	if c.err == nil && len(c.b) == 0 {
		c.err = ErrShortFrame
	}
	if c.err != nil {
		return 0
	}
	v := c.b[0]
	c.b = c.b[1:]
	return v
}

// ParseFrame takes one frame off b. dt is the time since the frame before, in microseconds, and f.T is not set. It
// returns ErrShortFrame if b ends inside the frame.
func ParseFrame(b []byte) (f Frame, dt uint64, rest []byte, err error) {
	c := cursor{b: b}
	dt = c.num(math.MaxInt64, "time")
	f.Kind = Kind(c.byte())
	if c.err != nil {
		return f, 0, nil, c.err
	}
	k := kindOf(f.Kind)
	if k == nil {
		return f, 0, nil, fmt.Errorf("frame kind %q does not exist", byte(f.Kind))
	}
	n := c.num(uint64(k.most), "frame length")
	if c.err != nil {
		return f, 0, nil, c.err
	}
	if uint64(len(c.b)) < n {
		return f, 0, nil, ErrShortFrame
	}
	f.Data, rest = c.b[:n:n], c.b[n:]
	if err := f.read(k); err != nil {
		if errors.Is(err, ErrShortFrame) { // short inside its own length is malformed, not cut
			err = errors.New("frame ends inside its fields")
		}
		return f, 0, nil, fmt.Errorf("frame %q: %w", byte(f.Kind), err)
	}
	return f, dt, rest, nil
}

// read takes the fields off the data of a frame that belongs to a stream, and checks the data of any other.
func (f *Frame) read(k *kind) error {
	if len(k.streams) == 0 {
		return k.check(f)
	}
	return f.parseHead()
}

// parseHead takes channel, stream, offset and actor off the data of the frames that have them.
func (f *Frame) parseHead() error {
	c := cursor{b: f.Data}
	f.Ch = uint32(c.num(math.MaxUint32, "channel"))
	f.Stream = Stream(c.byte())
	f.At = c.num(1<<62, "offset")
	if f.Kind != KindOutput {
		f.Actor = c.num(math.MaxUint64, "actor")
	}
	f.Data = c.b
	switch {
	case c.err != nil:
		return c.err
	case !slices.Contains(kindOf(f.Kind).streams, f.Stream):
		return fmt.Errorf("stream %d", f.Stream)
	case f.Kind == KindSealed && len(f.Data) <= TagLen, len(f.Data) == 0:
		return errors.New("no bytes")
	}
	return nil
}

// AppendStreamHead writes the fields that o, s, i and u begin with.
func AppendStreamHead(b []byte, k Kind, ch uint32, stream Stream, at, actor uint64) []byte {
	b = binary.AppendUvarint(b, uint64(ch))
	b = append(b, byte(stream))
	b = binary.AppendUvarint(b, at)
	if k != KindOutput {
		b = binary.AppendUvarint(b, actor)
	}
	return b
}

// StreamLen gives the number of stream bytes in the data of an o, i or u frame.
func StreamLen(k Kind, data []byte) uint64 {
	f := Frame{Kind: k, Data: data}
	if f.parseHead() != nil {
		return 0
	}
	return uint64(len(f.Data))
}
