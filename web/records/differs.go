package records

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/internal/argv"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/recorder/archive"
	"github.com/sallyport/sallyport/recorder/bundle"
	"github.com/sallyport/sallyport/recorder/format"
)

// slack is how far a time in the session's row may be from the time in the evidence. The gateway takes them from its
// clock at different moments. A slow disk or a step of the clock may lie between them.
const slack = 2 * time.Minute

// Differences compares the database's rows of a session and of its parts with the evidence. It returns one text for
// each value that differs. Its cost does not depend on the length of the session. Of the recording it discloses only
// the first command that the gateway requested. It compares nothing if the log has not announced the first part.
//
// If leaves or passes are invalid, it returns one text, which says that the database is not proven. Verify reports the
// fault itself. The error says that the evidence could not be read.
func (r *Records) Differences(ctx context.Context, s store.Session, ps []store.Part) ([]string, error) {
	if len(ps) == 0 || ps[0].OpenLeaf == nil {
		return unannounced(&s), nil
	}
	said, err := r.Evidence.Outline(ctx, s, ps)
	if f, ok := errors.AsType[*format.Fault](err); ok {
		return []string{"evidence: it is not valid, so no value in the database is proven: " + f.Detail}, nil
	}
	if err != nil {
		return nil, err
	}
	d := &differences{}
	d.session(&s, said)
	for i := range ps {
		d.part(&ps[i], &said.Parts[i])
	}
	d.times(&s, said)
	begun, ok, err := r.Archive.Begun(ctx, parts(ps[:1])[0])
	if err == nil && ok { // a recording that cannot be read is reported by Verify
		d.begun(&s, &ps[0], &begun)
	}
	return d.texts, nil
}

// unannounced gives the difference of a session that the database does not find in the log: a session starts after the
// log has announced it.
func unannounced(s *store.Session) []string {
	if s.Started.IsZero() {
		return nil
	}
	return []string{fmt.Sprintf("started: the database says %s, and names no entry of the log that announces the session",
		shown(moment(s.Started)))}
}

type differences struct{ texts []string }

// same adds a text if the value row of the database differs from the value proven, which the evidence where has.
func (d *differences) same(what, row, where, proven string) {
	if row != proven {
		d.add("%s: the database says %s, and %s says %s", what, shown(row), where, shown(proven))
	}
}

func (d *differences) add(format string, args ...any) {
	d.texts = append(d.texts, fmt.Sprintf(format, args...))
}

func shown(text string) string {
	if text == "" {
		return "nothing"
	}
	return fmt.Sprintf("%q", text)
}

const (
	inPass  = "the pass"
	inOpen  = "the open leaf"
	inEnd   = "the end in the log"
	inAsker = "the statement of who asked"
	decided = "the decision in the log"
)

// session compares person, device, login, reason and the other values that do not change during a session.
func (d *differences) session(s *store.Session, said *bundle.Outlined) {
	p := &said.Parts[len(said.Parts)-1]
	d.same("person", s.PrincipalName, inPass, p.Person)
	d.same("login", s.Login, inPass, p.Login)
	d.same("device key", hex(s.DeviceFP), inOpen, hex(p.DeviceFP))
	d.same("reason", strings.TrimSpace(s.Purpose), inPass, p.Reason) // the signer trims both
	d.same("ticket", strings.TrimSpace(s.Ticket), inPass, p.Ticket)
	if a := said.Parts[0].Asker; a != nil {
		d.same("person", s.Principal.String(), inAsker, id.Principal{Issuer: a.Issuer, Subject: a.Subject}.String())
		d.same("device", string(s.Device), inAsker, a.Device)
		d.same("API token", s.ViaToken, inAsker, a.Token)
	}
	if e := said.Decided; e == nil { // it was in log and database before the session could be opened
		d.add("decision: the database names no entry of the log, so action and address are not compared")
	} else {
		d.same("person", s.Principal.String(), decided, e.By)
		d.same("device", string(s.Device), decided, e.Fields["device"])
		d.same("action", s.Action, decided, e.Fields["action"])
		d.same("address", s.ClientAddr, decided, e.Fields["address"])
		via := strings.TrimPrefix(strings.TrimPrefix(e.Fields["via"], "sign-in"), "token ")
		d.same("API token", s.ViaToken, decided, via)
	}
}

