package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
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

// maxTyped bounds the bytes that one receipt covers, so that a paste does not wait for one huge sync.
const maxTyped = 16 << 10

// Write records typed bytes and sends them to the device. Each piece is durable before it is sent. It returns the bytes
// that were sent, and the reason why the rest was not.
func (c *Channel) Write(p []byte) (int, error) {
	n := 0
	for len(p) > 0 {
		part := p[:min(len(p), maxTyped)]
		if err := c.s.thawed(); err != nil {
			return n, err
		}
		if err := c.recorded(c.line.Send(c.ctx, part)); err != nil {
			return n, err
		}
		c.s.bytesIn.Add(int64(len(part)))
		n += len(part)
		p = p[len(part):]
	}
	return n, nil
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

// close records the program's end and gives the frontend its outcome.
func (c *Channel) close() {
	c.awaitExit()
	if c.exited {
		e := format.Exit{Ch: c.n, Status: c.exit.Status, Signal: c.exit.Signal}
		c.s.lastWord("the exit status", func() error { return c.s.rec.Exit(e) })
	}
	if c.line.OutputCut() {
		c.outputCut()
	}
	// From here on pending input fails. Its error must not become the reason.
	byItself := ended(ByExit, "the program has ended")
	c.cancel(byItself)
	cause := context.Cause(c.ctx)
	c.outcome.Reason = reasonOf(cause)
	if cause != byItself && c.s.ctx.Err() == nil { // if the session ends, the close of the record has the reason
		text := fmt.Sprintf("channel %d was ended (%s): %s", c.n, c.outcome.Reason, cause)
		note := format.Note{Kind: format.NoteChannelEnd, Text: text, Ch: &c.n}
		c.s.lastWord("why a channel was ended", func() error { return c.s.rec.Note(note) })
	}
	switch {
	case cause != byItself: // the status of a program that was killed is not its own
		c.sink.Notice("ended", cause.Error())
	case c.exit.Signal != "":
		c.outcome.Signal = c.exit.Signal
	default:
		status := int(c.exit.Status)
		c.outcome.Status = &status
	}
	c.s.left(c)
	close(c.done)
}

// outputCut records that output is missing, and tells the technician.
func (c *Channel) outputCut() {
	note := format.Note{Kind: "device", Ch: &c.n,
		Text: "the output was cut off: 10 s after the program had ended, something that it left behind still held it"}
	c.s.lastWord("that output was cut off", func() error { return c.s.rec.Note(note) })
	c.sink.Notice("cut", "the program has ended, and something that it left behind still held its output; "+
		"what comes after 10 s is not shown")
}

// awaitExit waits for the device to close the channel. Then it knows how the program ended, and the device's reason
// if the device ended the session. If the device does not close the channel in time, awaitExit ends the session.
// Otherwise a device could make the technician wait forever.
func (c *Channel) awaitExit() {
	if c.s.ctx.Err() == nil {
		select {
		case <-c.line.Closed():
		case <-time.After(stuckDoor):
			c.s.cancel(ended(ByDeviceLost, fmt.Sprintf("%s did not close channel %d", c.s.ask.Device, c.n)))
		}
	}
	<-c.line.Closed() // at the latest when the session's line is
	if word := c.line.SessionEnded(); word != "" && c.s.ctx.Err() == nil {
		c.s.endedByDevice(word)
	}
	if c.exit, c.exited = c.line.Exit(); !c.exited && c.ctx.Err() == nil {
		c.s.broke(c)
	}
}

// broke ends a channel if the device did not say how its program ended. If the session line is gone, it ends the
// session.
func (s *Session) broke(c *Channel) {
	select {
	case <-s.line.Gone():
		s.cancel(ended(ByDeviceLost, fmt.Sprintf("the line to %s broke off", s.ask.Device)))
	case <-time.After(ownClose):
		c.cancel(ended(ByDeviceLost, fmt.Sprintf("%s closed channel %d without saying how its program ended",
			s.ask.Device, c.n)))
	}
}

// Sizes of output buffers. Output that arrives while the disk is busy is read in one piece afterwards, so a flood needs
// few syncs. A prompt needs only the smallest buffer.
const (
	leastOutput = 4 << 10
	mostOutput  = 128 << 10
	maxShown    = 32 << 10 // given to a sink at once
	calm        = 32       // small reads in a row, after which a large buffer is given back
)

// pump carries one output stream: durable first, shown after. It returns at the stream's end.
func (c *Channel) pump(r io.Reader, stream format.Stream) error {
	buf, small := make([]byte, leastOutput), 0
	for {
		n, err := r.Read(buf)
		if n > 0 {
			if werr := c.show(stream, buf[:n]); werr != nil {
				return werr
			}
		}
		switch small++; {
		case n == len(buf) && n < mostOutput:
			buf, small = make([]byte, 2*n), 0
		case n > leastOutput:
			small = 0
		case small >= calm && len(buf) > leastOutput:
			buf = make([]byte, leastOutput)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (c *Channel) show(stream format.Stream, p []byte) error {
	if err := c.s.rec.Output(c.ctx, c.n, stream, p); err != nil {
		return err
	}
	if err := context.Cause(c.ctx); err != nil {
		return err
	}
	c.s.bytesOut.Add(int64(len(p)))
	for len(p) > 0 {
		part := p[:min(len(p), maxShown)]
		if err := c.sink.Output(stream, part); err != nil {
			return err
		}
		p = p[len(part):]
		c.line.Taken(len(part))
	}
	return nil
}
