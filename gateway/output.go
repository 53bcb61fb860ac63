package gateway

import (
	"context"
	"errors"
	"io"
	"slices"

	"github.com/sallyport/sallyport/recorder/format"
)

// Sizes of output buffers. Output that arrives while the disk is busy is read in one piece afterwards, so a flood needs
// few syncs. A prompt needs only the smallest buffer.
const (
	leastOutput = 4 << 10
	mostOutput  = 128 << 10
	maxShown    = 32 << 10 // given to a sink at once
	calm        = 32       // small reads in a row, after which a large buffer is given back
)

// pump carries one output stream: durable first, shown after. It returns at the stream's end, when all of it was shown.
func (c *Channel) pump(r io.Reader, stream format.Stream) error {
	o := output{c: c, stream: stream, size: leastOutput, buf: make([]byte, leastOutput)}
	err := o.carry(r)
	if shown := o.wait(); err == nil {
		err = shown
	}
	return err
}

// output is one output stream on its way. While a large piece is shown, the next one is read and recorded.
type output struct {
	c      *Channel
	stream format.Stream
	size   int        // of the next read
	buf    []byte     // for the next read
	spare  []byte     // of the piece that is being shown
	shown  chan error // of that piece; nil: none
	small  int        // small reads in a row
}

func (o *output) carry(r io.Reader) error {
	for {
		n, err := r.Read(o.buf)
		if n > 0 {
			if werr := o.take(n); werr != nil {
				return werr
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// take has the n bytes in the buffer recorded, and shows them after the piece before.
func (o *output) take(n int) error {
	p := o.buf[:n]
	if err := o.c.s.rec.Output(o.c.ctx, o.c.n, o.stream, p); err != nil {
		return err
	}
	if err := o.wait(); err != nil {
		return err
	}
	if n > maxShown {
		o.shown = make(chan error, 1)
		go func(shown chan<- error) { shown <- o.c.show(o.stream, p) }(o.shown)
		o.buf, o.spare = o.spare, o.buf
	} else if err := o.c.show(o.stream, p); err != nil {
		return err
	}
	o.fit(n)
	return nil
}

// wait returns once the piece before was shown.
func (o *output) wait() error {
	if o.shown == nil {
		return nil
	}
	err := <-o.shown
	o.shown = nil
	return err
}

// fit prepares the buffer for the read after one of n bytes.
func (o *output) fit(n int) {
	switch o.small++; {
	case n == o.size && n < mostOutput:
		o.size, o.small = 2*n, 0
	case n > leastOutput:
		o.small = 0
	case o.small >= calm:
		o.size, o.spare = leastOutput, nil
	}
	if len(o.buf) != o.size {
		o.buf = make([]byte, o.size)
	}
}

// show gives recorded output to the sink.
func (c *Channel) show(stream format.Stream, p []byte) error {
	if err := context.Cause(c.ctx); err != nil {
		return err
	}
	c.s.bytesOut.Add(int64(len(p)))
	c.confirmed.Add(int64(len(p)))
	for part := range slices.Chunk(p, maxShown) {
		if err := context.Cause(c.ctx); err != nil { // the sink may have taken long
			return err
		}
		if err := c.sink.Output(stream, part); err != nil {
			return err
		}
		c.line.Taken(len(part))
	}
	return nil
}
