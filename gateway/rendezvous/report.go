package rendezvous

import (
	"context"
	"log/slog"
	"time"

	"github.com/sallyport/sallyport/internal/audit"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/wire"
)

// recordTime bounds how long writing an event may take. No request waits for it.
const recordTime = 10 * time.Second

// report handles a device's report. Every report goes to the program's log. A report on survivors also goes into the
// log of evidence, because the session's recording is closed by then, or was cut.
func (l *line) report(m wire.Report) {
	if !wire.PlainText(m.Kind, 40) || !wire.PlainText(m.Text, wire.MaxGrantText) {
		l.r.count.malformed.Add(1)
		return
	}
	l.r.cfg.Log.Info("device reports", slog.String("device", string(l.name)), slog.String("session", m.Session.String()),
		slog.String("kind", m.Kind), slog.String("text", m.Text))
	if m.Kind != wire.ReportSurvivors && m.Kind != wire.ReportOrphans || !l.r.reports.allow(l.fp, l.r.cfg.Now()) {
		return
	}
	l.r.lines.Go(func() { l.recordSurvivors(m) }) // disk and signer must not hold up the reading of the line
}

// recordSurvivors appends a report on survivors to the log of evidence. The event is about the session that the report
// names, if that session ran on this device. Otherwise it is about the device, because a device must not add events to
// the sessions of another one.
func (l *line) recordSurvivors(m wire.Report) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(l.r.ctx), recordTime)
	defer cancel()
	subject := string(l.name)
	if l.ran(ctx, m.Session) {
		subject = m.Session.String()
	}
	l.r.record(ctx, audit.Event{Type: "survivors", Subject: subject, Addr: l.addr,
		Fields: map[string]string{"device": string(l.name), "fp": l.fp.String(), "kind": m.Kind, "device_says": m.Text}})
}

// ran reports whether a session ran on this line's device.
func (l *line) ran(ctx context.Context, sid id.Session) bool {
	if sid == (id.Session{}) {
		return false
	}
	s, err := l.r.cfg.Store.Session(ctx, sid)
	return err == nil && s.Device == l.name
}
