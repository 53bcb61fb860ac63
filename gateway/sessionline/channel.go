package sessionline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/wire"
)

// Channel is one program on the device. Its methods may be called by several goroutines.
type Channel struct {
	line *Line
	n    uint32
	ch   ssh.Channel
	pty  bool

	in    sync.Mutex // guards ended and the order of input: recorded and sent in the same order
	ended bool       // the end of input was sent

	taken  taken
	exit   Exit   // set before closed is, as are
	told   bool   // exit is the device's word
	why    string // why the device ended the session
	closed chan struct{}
}

// Exit says how a program ended.
type Exit struct {
	Status uint32
	Signal string // as the device named it; empty: it ended with Status
}

// ErrNotStarted says that the device refused to start the program. It tells the reason as an event.
var ErrNotStarted = errors.New("the device did not start the program")

// Unrecorded gives the recording's own error, if it is why something was not sent; nil otherwise.
func Unrecorded(err error) error {
	if e, ok := errors.AsType[*unrecorded](err); ok {
		return e.error
	}
	return nil
}

// Open opens channel n, which the device has not seen yet, and starts the program. Meanwhile the record takes in what
// the device is then asked: neither waits for the other, and the device is asked when both are there. Once ctx has
// ended nothing starts any more. The error of a device that refuses the channel is *ssh.OpenChannelError; of one that
// refuses the program, ErrNotStarted.
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

// answer is the recording's.
type answer struct {
	receipt receipt
	err     error
}

// begin sends what belongs before the start, and the start. Only the start is answered: a device that cannot do what
// came before refuses the start.
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
	if err := context.Cause(ctx); err != nil { // ended meanwhile: nothing starts any more
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

// Send records input and sends it then. The error of a device that takes no more input is an errkind.Unavailable.
// After End it is an errkind.Conflict.
func (c *Channel) Send(ctx context.Context, p []byte) error {
	c.in.Lock()
	defer c.in.Unlock()
	return c.sendLocked(ctx, p)
}

// sendLocked is Send. The caller holds c.in.
func (c *Channel) sendLocked(ctx context.Context, p []byte) error {
	if c.ended {
		return errkind.New(errkind.Conflict, "the end of input was sent, so nothing more can be typed")
	}
	r, err := c.recordInput(ctx, p)
	if err != nil {
		return err
	}
	if err := c.send(r, p); err != nil {
		return errkind.New(errkind.Unavailable, "the machine no longer takes input").Because(err)
	}
	return nil
}

// endOfFile is what a terminal takes for the end of what is typed (termios VEOF).
const endOfFile = 4

// End records the end of input and sends it then: the program reads an end of file. At a terminal that is a character
// like any other: were it the device that typed it, the program would receive a byte that the record has not. The
// record has the end in either case. Only the first call does anything.
func (c *Channel) End(ctx context.Context) error {
	c.in.Lock()
	defer c.in.Unlock()
	if c.ended {
		return nil
	}
	if c.pty {
		if err := c.sendLocked(ctx, []byte{endOfFile}); err != nil {
			return err
		}
	}
	r, err := c.recordInputEnd(ctx)
	if err != nil {
		return err
	}
	c.ended = true
	return c.sendEnd(r)
}

// Resize records a new size of the terminal and sends it then.
func (c *Channel) Resize(ctx context.Context, cols, rows int) error {
	r, err := c.recordResize(ctx, uint16(cols), uint16(rows))
	if err != nil {
		return err
	}
	return c.tell(r, "window-change", windowChange{Cols: uint32(cols), Rows: uint32(rows)})
}

// Signal records a signal, named without SIG (RFC 4254 section 6.9), and sends it then to what runs.
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

// onlyRead hides that a channel can be written to.
type onlyRead struct{ io.Reader }

// Taken notes that n more bytes of output were handed to the technician's connection.
func (c *Channel) Taken(n int) { c.taken.add(n) }

// Closed is closed when the device has closed the channel, or the line has ended.
func (c *Channel) Closed() <-chan struct{} { return c.closed }

// Exit gives how the program ended; false if the device did not tell. It is known once the channel is closed.
func (c *Channel) Exit() (Exit, bool) { return c.exit, c.told }

// SessionEnded gives why the device ended the session by itself, in its words; empty if it does not say that it did. It
// is known once the channel is closed.
func (c *Channel) SessionEnded() string { return c.why }

// listen takes what the device asks and tells about the channel, until it is closed.
func (c *Channel) listen(requests <-chan *ssh.Request) {
	defer close(c.closed)
	for r := range requests {
		if c.taken.asks(r) {
			continue
		}
		if e, ok := exitOf(r); ok {
			c.exit, c.told = e, true
		}
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
			m.Signal = "UNKNOWN" // devices send what they like
		}
		return Exit{Signal: m.Signal}, err == nil
	}
	return Exit{}, false
}

// maxSignal is longer than any signal's name.
const maxSignal = 32
