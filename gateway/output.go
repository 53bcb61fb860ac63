package gateway

import (
	"context"
	"errors"
	"io"

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

// pump carries one output stream: durable first, shown after. It returns at the stream's end.
func (c *Channel) pump(r io.Reader, stream format.Stream) error {
	buf, small := make([]byte, leastOutput), 0
	for {
		n, err := r.Read(buf)
		if n > 0 {
			if werr := c.show(stream, buf[:n]); werr != nil {
				return werr
			}
		}
		switch small++; {
		case n == len(buf) && n < mostOutput:
			buf, small = make([]byte, 2*n), 0
		case n > leastOutput:
			small = 0
		case small >= calm && len(buf) > leastOutput:
			buf = make([]byte, leastOutput)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (c *Channel) show(stream format.Stream, p []byte) error {
	if err := c.s.rec.Output(c.ctx, c.n, stream, p); err != nil {
		return err
	}
	if err := context.Cause(c.ctx); err != nil {
		return err
	}
	c.s.bytesOut.Add(int64(len(p)))
	c.confirmed.Add(int64(len(p)))
	for len(p) > 0 {
		part := p[:min(len(p), maxShown)]
		if err := c.sink.Output(stream, part); err != nil {
			return err
		}
		p = p[len(part):]
		c.line.Taken(len(part))
	}
	return nil
}
