package archive

import (
	"context"
	"errors"

	"github.com/sallyport/sallyport/recorder/format"
)

// Begun is what the beginning of a part says about its first channel.
type Begun struct {
	format.Start
	At int64 // when the part began, by the gateway's clock, in Unix nanoseconds
}

// mostBefore is how many frames Begun reads in search of the first start. A gateway writes one or two frames before it.
const mostBefore = 16

// Begun reads the beginning of a part. ok is false if it has no start there. This is so in a recording of version 1,
// and in one that was cut before its start. The error says that the part cannot be read.
func (a *Archive) Begun(ctx context.Context, p Part) (b Begun, ok bool, err error) {
	frames := 0
	end, err := a.Frames(ctx, []Part{p}, func(m Moment) error {
		if m.Kind == format.KindNote {
			if n, err := m.Note(); err == nil {
				b.Start, ok = n.Start()
			}
		}
		if frames++; ok || frames == mostBefore {
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	b.At = end.Started.UnixNano()
	return b, ok, err
}
