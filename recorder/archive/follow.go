package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/sallyport/sallyport/recorder/format"
)

// followEvery is how often a reader that has shown everything looks for more. It reads no file unless there is more.
const followEvery = 20 * time.Millisecond

// Confirmed gives how many bytes of a channel's output are durable, and whether there can be more.
type Confirmed func() (bytes int64, more bool)

// FollowOptions chooses what is followed.
type FollowOptions struct {
	Channel uint32 // 0: the first
	Text    bool   // as a transcript has it: without control characters and escape sequences
}

// Follow calls emit with what is shown on one channel of a part that is still being written: from the beginning, and
// then as it comes. at is in microseconds since the part began. Follow returns nil when the channel has ended.
//
// A chunk is in the file before it is durable. Nobody may be shown what a crash can take out of the record, so no byte
// beyond those that are confirmed is emitted. Frames are in the file in the order in which they become durable, so
// the sum of their lengths tells which ones are.
func (a *Archive) Follow(ctx context.Context, p Part, opt FollowOptions, confirmed Confirmed,
	emit func(at uint64, s format.Stream, p []byte) error) error {
	o, err := a.open(p)
	if err != nil {
		return err
	}
	defer o.Close()
	f := &following{opened: o, part: p.Part, ch: choose(opt.Channel), confirmed: confirmed, emit: emit}
	if opt.Text {
		f.texts = map[format.Stream]*plain{}
	}
	for {
		more, err := f.await(ctx, 1)
		if err == nil {
			err = f.grow() // after await: what is confirmed is in the file
		}
		if err != nil {
			return err
		}
		if err := f.drain(ctx); !errors.Is(err, format.ErrCut) || !more {
			return uncut(err)
		}
	}
}

// uncut takes the end of what is written so far for no error.
func uncut(err error) error {
	if errors.Is(err, format.ErrCut) {
		return nil
	}
	return err
}

// following is one reader of a running part.
type following struct {
	*opened
	part      uint32
	ch        *chosen
	confirmed Confirmed
	emit      func(at uint64, s format.Stream, p []byte) error
	shown     int64                    // bytes of the channel's output
	texts     map[format.Stream]*plain // nil: bytes as they are
}

// await returns once n more bytes are confirmed, or the channel has ended; then more is false.
func (f *following) await(ctx context.Context, n int) (more bool, err error) {
	for {
		bytes, more := f.confirmed()
		if !more || bytes-f.shown >= int64(n) {
			return more, nil
		}
		select {
		case <-ctx.Done():
			return more, context.Cause(ctx)
		case <-time.After(followEvery):
		}
	}
}

// errUnconfirmed ends the reading of a channel whose last frames have not become durable.
var errUnconfirmed = errors.New("output that was not confirmed")

// drain gives what is there. It returns the *recorder.Cut behind the last whole chunk, nil at the close of the part.
func (f *following) drain(ctx context.Context) error {
	for ctx.Err() == nil {
		frame, err := f.rd.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		m := Moment{Frame: frame, At: frame.T, Part: f.part}
		if f.ch.hides(m) || m.Kind != format.KindOutput {
			continue
		}
		if err := f.show(ctx, m); err != nil {
			if errors.Is(err, errUnconfirmed) {
				return nil
			}
			return err
		}
	}
	return context.Cause(ctx)
}

func (f *following) show(ctx context.Context, m Moment) error {
	if _, err := f.await(ctx, len(m.Data)); err != nil {
		return err
	}
	if bytes, _ := f.confirmed(); bytes-f.shown < int64(len(m.Data)) {
		return errUnconfirmed
	}
	f.shown += int64(len(m.Data))
	if f.texts == nil {
		return f.emit(m.At, m.Stream, m.Data)
	}
	text := f.texts[m.Stream]
	if text == nil {
		text = &plain{}
		f.texts[m.Stream] = text
	}
	return f.emit(m.At, m.Stream, text.add(nil, m.Data))
}

// grow makes the reader see what was written since.
func (f *following) grow() error {
	info, err := f.file.Stat()
	if err != nil {
		return fmt.Errorf("follow recording: %w", err)
	}
	if info.Size() != f.size {
		f.size = info.Size()
		f.rd.Grow(f.size)
	}
	return nil
}
