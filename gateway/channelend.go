package gateway

import (
	"context"
	"fmt"
	"time"

	"github.com/sallyport/sallyport/recorder/format"
)

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
