package gateway

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/sallyport/sallyport/internal/wire"
	"github.com/sallyport/sallyport/recorder/format"
)

// readEvents takes in what only the device knows: whether typed bytes were hidden, what ran, what was refused.
func (s *Session) readEvents() {
	for {
		e, err := s.events.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			s.b.cfg.Log.Warn("the events of a session are garbled; its input stays sealed", slog.String("session", s.id.String()), slog.Any("error", err))
			return
		}
		if err := s.take(e); err != nil {
			s.stop(err)
			return
		}
	}
}

// told is a device's word as people may be shown it: a hostile one must neither steer a terminal nor speak as the gateway.
func told(text string, most int, instead string) string {
	if text == "" || !wire.PlainText(text, most) {
		return instead
	}
	return text
}

// take puts one event into the record.
func (s *Session) take(e wire.Event) error {
	switch e.Kind {
	case wire.EventVerdict:
		if e.Hidden {
			s.hidden.Add(1)
		}
		s.rec.Verdict(e.Channel, e.Offset, e.Len, e.Hidden)
	case wire.EventCommand:
		err := s.rec.Command(format.Command{Ch: e.Channel, Source: e.Source, Argv: e.Argv, PID: e.PID, Ended: e.Ended, Status: e.Status, Signal: e.Signal})
		return errors.Join(err, s.compare(e))
	case wire.EventSurvivors:
		return s.rec.Note(format.Note{Kind: "survivors", Text: fmt.Sprintf("still running after the end: %v %s", e.Argv, e.Text)})
	case wire.EventRefused:
		return s.tellRefused(e)
	case wire.EventNotice:
		return s.rec.Note(format.Note{Kind: "device", Text: e.Text, Ch: channelOf(e)})
	}
	return nil
}

// channelOf gives the channel that the device says its event is about; nil: none.
func channelOf(e wire.Event) *uint32 {
	if e.Channel == 0 {
		return nil
	}
	return &e.Channel
}

// tellRefused records a refusal by the device and tells the technicians of the channel that the device names. The number
// is the device's claim, so it decides only who is told.
func (s *Session) tellRefused(e wire.Event) error {
	err := s.rec.Note(format.Note{Kind: "refused", Text: e.Text, Ch: channelOf(e)})
	for _, c := range s.audience() {
		if (e.Channel == 0 || e.Channel == c.n) && !c.early(e) {
			c.noticeRefused(e)
		}
	}
	return err
}

func (c *Channel) noticeRefused(e wire.Event) {
	c.sink.Notice("refused", "the machine refused a request: "+told(e.Text, wire.MaxGrantText, "no reason was given"))
}

// maxEarly bounds what a device may say before a program has started.
const maxEarly = 16

// early keeps a refusal that comes before the program has started: it may be the reason why it does not.
func (c *Channel) early(e wire.Event) bool {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	if c.running {
		return false
	}
	if len(c.refusals) < maxEarly {
		c.refusals = append(c.refusals, e)
	}
	select {
	case c.refused <- struct{}{}:
	default:
	}
	return true
}

// began tells what the device refused meanwhile.
func (c *Channel) began() {
	c.s.mu.Lock()
	c.running = true
	early := c.refusals
	c.s.mu.Unlock()
	for _, e := range early {
		c.noticeRefused(e)
	}
}

// firstRefusal gives what the device refused first, once it has told; an empty event if it tells nothing in time.
func (c *Channel) firstRefusal() wire.Event {
	select {
	case <-c.refused:
	case <-time.After(ownClose):
		return wire.Event{}
	}
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	return c.refusals[0]
}
