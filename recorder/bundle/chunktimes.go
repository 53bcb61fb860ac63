package bundle

import (
	"fmt"
	"io"
	"math"
	"time"

	"github.com/sallyport/sallyport/recorder/format"
)

// chunkTimes walks over the chunk headers of a container that was verified before.
type chunkTimes struct {
	src    *io.SectionReader
	t0     int64 // wall clock at the beginning, in Unix nanoseconds
	at     int64 // offset of this chunk
	size   int64 // its length
	seq    uint32
	us     uint64 // since the beginning
	framed bool   // it has frames
	err    error
}

// newChunkTimes reads the container's header.
func newChunkTimes(src *io.SectionReader) (*chunkTimes, error) {
	head := make([]byte, format.HeaderAt)
	if _, err := src.ReadAt(head, 0); err != nil {
		return nil, fmt.Errorf("read the recording's beginning: %w", err)
	}
	n, err := format.HeaderLen(head)
	if err != nil {
		return nil, err
	}
	raw := make([]byte, n)
	if _, err := src.ReadAt(raw, format.HeaderAt); err != nil {
		return nil, fmt.Errorf("read the recording's header: %w", err)
	}
	h, err := format.ParseHeader(raw)
	return &chunkTimes{src: src, t0: h.T0, at: format.HeaderAt, size: int64(n)}, err
}

// next moves to the next chunk that has frames. It reports false after the last one, and if the chunk cannot be read.
func (c *chunkTimes) next() bool {
	for c.step() {
		if c.framed {
			return true
		}
	}
	return false
}

// step moves to the next whole chunk.
func (c *chunkTimes) step() bool {
	var head [format.ChunkHeaderLen]byte
	at := c.at + c.size
	if at+format.ChunkHeaderLen > c.src.Size() {
		return false
	}
	if _, c.err = c.src.ReadAt(head[:], at); c.err != nil {
		return false
	}
	chunk, n, err := format.ParseChunkHeader(&head)
	if err != nil || at+format.ChunkHeaderLen+int64(n) > c.src.Size() { // the trailer, or what a crash cut off
		return false
	}
	c.framed = chunk.Sealed()
	c.at, c.size, c.seq, c.us = at, format.ChunkHeaderLen+int64(n), chunk.Seq, chunk.T
	return true
}

// moment gives the wall clock of the chunk. Its time since the beginning can be longer than a time.Duration, which would
// wrap around into the window of a pass.
func (c *chunkTimes) moment() time.Time {
	return time.UnixMicro(int64(c.us)).Add(time.Duration(c.t0)).UTC()
}

// since gives the time since the beginning for people, at most what a time.Duration can hold.
func (c *chunkTimes) since() time.Duration {
	return time.Duration(min(c.us, math.MaxInt64/1000)) * time.Microsecond
}
