package sessionline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/internal/wire"
)

// Channel is one program on the device. Several goroutines may call its methods.
type Channel struct {
	line *Line
	n    uint32
	ch   ssh.Channel
	pty  bool

	in         sync.Mutex // guards the next three and the order of input: recorded and sent in the same order
	ended      bool       // the end of input was sent
	unfinished bool       // the input ends in the middle of a line
	before     *sending   // the last piece of input

	taken  taken
	exit   Exit   // set before closed is closed, like the next three
	told   bool   // the device reported exit
	why    string // the device's reason for ending the session
	cut    bool   // the device cut off the output
	closed chan struct{}
}

// Exit says how a program ended.
type Exit struct {
	Status uint32
	Signal string // as the device named it; empty: it ended with Status
}

// ErrNotStarted means that the device refused to start the program. The device sends the reason as an event.
var ErrNotStarted = errors.New("the device did not start the program")

// Unrecorded gives the recording's own error, if it is why something was not sent; nil otherwise.
func Unrecorded(err error) error {
	if e, ok := errors.AsType[*unrecorded](err); ok {
		return e.error
	}
	return nil
}

// Open opens channel n, a number that the session has not used yet, and starts the program. It opens the channel and
// records the start at the same time, and asks the device to start the program after both. Once ctx has ended, nothing
// starts. If the device refuses the channel, the error is *ssh.OpenChannelError. If it refuses the program, it is
// ErrNotStarted. If the start cannot be recorded, Unrecorded gives the recording's error.
func (l *Line) Open(ctx context.Context, n uint32, s Start) (*Channel, error) {
	c := &Channel{line: l, n: n, pty: s.PTY != nil, closed: make(chan struct{})}
	recorded := make(chan answer, 1)
	go func() {
		r, err := c.recordStart(ctx, &s)
		recorded <- answer{r, err}
	}()
	ch, requests, err := l.conn.OpenChannel("session", wire.SessionChannel{Channel: n}.Marshal())
	a := <-recorded
	if err != nil {
		return nil, errors.Join(a.err, err)
	}
	c.ch = ch
	go c.listen(requests)
	if a.err == nil {
		a.err = c.begin(ctx, a.receipt, &s)
	}
	if a.err != nil {
		ch.Close()
		return nil, a.err
	}
	return c, nil
}

// answer is the recording's answer.
type answer struct {
	receipt receipt
	err     error
}

// begin sends environment and terminal, and then the start. It waits for the answer to the start alone, because a
// device that refused one of the others refuses the start too.
func (c *Channel) begin(ctx context.Context, r receipt, s *Start) error {
	for _, v := range s.Env {
		if err := c.tell(r, "env", v); err != nil {
			return err
		}
	}
	if p := s.PTY; p != nil {
		m := ptyReq{Term: p.Type(), Cols: uint32(p.Cols), Rows: uint32(p.Rows), Modes: "\x00"} // no modes
		if err := c.tell(r, "pty-req", m); err != nil {
			return err
		}
	}
	if err := context.Cause(ctx); err != nil { // ended meanwhile, so nothing may start
		return err
	}
	kind, message := s.kind()
	switch ok, err := c.ask(r, kind, message); {
	case err != nil:
		return fmt.Errorf("start %s: %w", kind, err)
	case !ok:
		return ErrNotStarted
	}
	return nil
}

// ptyReq is the message of RFC 4254 section 6.2.
type ptyReq struct {
	Term                      string
	Cols, Rows, Width, Height uint32
	Modes                     string
}

// windowChange is the message of RFC 4254 section 6.7.
type windowChange struct{ Cols, Rows, Width, Height uint32 }

// Resize records a new size of the terminal and then sends it.
func (c *Channel) Resize(ctx context.Context, cols, rows int) error {
	r, err := c.recordResize(ctx, uint16(cols), uint16(rows))
	if err != nil {
		return err
	}
	return c.tell(r, "window-change", windowChange{Cols: uint32(cols), Rows: uint32(rows)})
}

// Signal records a signal, named without SIG (RFC 4254 section 6.9), and then sends it to the program.
func (c *Channel) Signal(ctx context.Context, name string) error {
	r, err := c.recordSignal(ctx, name)
	if err != nil {
		return err
	}
	return c.tell(r, "signal", struct{ Name string }{name})
}

// Close closes the channel at once. The device then ends its program.
func (c *Channel) Close() { c.ch.Close() }

// Stdout is the program's output: all of it at a terminal.
func (c *Channel) Stdout() io.Reader { return onlyRead{c.ch} }

// Stderr is the program's error output.
func (c *Channel) Stderr() io.Reader { return onlyRead{c.ch.Stderr()} }

// onlyRead hides that a channel can be written to. It does not embed the channel: the name of an embedded io.Reader is
// exported, so reflection would give it away.
type onlyRead struct{ from io.Reader }

func (r onlyRead) Read(p []byte) (int, error) { return r.from.Read(p) }

// Taken notes that the technician's connection has taken n more bytes of output.
func (c *Channel) Taken(n int) { c.taken.add(n) }

// Closed is closed when the device has closed the channel, or the line has ended.
func (c *Channel) Closed() <-chan struct{} { return c.closed }

// Exit gives how the program ended; false if the device did not tell. It is known once the channel is closed.
func (c *Channel) Exit() (Exit, bool) { return c.exit, c.told }

// SessionEnded gives the device's own reason for ending the session by itself; empty if the device gave none. It is
// known once the channel is closed.
func (c *Channel) SessionEnded() string { return c.why }

// OutputCut reports whether the device says that it cut off the output, which something that the program left behind
// still held. It is known once the channel is closed.
func (c *Channel) OutputCut() bool { return c.cut }

// listen handles the device's requests on the channel until the channel is closed.
func (c *Channel) listen(requests <-chan *ssh.Request) {
	defer close(c.closed)
	for r := range requests {
		if c.taken.asks(r) {
			continue
		}
		if e, ok := exitOf(r); ok {
			c.exit, c.told = e, true
		}
		c.cut = c.cut || r.Type == wire.CutRequest
		if r.Type == wire.EndedRequest {
			if e, err := wire.ParseSessionEnded(r.Payload); err == nil {
				c.why = e.Reason
			}
		}
		if r.WantReply {
			r.Reply(false, nil)
		}
	}
}

// exitOf reads the messages of RFC 4254 section 6.10.
func exitOf(r *ssh.Request) (e Exit, ok bool) {
	switch r.Type {
	case "exit-status":
		var m struct{ Status uint32 }
		err := ssh.Unmarshal(r.Payload, &m)
		return Exit{Status: m.Status}, err == nil
	case "exit-signal":
		var m struct {
			Signal        string
			CoreDumped    bool
			Message, Lang string
		}
		err := ssh.Unmarshal(r.Payload, &m)
		if m.Signal == "" || !wire.PlainText(m.Signal, maxSignal) {
			m.Signal = "UNKNOWN" // a device can send any text
		}
		return Exit{Signal: m.Signal}, err == nil
	}
	return Exit{}, false
}

// maxSignal is longer than any signal's name.
const maxSignal = 32
