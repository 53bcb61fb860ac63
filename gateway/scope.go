package gateway

import (
	"fmt"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/wire"
)

// takeScope keeps what the session may do, if the pass permits exactly what this gateway's own copy of the policy gives
// and with it the action that was decided and stored. live is the number of other sessions that the signer was told.
func (s *Session) takeScope(pass []byte, live int) error {
	p, err := wire.ReadPass(pass)
	if err != nil {
		return fmt.Errorf("the signer's answer: %w", err)
	}
	s.scope = s.decideScope(live)
	if !s.scope.Equal(p.Scope) || !s.scope.Covers(s.first.action) {
		return errkind.New(errkind.Conflict, "what the policy allows changed while this session was being opened").
			WithHint("Open the session again.")
	}
	return nil
}

// covered gives what the session may do, by the pass that it runs under.
func (s *Session) covered() authz.Scope {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.scope
}

// decideScope gives what a session may do that begins now with the program of the first channel; nothing if that is
// refused.
func (s *Session) decideScope(live int) authz.Scope {
	q := authz.Request{Person: s.ask.Person, Device: target(s.ask.Device, s.device), LiveSessions: live, Ticket: s.ask.Ticket}
	_, d := authz.DecideProgram(s.b.cfg.Rules.Snapshot(), q, s.ask.program(), s.b.cfg.Now())
	scope, _ := d.Scope(s.ask.Login)
	return scope
}
