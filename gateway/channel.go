package gateway

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/gateway/sessionline"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/wire"
	"github.com/sallyport/sallyport/recorder/format"
)

// firstChannel is the number of the channel that a session begins with.
const firstChannel uint32 = 1

// Channel is one program in a session, as a frontend uses it. Several goroutines may call its methods.
type Channel struct {
	s      *Session
	n      uint32
	start  sessionline.Start
	action authz.Action
	until  time.Time // when the permission to open it expires
	sink   Sink

	ctx    context.Context // ends with the session, and with the reason why the channel ends
	cancel context.CancelCauseFunc

	line    *sessionline.Channel
	refused chan struct{} // holds one item when there are refusals

	allowed  bool         // its decision is stored, so it can be opened; guarded by s.mu, like the next two
	running  bool         // the program has started
	refusals []wire.Event // of the device, before the program started

	confirmed atomic.Int64 // bytes of output that are durable

	exit    sessionline.Exit
	exited  bool // the device reported exit
	outcome Outcome
	done    chan struct{}
}

// Outcome says how a channel ended. Status is nil if the program did not end by itself, or ended by a signal.
type Outcome struct {
	Status *int
	Signal string
	Reason string
}

func (s *Session) newChannel(n uint32, start sessionline.Start, action authz.Action) *Channel {
	c := &Channel{s: s, n: n, start: start, action: action, refused: make(chan struct{}, 1), done: make(chan struct{})}
	c.ctx, c.cancel = context.WithCancelCause(s.ctx)
	return c
}

// ID names the session.
func (c *Channel) ID() id.Session { return c.s.id }

// Number names the channel within its session.
func (c *Channel) Number() uint32 { return c.n }

// Until is the session's hard stop.
func (c *Channel) Until() time.Time { return c.s.Until() }

// Wait returns once the channel has ended and its sink has all its output. If the session ended with the channel, Wait
// also waits until the record is closed and its end is in the log.
func (c *Channel) Wait() Outcome {
	<-c.done
	if c.s.ctx.Err() != nil {
		<-c.s.done
	}
	return c.outcome
}

// Done is closed once the channel has ended.
func (c *Channel) Done() <-chan struct{} { return c.done }

// End ends the channel on behalf of its technician, and the session if nothing else is open in it.
func (c *Channel) End(text string) { c.s.endChannel(c, ended(ByTechnician, text)) }

// Bounds of the bytes that one receipt covers. Each piece costs one sync of the disk. At a terminal a person waits
// for the first line of a paste, so the pieces are small. A command without a terminal gets large pieces and so fewer
// syncs.
const (
	maxTyped = 16 << 10
	maxPiped = 128 << 10
)

// Write records typed bytes and sends them to the device. Each piece is durable before it is sent. It returns the bytes
// that were sent, and the reason why the rest was not. Without a terminal the last piece may still be on its way.
func (c *Channel) Write(p []byte) (int, error) {
	size := maxTyped
	if c.start.PTY == nil {
		size = maxPiped
	}
	n, err := c.line.Send(c.ctx, p, size, c.s.thawed)
	c.s.bytesIn.Add(int64(n))
	return n, c.recorded(err)
}

// CloseInput ends the input, so the program reads an end of file.
func (c *Channel) CloseInput() error {
	if err := c.s.thawed(); err != nil {
		return err
	}
	return c.recorded(c.line.End(c.ctx))
}

// Resize records a new size of the terminal and sends it to the device.
func (c *Channel) Resize(cols, rows int) error {
	if c.start.PTY == nil {
		return nil
	}
	if !sessionline.Fits(cols, rows) {
		return errSize
	}
	return c.recorded(c.line.Resize(c.ctx, cols, rows))
}

// signals are the names of RFC 4254 section 6.10.
const signals = " ABRT ALRM FPE HUP ILL INT KILL PIPE QUIT SEGV TERM USR1 USR2 "

// Signal records a signal, named without SIG, and sends it to the program. An unknown name is an errkind.Usage.
func (c *Channel) Signal(name string) error {
	if name == "" || strings.Contains(name, " ") || !strings.Contains(signals, " "+name+" ") {
		return errkind.New(errkind.Usage, fmt.Sprintf("%.20q is not a signal; the names are%s", name, strings.TrimRight(signals, " ")))
	}
	return c.recorded(c.line.Signal(c.ctx, name))
}

// recorded ends the session if something was not sent because it could not be recorded.
func (c *Channel) recorded(err error) error {
	if why := sessionline.Unrecorded(err); why != nil {
		c.s.stop(why)
		return why
	}
	return err
}

// run carries the program from its start to its end.
func (c *Channel) run() {
	var output sync.WaitGroup
	output.Go(func() { c.carry(c.pump(c.line.Stdout(), format.StreamOut)) })
	output.Go(func() { c.carry(c.pump(c.line.Stderr(), format.StreamErr)) })
	finished := make(chan struct{})
	go func() { output.Wait(); close(finished) }()
	select {
	case <-finished:
	case <-c.ctx.Done():
		if c.s.ctx.Err() == nil { // otherwise the session tells the device first, and closes its line
			c.line.Close()
		}
		select {
		case <-finished:
		case <-time.After(stuckDoor): // a frontend that takes no more output must not delay the end
		}
	}
	c.close()
}

// carry ends the session when a stream could not be recorded, and the channel when it could not be shown.
func (c *Channel) carry(err error) {
	switch {
	case err == nil || c.ctx.Err() != nil:
	case c.s.rec.Err() != nil:
		c.s.stop(err)
	default:
		text, _, _ := errkind.ForPeople(err)
		c.s.endChannel(c, ended(ByDeviceLost, text))
	}
}
