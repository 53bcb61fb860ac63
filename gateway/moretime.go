package gateway

import (
	"context"
	"time"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/signer"
)

// MoreTime gives a running session its next pass if the policy and the grants of now let it go on past its hard stop. It
// returns the hard stop, and whether it has moved. The errors are those of Renew.
func (b *Broker) MoreTime(ctx context.Context, sid id.Session, by signer.Evidence) (until time.Time, moved bool, err error) {
	s, err := b.renewable(sid)
	if err != nil {
		return time.Time{}, false, err
	}
	dev, err := b.cfg.Store.Device(ctx, s.ask.Device)
	if err != nil {
		return time.Time{}, false, err
	}
	d := s.decideAgain(s.first.action, b.cfg.Rules.Snapshot(), b.asOfNow(ctx, s.ask.Person), &dev, b.LiveOn(s.ask.Device)-1)
	if !outlasts(d, s.Until()) {
		return s.Until(), false, nil
	}
	until, err = b.Renew(ctx, sid, by)
	return until, err == nil, err
}

// outlasts reports whether a decision lets a session go on for at least a second after its hard stop.
func outlasts(d authz.Decision, until time.Time) bool {
	return d.Allowed && (d.Until.IsZero() || d.Until.Sub(until) >= time.Second)
}

// underGrant reports whether a grant allows the session, and no rule by itself.
func (s *Session) underGrant() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.grant != ""
}

// tellMore tells the frontends once that another grant lets the session go on for longer. The technician's client then
// asks for the next pass, because only it has the technician's evidence.
func (s *Session) tellMore(d authz.Decision) {
	if d.Grant == "" || !outlasts(d, s.Until()) {
		return
	}
	s.mu.Lock()
	known := s.grant == d.Grant
	s.grant = d.Grant
	s.mu.Unlock()
	if !known {
		s.notice("more-time", "more time was granted, until "+d.Until.UTC().Format("15:04 UTC"))
	}
}
