package gateway

import (
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/sallyport/sallyport/internal/wire"
	"github.com/sallyport/sallyport/recorder"
)

// readEvents takes in what only the device knows: whether typed bytes were hidden, what ran, what was refused.
func (s *Session) readEvents() {
	for {
		e, err := wire.ReadEvent(s.events)
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
		return s.rec.Command(recorder.Command{Ch: e.Channel, Source: e.Source, Argv: e.Argv, PID: e.PID, Ended: e.Ended, Status: e.Status, Signal: e.Signal})
	case wire.EventSurvivors:
		return s.rec.Note(recorder.Note{Kind: "survivors", Text: fmt.Sprintf("still running after the end: %v %s", e.Argv, e.Text)})
	case wire.EventRefused:
		s.sink.Notice("refused", "the machine refused a request: "+told(e.Text, wire.MaxGrantText, "no reason was given"))
		return s.rec.Note(recorder.Note{Kind: "refused", Text: e.Text})
	case wire.EventNotice:
		return s.rec.Note(recorder.Note{Kind: "device", Text: e.Text})
	}
	return nil
}
