package rendezvous

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/sallyport/sallyport/internal/audit"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/internal/wire"
)

// device is what is connected of one device.
type device struct {
	lines    []*line // one; more while it is disputed
	disputed bool
	sessions map[*sessionLine]struct{}
}

// join makes a proven line the device's line. A second one while the first still answers makes a dispute of both; a
// first one that does not answer was lost without a word, and is replaced.
func (r *Registry) join(l *line) bool {
	for {
		first, code := r.tryJoin(l)
		switch {
		case code != 0:
			l.close(code, "")
			return false
		case first == nil:
			return true
		case !first.answers(r.probe):
			first.close(wire.CloseReplaced, "replaced")
			<-first.gone
		case r.joinDisputed(first, l):
			r.count.disputed.Add(1)
			r.quarantine(l.fp, twoLines)
			return true
		}
	}
}

const twoLines = "two lines show one key and both answer"

// tryJoin gives the line that is in the way, or the code to close l with; neither: l is in.
func (r *Registry) tryJoin(l *line) (first *line, code int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	d := r.devices[l.fp]
	switch {
	case !r.open:
		return nil, closeRestart
	case r.cutAt[l.fp] > l.seen:
		return nil, wire.CloseUnknown
	case d == nil:
		d = &device{}
		r.devices[l.fp] = d
	case len(d.lines) >= maxLines:
		return nil, closeTryLater
	case len(d.lines) > 0 && !d.disputed:
		return d.lines[0], 0
	}
	d.lines = append(d.lines, l)
	r.note(d.lines[0], true)
	if len(d.lines) > 1 {
		r.lines.Go(func() { r.quarantine(l.fp, twoLines) })
	}
	return nil, 0
}

// joinDisputed adds l beside first, if first is still there.
func (r *Registry) joinDisputed(first, l *line) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	d := r.devices[l.fp]
	if !r.open || d == nil || !slices.Contains(d.lines, first) || r.cutAt[l.fp] > l.seen || len(d.lines) >= maxLines {
		return false
	}
	d.disputed = true
	d.lines = append(d.lines, l)
	return true
}

// quarantine stops new sessions on every line of a device until an administrator has looked at it. Sessions that run
// go on: a copied key must not be a way to break off the work of the machine's technician.
func (r *Registry) quarantine(fp wire.Hash, why string) {
	r.mu.Lock()
	var lines []store.Line
	if d := r.devices[fp]; d != nil {
		d.disputed = true
		for _, l := range d.lines {
			lines = append(lines, store.Line{Addr: l.addr, Boot: l.boot, Generation: l.gen})
		}
	}
	for _, c := range r.calls {
		if c.line.fp == fp {
			r.settleLocked(c, outcome{err: disputed(string(c.line.name))})
		}
	}
	r.mu.Unlock()
	if err := r.storeDispute(fp, why, lines); err != nil {
		r.cfg.Log.Error("a dispute is not in the database", slog.String("device", fp.String()), slog.Any("error", err))
	}
}

// disputeTime bounds the write to the log, and then the transaction.
const disputeTime = 10 * time.Second

// storeDispute writes a new dispute into the log, and then its event and the device's row in one transaction. Lines
// that come up later change only the row. Disputes are handled one at a time. Otherwise two lines could each find
// the device undisputed and log it twice.
func (r *Registry) storeDispute(fp wire.Hash, why string, lines []store.Line) error {
	r.disputing.Lock()
	defer r.disputing.Unlock()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.ctx), disputeTime)
	defer cancel()
	row, err := r.cfg.Store.DeviceByFP(ctx, fp)
	if err != nil {
		return err
	}
	write := func(event ...store.AuditEvent) error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.ctx), disputeTime)
		defer cancel()
		_, err := r.cfg.Store.ChangeDevice(ctx, fp, func(row *store.Device) error {
			return dispute(row, why, lines, r.cfg.Now().UTC())
		}, event...)
		return err
	}
	if row.State == store.Disputed || row.State == store.Revoked || r.cfg.Audit == nil {
		return write()
	}
	fields := map[string]string{"fp": fp.String(), "why": why}
	for i, l := range lines {
		fields[fmt.Sprintf("line.%d", i+1)] = fmt.Sprintf("%s boot %s generation %d", l.Addr, l.Boot, l.Generation)
	}
	logged, written := r.cfg.Audit.Regardless(ctx,
		audit.Event{Type: "disputed", Subject: string(row.Name), Fields: fields}, write)
	if logged != nil {
		r.cfg.Log.Error("a dispute is not in the log", slog.String("device", string(row.Name)),
			slog.Any("error", logged))
	}
	return written
}

