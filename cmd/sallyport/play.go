package main

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/sallyport/sallyport/web/apitype"
)

// pace is how fast output is played.
type pace struct {
	speed float64       // times as fast as it was
	idle  time.Duration // no pause lasts longer
	off   bool          // without pauses
}

// stderrStream is the stream of standard error in a record.
const stderrStream = 2

// play writes recorded output, byte for byte, at its own pace.
func play(ctx context.Context, record io.Reader, out, errs io.Writer, p pace) error {
	for last := uint64(0); ; {
		s, err := apitype.ReadWritten(record)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return cutOff(err)
		}
		if err := p.wait(ctx, last, s.At); err != nil {
			return err
		}
		last = max(last, s.At)
		to := out
		if s.Stream == stderrStream {
			to = errs
		}
		if _, err := to.Write(s.Data); err != nil {
			return err
		}
	}
}

// wait lasts as long as it was from one time to the other, in microseconds.
func (p pace) wait(ctx context.Context, from, to uint64) error {
	if p.off || to <= from {
		return ctx.Err()
	}
	pause := min(time.Duration(to-from)*time.Microsecond, p.idle)
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(time.Duration(float64(pause) / p.speed)):
		return nil
	}
}
