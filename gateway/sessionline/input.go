package sessionline

import (
	"context"
	"slices"

	"github.com/sallyport/sallyport/internal/errkind"
)

// Send records input in pieces of at most size bytes and sends each piece once it is recorded. Before each piece Send
// calls may, which can wait or refuse; nil: nothing is asked. It returns how many bytes were sent, and why the rest was
// not. If the device accepts no more input, the error is an errkind.Unavailable. After End it is an errkind.Conflict.
//
// For a program without a terminal, Send returns while the last piece is still being sent, so that the next one is
// recorded meanwhile. If that piece cannot be sent, the next call of Send or End says so.
func (c *Channel) Send(ctx context.Context, p []byte, size int, may func() error) (int, error) {
	c.in.Lock()
	defer c.in.Unlock()
	return c.sendLocked(ctx, p, size, may)
}

// sendLocked is Send. The caller holds c.in.
func (c *Channel) sendLocked(ctx context.Context, p []byte, size int, may func() error) (sent int, err error) {
	if c.ended {
		return 0, errkind.New(errkind.Conflict, "the end of input was sent, so nothing more can be typed")
	}
	for piece := range slices.Chunk(p, size) {
		if err := c.before.failed(); err != nil {
			return sent, err
		}
		if may != nil {
			if err := may(); err != nil {
				return sent, err
			}
		}
		r, err := c.recordInput(ctx, piece)
		if err != nil {
			return sent, err
		}
		if err := c.sendPiece(ctx, r, piece, may); err != nil {
			return sent, err
		}
		c.unfinished = !slices.Contains(lineEnds, piece[len(piece)-1])
		sent += len(piece)
	}
	return sent, nil
}

// sending is a piece of input on its way to the device.
type sending struct {
	piece []byte // a copy; empty at a terminal. The next piece uses its memory again
	done  chan struct{}
	err   error // set before done is closed
}

// sendPiece sends a piece after the previous one. Without a terminal it does not wait until the piece is sent.
func (c *Channel) sendPiece(ctx context.Context, r receipt, piece []byte, may func() error) error {
	waited := c.before.underWay()
	if err := c.sent(ctx); err != nil {
		return err
	}
	if waited && may != nil { // what may depends on can have changed
		if err := may(); err != nil {
			return err
		}
	}
	now := &sending{done: make(chan struct{})}
	before := c.before
	c.before = now
	if c.pty {
		now.send(c, r, piece)
		return c.sent(ctx)
	}
	if before != nil {
		now.piece = before.piece[:0]
	}
	now.piece = append(now.piece, piece...) // the caller erases its own
	go now.send(c, r, now.piece)
	return nil
}

func (s *sending) send(c *Channel, r receipt, piece []byte) {
	defer close(s.done)
	defer clear(s.piece)
	if err := c.send(r, piece); err != nil {
		s.err = errkind.New(errkind.Unavailable, "the machine no longer takes input").Because(err)
	}
}

// underWay reports whether the piece is still being sent.
func (s *sending) underWay() bool {
	if s == nil {
		return false
	}
	select {
	case <-s.done:
		return false
	default:
		return true
	}
}

// failed says why the piece was not sent, if that is known already.
func (s *sending) failed() error {
	if s == nil {
		return nil
	}
	select {
	case <-s.done:
		return s.err
	default:
		return nil
	}
}

// sent waits until all earlier input was sent. That can take long, so it also says if the session or channel has ended
// meanwhile: what was recorded before is not sent then.
func (c *Channel) sent(ctx context.Context) error {
	if c.before != nil {
		<-c.before.done
		if c.before.err != nil {
			return c.before.err
		}
	}
	return context.Cause(ctx)
}

// endOfFile is the character that ends a terminal's input (termios VEOF).
const endOfFile = 4

// End records the end of input and then sends it, so the program reads an end of file. At a terminal, the end is a
// character, which is recorded and sent as input. If the device typed it, the program would receive a byte that is not
// in the record. The end is recorded in either case. Only the first call has an effect.
func (c *Channel) End(ctx context.Context) error {
	c.in.Lock()
	defer c.in.Unlock()
	if c.ended {
		return nil
	}
	if c.pty {
		if _, err := c.sendLocked(ctx, c.endOfTerminal(), maxEnd, nil); err != nil {
			return err
		}
	}
	r, err := c.recordInputEnd(ctx)
	if err != nil {
		return err
	}
	c.ended = true
	if err := c.sent(ctx); err != nil {
		return err
	}
	return c.sendEnd(r)
}

const maxEnd = 2 // bytes

// lineEnds are the characters that end a line of a terminal's input.
var lineEnds = []byte{'\n', '\r', endOfFile}

// endOfTerminal is what ends a terminal's input. In an unfinished line the first character only gives the program that
// line, so a second one is needed (termios(3), VEOF).
func (c *Channel) endOfTerminal() []byte {
	if c.unfinished {
		return []byte{endOfFile, endOfFile}
	}
	return []byte{endOfFile}
}