// dispute changes the row; lines that show up later in the same dispute are added.
func dispute(row *store.Device, why string, lines []store.Line, now time.Time) error {
	switch row.State {
	case store.Revoked:
		return nil
	case store.Disputed:
	default:
		row.State, row.StateAt, row.StateBy, row.StateWhy = store.Disputed, now, "gateway", why
		row.Dispute = nil
	}
	if row.Dispute == nil {
		row.Dispute = &store.Dispute{At: now, Why: why}
	}
	for _, l := range lines {
		if len(row.Dispute.Lines) < 2*maxLines && !slices.Contains(row.Dispute.Lines, l) {
			row.Dispute.Lines = append(row.Dispute.Lines, l)
		}
	}
	return nil
}

// leave forgets a line that has ended.
func (r *Registry) leave(l *line) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failCalls(func(c *call) bool { return c.line == l }, lost(string(l.name)))
	d := r.devices[l.fp]
	if d == nil {
		return
	}
	i := slices.Index(d.lines, l)
	if i < 0 {
		return
	}
	d.lines = slices.Delete(d.lines, i, i+1)
	if len(d.lines) > 0 {
		r.note(d.lines[0], true)
		return
	}
	d.disputed = false // what the database says stays
	r.note(l, false)
	r.forget(l.fp, d)
}

func (r *Registry) forget(fp wire.Hash, d *device) {
	if len(d.lines) == 0 && len(d.sessions) == 0 && r.devices[fp] == d {
		delete(r.devices, fp)
	}
}

// Cut closes everything of a device: control lines, session lines, and what is being opened. A handshake that began
// before does not survive it.
func (r *Registry) Cut(fp wire.Hash, why string) {
	r.mu.Lock()
	r.cuts++
	r.cutAt[fp] = r.cuts
	lines, sessions := r.detach(fp, true)
	r.mu.Unlock()
	r.cfg.Log.Info("device cut", slog.String("device", fp.String()), slog.String("why", why))
	for _, s := range sessions {
		s.cut()
	}
	for _, l := range lines {
		l.close(wire.CloseUnknown, "")
	}
}

// Drop closes a device's control lines so that it comes back. Its sessions go on.
func (r *Registry) Drop(fp wire.Hash, why string) {
	r.mu.Lock()
	lines, _ := r.detach(fp, false)
	r.mu.Unlock()
	for _, l := range lines {
		l.close(closeRestart, why)
	}
}

// detach takes a device's lines out of the registry, so that whatever comes after is new. The caller holds r.mu.
func (r *Registry) detach(fp wire.Hash, withSessions bool) (lines []*line, sessions []*sessionLine) {
	d := r.devices[fp]
	if d == nil {
		return nil, nil
	}
	lines = d.lines
	d.lines, d.disputed = nil, false
	if len(lines) > 0 {
		r.note(lines[0], false)
		r.failCalls(func(c *call) bool { return c.line.fp == fp }, lost(string(lines[0].name)))
	}
	if withSessions {
		for s := range d.sessions {
			sessions = append(sessions, s)
		}
	}
	r.forget(fp, d)
	return lines, sessions
}
