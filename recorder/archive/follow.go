package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/sallyport/sallyport/recorder/format"
)

// followEvery is how often the file of a live recording is looked at.
const followEvery = 100 * time.Millisecond

// Follow calls fn with the frames of a part that is still being written, as they come. It returns nil
// when the part is closed. It reads whole chunks only; some of what it reads may not be durable yet.
func (a *Archive) Follow(ctx context.Context, p Part, fn func(Moment) error) error {
	o, err := a.open(p)
	if err != nil {
		return err
	}
	defer o.Close()
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	for {
		err := o.drain(ctx, p, fn)
		if !errors.Is(err, format.ErrCut) {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
		info, err := o.file.Stat()
		if err != nil {
			return fmt.Errorf("follow recording: %w", err)
		}
		if info.Size() != o.size {
			o.size = info.Size()
			o.rd.Grow(o.size)
		}
	}
}

// drain gives what is there. It returns the *recorder.Cut behind the last whole chunk, nil at the close.
func (o *opened) drain(ctx context.Context, p Part, fn func(Moment) error) error {
	for ctx.Err() == nil {
		f, err := o.rd.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if err := fn(Moment{Frame: f, At: f.T, Part: p.Part}); err != nil {
			return err
		}
	}
	return context.Cause(ctx)
}
