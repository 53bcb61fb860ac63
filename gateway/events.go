package gateway

import (
	"errors"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/sallyport/sallyport/internal/wire"
	"github.com/sallyport/sallyport/recorder/format"
)

// readEvents reads the device's events: whether typed bytes were hidden, what ran, what was refused. Only the device
// knows these.
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

// told gives a device's text if people may be shown it, and instead otherwise. A hostile device must not steer a
// terminal or speak as the gateway.
func told(text string, most int, instead string) string {
	if text == "" || !wire.PlainText(text, most) {
		return instead
	}
	return text
}

// take records one event. An error means that it could not be recorded, so the session must end.
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
		return s.tellSurvivors(e)
	case wire.EventRefused:
		return s.tellRefused(e)
	case wire.EventNotice:
		return s.rec.Note(format.Note{Kind: "device", Text: e.Text, Ch: channelOf(e)})
	}
	return nil
}

// tellSurvivors records the processes that the device could not end, and shows them to the technicians. The text names
// the device as its source, because the gateway cannot check it.
func (s *Session) tellSurvivors(e wire.Event) error {
	text := "the device says that these processes still run: " + strings.Join(e.Argv, ", ")
	if e.Text != "" {
		text += "; " + e.Text
	}
	err := s.rec.Note(format.Note{Kind: "survivors", Text: text})
	const unnamed = "processes still run on the device; their names cannot be shown"
	s.notice("survivors", told(text, wire.MaxGrantText, unnamed))
	return err
}

// channelOf gives the channel that the device names in an event; nil if it names none.
func channelOf(e wire.Event) *uint32 {
	if e.Channel == 0 {
		return nil
	}
	return &e.Channel
}

// tellRefused records a refusal by the device and tells the technicians of the channel that the device names. The
// number is the device's claim, so it decides only who is told. The gateway's own refusals are notes of the same kind,
// so the record says whose word this is.
func (s *Session) tellRefused(e wire.Event) error {
	err := s.rec.Note(format.Note{Kind: "refused", Text: "the device says: " + e.Text, Ch: channelOf(e)})
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

// maxEarly bounds the refusals that are kept before a program has started.
const maxEarly = 16

// early keeps a refusal that comes before the program has started, because it may be the reason why it does not start.
// It reports false if the program has started.
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

// began marks the program as started, and tells the technician what the device refused before.
func (c *Channel) began() {
	c.s.mu.Lock()
	c.running = true
	c.s.startedBy[c.action.String()] = c.action
	early := c.refusals
	c.s.mu.Unlock()
	for _, e := range early {
		c.noticeRefused(e)
	}
}

// firstRefusal waits for the device's first refusal and gives it. It gives an empty event if none comes in time.
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
