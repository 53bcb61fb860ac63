package rendezvous

import (
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/internal/wire"
	"github.com/sallyport/sallyport/recorder/ledger"
)

func (h *house) survivors() []store.AuditEvent {
	h.t.Helper()
	return must(h.db.AuditEvents(h.t.Context(), store.AuditFilter{Type: "survivors", Limit: 100}))(h.t)
}

// addSession stores a session that ran on a device.
func (h *house) addSession(device id.Device) id.Session {
	h.t.Helper()
	s := store.Session{ID: id.NewSession(), Device: device, State: store.Closed, Asked: time.Now(), Record: store.RecordCut}
	if err := h.db.AddSession(h.t.Context(), s); err != nil {
		h.t.Fatal(err)
	}
	return s.ID
}

func orphans(sid id.Session, text string) wire.Report {
	return wire.Report{T: wire.TypeReport, Session: sid, Kind: wire.ReportOrphans, Text: text}
}

// TestADeviceReportsOfItsOwnSessionsOnly: about another one's session, or about none, its words are about itself.
func TestADeviceReportsOfItsOwnSessionsOnly(t *testing.T) {
	h := newHouse(t)
	h.admitted("press-2")
	m := h.admitted("press-1")
	own, others := h.addSession("press-1"), h.addSession("press-2")
	c := h.up(m)
	for i, want := range []struct {
		sid     id.Session
		subject string
	}{{own, own.String()}, {others, "press-1"}, {id.Session{}, "press-1"}, {id.NewSession(), "press-1"}} {
		if err := c.line.SendMsg(orphans(want.sid, "sleep (7)"), bound); err != nil {
			t.Fatal(err)
		}
		within(t, "the event", func() bool { return len(h.survivors()) == i+1 })
		e := h.survivors()[0]
		body, err := ledger.ParseEventBody(e.Body)
		if e.Subject != want.subject || err != nil || body.Fields["device_says"] != "sleep (7)" || body.Fields["device"] != "press-1" {
			t.Errorf("about %s: got subject %s, %+v, %v, want subject %s", want.sid, e.Subject, body, err, want.subject)
		}
	}
}

// TestADeviceCannotFillTheLogWithReports: nor may it put into the log what people cannot be shown.
func TestADeviceCannotFillTheLogWithReports(t *testing.T) {
	h := newHouse(t)
	c := h.up(h.admitted("press-1"))
	send := func(r wire.Report) {
		if err := c.line.SendMsg(r, bound); err != nil {
			t.Fatal(err)
		}
	}
	send(orphans(id.Session{}, "\x1b[2J"))
	for range flipBurst + 10 {
		send(orphans(id.Session{}, "sleep (7)"))
	}
	send(orphans(id.Session{}, "\u202egnp.exe"))
	within(t, "all were read", func() bool { return h.Metrics().Malformed == 2 })
	within(t, "the events", func() bool { return len(h.survivors()) >= flipBurst })
	if n := len(h.survivors()); n > flipBurst+5 {
		t.Errorf("got %d events of %d reports, want about %d", n, flipBurst+10, flipBurst)
	}
}
