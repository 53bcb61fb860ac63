package supervise

import (
	"fmt"
	"strings"
	"time"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/internal/agent/proc"
	"github.com/sallyport/sallyport/internal/agent/state"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/wire"
)

// check tests everything that must hold before this device agrees, in the order of docs/protocol.md, section 8. It
// returns the refusal of the first check that fails, and nil if all hold. Nothing is dialled or started before. The
// agent checks rate and freeze before it starts a supervisor, and listen checks the freeze again.
func (s *session) check(k *keeper) *state.Refusal {
	o := s.opening()
	announced := func(k *keeper) *state.Refusal {
		return o.checkAnnounced(k, func(head wire.TreeHead) error { return state.Announced(s.open, o.pass, head) })
	}
	unused := func(k *keeper) *state.Refusal { return s.checkUnused(k, o.pass) }
	login := func(*keeper) *state.Refusal { return s.checkLogin(o.pass) }
	s.asked = state.Boot()
	for _, step := range []func(*keeper) *state.Refusal{o.checkPass, s.checkTicket, unused, o.checkStatus, o.checkTime, announced,
		s.checkHost, s.readRules, o.checkOwner, login} {
		if r := step(k); r != nil {
			return r
		}
	}
	s.adopt(o)
	return nil
}

func (s *session) checkTicket(*keeper) *state.Refusal {
	if len(s.open.Ticket) != 32 {
		return state.Refuse(state.ClausePass, "the ticket is not 32 bytes")
	}
	return nil
}

// checkUnused takes the session id. From here on it is used, even if a later check fails.
func (s *session) checkUnused(k *keeper, pass *wire.Pass) *state.Refusal {
	_, r := k.ask(Question{Op: OpSession, Session: s.open.Session, Until: pass.Until(), Most: pass.Grant.MaxConcurrent})
	return r
}

func (s *session) checkHost(*keeper) *state.Refusal {
	if !s.bundle.HasHost(s.open.Host) {
		return state.Refuse(state.ClauseHost, "the host to dial is not in the trust bundle")
	}
	return nil
}

// readRules reads the owner's rules as they are when the session begins.
func (s *session) readRules(*keeper) *state.Refusal {
	var err error
	if s.rules, err = s.order.State.OwnerRules(); err != nil {
		text, _, _ := errkind.ForPeople(err)
		return state.Refuse("owner", "%s", text)
	}
	return nil
}

// carried are the kinds of action for which this agent opens channels. A pass may name more kinds, because its rule
// does. Those cannot start a session or keep it alive.
var carried = []authz.Kind{authz.Shell, authz.Run}

// anyAllowed refuses unless the owner's rules allow a kind of action that the pass names and this agent offers. It
// tests kinds only, because the owner's rules know kinds and logins and no commands.
func (s *session) anyAllowed(by *held) *state.Refusal {
	var first *state.Refusal
	for _, k := range carried {
		if by.pass.Scope.Kinds()&k == 0 {
			continue
		}
		r := s.ownerAllows(authz.Action{Kind: k, Arg: by.pass.Grant.Login}, by)
		if r == nil {
			return nil
		}
		if first == nil {
			first = r
		}
	}
	if first == nil {
		first = state.Refuse(state.ClausePass, "the pass names neither a shell nor a command, and this version of the agent offers nothing else")
	}
	return first
}

func (s *session) checkLogin(pass *wire.Pass) *state.Refusal {
	a, err := proc.Lookup(pass.Grant.Login, s.order.Fallback)
	if err != nil {
		return state.Refuse(state.ClauseLogin, "%v", err)
	}
	s.account = a
	return nil
}

// ownerAllows decides by the rules from the start of the session and by the current ones, at both ends of what the time
// may be. The strictest answer counts, so a change of the rules can only narrow a running session.
func (s *session) ownerAllows(a authz.Action, by *held) *state.Refusal {
	low, high := by.clock.Now()
	login := by.pass.Grant.Login
	d := decide(s.rules, a, login, low).Stricter(decide(s.rules, a, login, high))
	now, err := s.order.State.OwnerRules()
	if err != nil {
		text, _, _ := errkind.ForPeople(err)
		return state.Refuse("owner", "%s", text)
	}
	if now.Hash() != s.rules.Hash() {
		d = d.Stricter(decide(now, a, login, low)).Stricter(decide(now, a, login, high))
	}
	switch d.Answer {
	case authz.OwnerAllows:
		return nil
	case authz.OwnerAsks:
		return state.Refuse(state.ClauseConsent, "%s; this agent cannot ask yet, so it was refused", d.Text)
	}
	return state.Refuse(d.Clause, "%s", d.Text)
}

func decide(rules *authz.Owner, a authz.Action, login string, at time.Time) authz.OwnerDecision {
	return rules.Decide(a, login, at, state.SwitchOn(rules))
}

// choose gives the action by which a program may start as the login of the pass, or why it may not start.
func (s *session) choose(argv []string, terminal bool) (authz.Action, string) {
	now := s.held.Load()
	p := authz.Program{Login: now.pass.Grant.Login, Argv: argv, Terminal: terminal}
	var why *state.Refusal
	action, ok := authz.ActionFor(p, func(a authz.Action) bool {
		r := s.permits(a, now)
		if why == nil || why.Clause == state.ClausePass { // an owner's refusal says more than the pass's
			why = r
		}
		return r == nil
	})
	switch {
	case ok:
		return action, ""
	case terminal && len(argv) > 0 && now.pass.Scope.Covers(authz.RunAction(p.Login, argv)):
		return action, "an exact command runs without a terminal"
	}
	return action, why.Text
}

// permits tests one action against the pass and then against the owner's rules; nil if both allow it.
func (s *session) permits(a authz.Action, now *held) *state.Refusal {
	if !now.pass.Scope.Covers(a) {
		return state.Refuse(state.ClausePass, "the pass covers %s and not %s", named(now.pass.Scope), a)
	}
	return s.ownerAllows(a, now)
}

// named lists a scope for the text of a refusal, which is bounded.
func named(scope authz.Scope) string {
	words := scope.Words()
	if list := strings.Join(words, ", "); len(list) <= 200 {
		return list
	}
	return fmt.Sprintf("%d actions", len(words))
}
