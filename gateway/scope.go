package gateway

import (
	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/wire"
)

// takePass sets the session's pass, if it permits exactly the scope that this gateway's own copy of the policy gives,
// and covers the action that was decided and stored. Otherwise it returns an error. live is the number of other
// sessions on the device that the signer was told.
func (s *Session) takePass(p *wire.Pass, raw []byte, live int) error {
	scope := s.decideScope(live)
	if !scope.Equal(p.Scope) || !scope.Covers(s.first.action) {
		return errkind.New(errkind.Conflict, "your rights on the device changed while this session was being opened").
			WithHint("Open the session again.")
	}
	s.pass, s.rawPass = p, raw
	return nil
}

// covered gives the scope of the pass that the session runs under.
func (s *Session) covered() authz.Scope {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pass.Scope
}

// decideScope gives the scope of a session that would start now with the first channel's program. It is empty if that
// is refused.
func (s *Session) decideScope(live int) authz.Scope {
	q := authz.Request{Person: s.ask.Person, Device: target(s.ask.Device, s.device), LiveSessions: live, Ticket: s.ask.Ticket}
	_, d := authz.DecideProgram(s.b.cfg.Rules.Snapshot(), q, s.ask.program(), s.b.cfg.Now())
	scope, _ := d.Scope(s.ask.Login)
	return scope
}
