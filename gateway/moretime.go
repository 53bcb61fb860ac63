package gateway

import (
	"context"
	"fmt"
	"time"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/signer"
	"github.com/sallyport/sallyport/recorder/format"
)

// MoreTime is when a running session ends.
type MoreTime struct {
	Until time.Time
	Moved bool   // it is later than before
	Grant string // that allows the session; empty: a rule does
}

// MoreTime gives a running session its next pass if the current policy and grants allow it beyond its hard stop. The errors
// are those of Renew.
func (b *Broker) MoreTime(ctx context.Context, sid id.Session, by signer.Evidence) (MoreTime, error) {
	s, err := b.renewable(sid)
	if err != nil {
		return MoreTime{}, err
	}
	dev, err := b.cfg.Store.Device(ctx, s.ask.Device)
	if err != nil {
		return MoreTime{}, err
	}
	d := s.decideAgain(s.first.action, b.cfg.Rules.Snapshot(), b.asOfNow(ctx, s.ask.Person), &dev, b.LiveOn(s.ask.Device)-1)
	if !outlasts(d, s.Until()) {
		return MoreTime{Until: s.Until(), Grant: s.underGrant()}, nil
	}
	until, err := b.Renew(ctx, sid, by)
	if err != nil {
		return MoreTime{}, err
	}
	s.mu.Lock()
	s.grant = d.Grant
	s.mu.Unlock()
	return MoreTime{until, true, d.Grant}, nil
}

// outlasts reports whether a decision allows a session for at least a second after its hard stop.
func outlasts(d authz.Decision, until time.Time) bool {
	return d.Allowed && (d.Until.IsZero() || d.Until.Sub(until) >= time.Second)
}

// underAnother notes that another grant allows a running session now, because what allowed it was taken away. A reader of
// the record and of the grant must not think that nothing was done under it. It does not wait for the disk, because
// Revalidate has other sessions to end.
func (s *Session) underAnother(ctx context.Context, d authz.Decision) {
	if !d.Allowed || d.Grant == "" || d.Grant == s.underGrant() || outlasts(d, s.Until()) {
		return
	}
	s.mu.Lock()
	s.grant = d.Grant
	s.mu.Unlock()
	go s.noteGrant(context.WithoutCancel(ctx), d)
}

// noteGrant notes in the record and at the grant that the session runs under it from now on.
func (s *Session) noteGrant(ctx context.Context, d authz.Decision) {
	text := fmt.Sprintf("grant %s of rule %s allows the session from here on", d.Grant, d.Rule)
	if d.Emergency {
		text += ", an emergency"
	}
	if err := s.rec.Note(format.Note{Kind: format.NotePass, Text: text}); err != nil {
		s.stop(err) // of no effect if the session has ended
	}
	s.usedGrant(ctx, d.Grant)
}

func (s *Session) usedGrant(ctx context.Context, grant string) {
	if f := s.b.cfg.GrantUsed; f != nil {
		f(ctx, s.id, grant)
	}
}

// underGrant names the grant that allows the session; empty: a rule does by itself.
func (s *Session) underGrant() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.grant
}

// tellAgain is how long after one message about more time the next one may come.
const tellAgain = time.Minute

// tellMore tells the frontends that another grant allows the session for longer. The technician's client then asks for
// the next pass, because only it has the technician's evidence. Until that succeeds, they are told again.
func (s *Session) tellMore(d authz.Decision) {
	if d.Grant == "" || !outlasts(d, s.Until()) {
		return
	}
	now := s.b.cfg.Now()
	s.mu.Lock()
	quiet := s.grant == d.Grant || now.Sub(s.toldMore) < tellAgain
	if !quiet {
		s.toldMore = now
	}
	s.mu.Unlock()
	if !quiet {
		s.notice("more-time", "more time was granted, until "+d.Until.UTC().Format("15:04 UTC"))
	}
}