// begun compares the first program with the request for it, which the gateway recorded before it sent it.
func (d *differences) begun(s *store.Session, p *store.Part, b *archive.Begun) {
	const recorded = "the recording"
	d.same("login", s.Login, recorded, b.Login)
	d.same("command", argv.Line(s.Argv), recorded, b.Command)
	d.same("terminal", yesNo(s.PTY), recorded, yesNo(b.Terminal))
	d.same("recorded from", moment(p.Started), recorded, moment(time.Unix(0, b.At)))
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// part compares one recording.
func (d *differences) part(p *store.Part, said *bundle.Said) {
	name := fmt.Sprintf("part %d, ", p.Part)
	d.same(name+"first hash", hex(p.H0), inOpen, hex(said.H0))
	d.same(name+"kept until", day(p.Retain), inOpen, day(said.RetainUntil))
	if said.AskerLost { // the row has it since the log announced the part, as it has the pass
		d.add("%swho asked: the database has no statement, and the open leaf commits to one", name)
	}
	if said.End == nil {
		if p.State != store.RecordRunning && p.State != store.RecordMissing {
			d.add("%send: the database says that it has ended, and names no end in the log", name)
		}
		return
	}
	d.record(name+"record", p.State, said.End.Cut, said.End.Gaps)
	d.same(name+"last hash", hex(p.HFinal), inEnd, hex(said.End.HFinal))
	d.same(name+"chunks", fmt.Sprint(p.Seq), inEnd, fmt.Sprint(said.End.Seq))
	d.same(name+"bytes", fmt.Sprint(p.Bytes), inEnd, fmt.Sprint(said.End.Bytes))
	d.same(name+"end", moment(p.Ended), inEnd, moment(said.End.At))
}

// record compares the state of a recording. One that is missing has no state that the log knows.
func (d *differences) record(what, row string, cut bool, gaps uint64) {
	proven := store.RecordComplete
	if gaps > 0 {
		proven = store.RecordGap
	}
	if cut {
		proven = store.RecordCut
	}
	if row != store.RecordMissing {
		d.same(what, row, inEnd, proven)
	}
}

// times compares times, gaps and reason of the session, whose row is written a moment before or after the log.
func (d *differences) times(s *store.Session, said *bundle.Outlined) {
	d.near("asked", s.Asked, inPass, said.Parts[0].Issued)
	d.near("started", s.Started, inPass, said.Parts[0].Issued)
	last := &said.Parts[len(said.Parts)-1]
	d.same("permitted until", moment(s.Until.Truncate(time.Second)), inPass, moment(last.Until))
	d.ended(s, said)
}

// ended compares the end of the session. The log gets it before the rows, and the part's row before the session's.
func (d *differences) ended(s *store.Session, said *bundle.Outlined) {
	end := said.Parts[len(said.Parts)-1].End
	switch {
	case end == nil && s.Ended.IsZero(), end != nil && s.Ended.IsZero() && time.Since(end.At) < slack:
		return
	case end == nil:
		if s.Record != store.RecordMissing {
			d.add("ended: the database says %s, and names no end in the log", shown(moment(s.Ended)))
		}
		return
	case s.Ended.IsZero():
		d.same("ended", "", inEnd, moment(end.At))
	}
	if !slices.Contains([]string{store.Ended, store.Closed, store.Archived, store.Refused}, s.State) {
		d.add("state: the database says %s, and the log has the session's end", shown(s.State))
	}
	d.near("ended", s.Ended, inEnd, end.At)
	d.same("end", s.EndReason, inEnd, end.Reason)
	if s.State == store.Refused && end.Reason == gateway.ByExit { // only a program that ran can exit
		d.same("state", s.State, inEnd, end.Reason)
	}
	gaps, cut := uint64(0), false
	for _, p := range said.Parts {
		if p.End != nil {
			gaps, cut = gaps+p.End.Gaps, cut || p.End.Cut
		}
	}
	d.same("gaps", fmt.Sprint(s.Gaps), inEnd, fmt.Sprint(gaps))
	d.record("record", s.Record, cut, gaps)
}

func (d *differences) near(what string, row time.Time, where string, proven time.Time) {
	if !row.IsZero() && row.Sub(proven).Abs() > slack {
		d.same(what, moment(row), where, moment(proven))
	}
}

func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05.000 UTC")
}

func day(t time.Time) string { return t.UTC().Format("2006-01-02") }

func hex(b [32]byte) string { return fmt.Sprintf("%x", b[:8]) }
