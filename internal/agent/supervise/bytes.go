package supervise

import (
	"errors"
	"io"
	"os"
	"time"

	"github.com/sallyport/sallyport/internal/agent/proc"
	"github.com/sallyport/sallyport/internal/wire"
)

// chunk is how much is carried at once.
const chunk = 32 << 10

// pump carries output. After the program's end it continues as long as output comes, and for the time that renew gives
// without any, because other processes of the program may hold its output open forever. It reports whether that was
// cut off.
func pump(dst io.Writer, src io.Reader, ended <-chan struct{}, renew func()) (cut bool) {
	buf := make([]byte, chunk)
	for {
		n, err := src.Read(buf)
		if n > 0 {
			if _, werr := dst.Write(buf[:n]); werr != nil {
				return false
			}
		}
		if err != nil {
			return errors.Is(err, os.ErrDeadlineExceeded)
		}
		select {
		case <-ended:
			renew()
		default:
		}
	}
}

// typed carries input to a terminal, with a verdict for every byte.
func (c *channel) typed(t *proc.Terminal) {
	v := verdicts{c: c}
	buf := make([]byte, chunk)
	for {
		n, err := c.ch.Read(buf)
		if n > 0 {
			c.touched()
			werr := t.Type(buf[:n], v.add)
			v.flush()
			if werr != nil {
				io.Copy(io.Discard, c.ch) // the program is gone, so later input gets no verdict and stays sealed
				return
			}
		}
		if err != nil {
			return // the line is lost, or the input has ended; then its last byte was the terminal's end of file
		}
	}
}

// piped carries input to a program without a terminal. Nothing hides it, so its verdict is always "in the open".
func (c *channel) piped() {
	v := verdicts{c: c}
	buf := make([]byte, chunk)
	open := true
	for {
		n, err := c.ch.Read(buf)
		if n > 0 {
			c.touched()
			if open {
				_, werr := c.run.Stdin.Write(buf[:n])
				open = werr == nil
			}
			v.add(n, false)
			v.flush()
		}
		if err != nil {
			c.run.Stdin.Close() // the program reads the end
			return
		}
	}
}

func (c *channel) touched() {
	c.s.mu.Lock()
	c.s.lastInput = time.Now()
	c.s.mu.Unlock()
}

// verdicts joins adjacent ranges with the same verdict into one event.
type verdicts struct {
	c      *channel
	n      uint64
	hidden bool
}

func (v *verdicts) add(n int, hidden bool) {
	if v.n > 0 && v.hidden != hidden {
		v.flush()
	}
	v.n, v.hidden = v.n+uint64(n), hidden
}

// flush sends the verdict at once, before the echo. The record then gets the reveal together with the echo, without
// another chunk or sync.
func (v *verdicts) flush() {
	if v.n == 0 {
		return
	}
	v.c.s.event(wire.Event{Kind: wire.EventVerdict, Channel: v.c.n, Offset: v.c.in, Len: v.n, Hidden: v.hidden})
	v.c.in += v.n
	v.n = 0
}
