package supervise

import (
	"io"
	"time"

	"github.com/sallyport/sallyport/internal/agent/proc"
	"github.com/sallyport/sallyport/internal/wire"
)

// chunk is how much is carried at once.
const chunk = 32 << 10

// pump carries output. After the program's end it goes on as long as something comes, and no longer than a second
// without: what the program left behind may hold its output for ever.
func pump(dst io.Writer, src io.Reader, ended <-chan struct{}, renew func()) {
	buf := make([]byte, chunk)
	for {
		n, err := src.Read(buf)
		if n > 0 {
			if _, werr := dst.Write(buf[:n]); werr != nil {
				return
			}
		}
		if err != nil {
			return
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
				io.Copy(io.Discard, c.ch) // the program is gone: what is typed now stays sealed
				return
			}
		}
		if err != nil {
			return // the line is lost, or nothing more is typed; the terminal's own end of file was typed then
		}
	}
}

// piped carries input to a program without a terminal. Nothing hides it, so all of it is clear.
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

// verdicts joins neighbours that are alike into one event.
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

// flush tells them at once, before the echo: the reveal then goes into the record with the echo, and costs no chunk and no sync
// of its own.
func (v *verdicts) flush() {
	if v.n == 0 {
		return
	}
	v.c.s.event(wire.Event{Kind: wire.EventVerdict, Channel: v.c.n, Offset: v.c.in, Len: v.n, Hidden: v.hidden})
	v.c.in += v.n
	v.n = 0
}
