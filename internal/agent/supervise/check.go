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

// check goes through everything that must hold before this device agrees, in the order of the protocol. The first that
// does not refuses, and nothing was dialled or started by then. Rate and freeze come before: the agent asks them before there is a supervisor, and listen asks again about the freeze.
func (s *session) check(k *keeper) *state.Refusal {
	for _, step := range []func(*keeper) *state.Refusal{s.checkPass, s.checkUnused, s.checkStatus, s.checkPassTime, s.checkAnnounced, s.checkHost, s.checkOwner, s.checkLogin} {
		if r := step(k); r != nil {
			return r
		}
	}
	return nil
}

func (s *session) checkPass(*keeper) *state.Refusal {
	var err error
	if s.pass, err = wire.ParsePass(s.open.Pass, s.bundle.CAKeys()); err != nil {
		return state.Refuse(state.ClausePass, "the pass does not hold: %v", err)
	}
	switch {
	case s.pass.Grant.Device != s.keys.FP():
		return state.Refuse(state.ClauseDevice, "the pass is for another machine")
	case s.pass.Grant.Session != s.open.Session:
		return state.Refuse(state.ClausePass, "the pass is for another session")
	case len(s.open.Ticket) != 32:
		return state.Refuse(state.ClausePass, "the ticket is not 32 bytes")
	}
	return nil
}

// checkUnused takes the session id. It is used up from here on, whatever else is found wrong.
func (s *session) checkUnused(k *keeper) *state.Refusal {
	_, r := k.ask(Question{Op: OpSession, Session: s.open.Session, Until: s.pass.Until(), Most: s.pass.Grant.MaxConcurrent})
	return r
}

func (s *session) checkStatus(k *keeper) *state.Refusal {
	st, err := wire.ParseStatus(s.open.Status, s.bundle.CAKeys())
	if err != nil {
		return state.Refuse(state.ClauseStatus, "the status does not hold: %v", err)
	}
	switch {
	case st.Device != s.keys.FP():
		return state.Refuse(state.ClauseStatus, "the status is of another machine")
	case st.State != wire.StateOK:
		return state.Refuse(state.ClauseStatus, "this machine is %s at its gateway", st.State)
	}
	a, r := k.ask(Question{Op: OpNonce, Session: s.open.Session, Nonce: st.Nonce})
	if r != nil {
		return r
	}
	s.clock, s.lastStatus, s.asked = state.NewClock(st, a.Sent), st, state.Boot()
	if s.pass.Grant.Epoch < st.Epoch {
		return state.Refuse(state.ClauseEpoch, "the pass is of epoch %d; the gateway is at %d", s.pass.Grant.Epoch, st.Epoch)
	}
	_, r = k.ask(Question{Op: OpEpoch, Session: s.open.Session, Epoch: st.Epoch, Time: st.Time})
	return r
}

// checkPassTime belongs to the pass, and waits for the status because the device's own clock says nothing.
func (s *session) checkPassTime(*keeper) *state.Refusal {
	if err := s.pass.CheckTime(s.clock.Now()); err != nil {
		return state.Refuse(state.ClausePass, "%v", err)
	}
	return nil
}

// checkAnnounced wants the session in the log that this device follows. The leaf is checked here; the keeper checks
// once more that the head extends what it holds, because two supervisors may have asked at once.
func (s *session) checkAnnounced(k *keeper) *state.Refusal {
	held, r := k.ask(Question{Op: OpHead, Session: s.open.Session})
	if r != nil {
		return r
	}
	head, err := state.Extends(held.Head, s.bundle.Log, s.open.Checkpoint, s.open.Consistency)
	if err != nil {
		return state.Refuse(state.ClauseCheckpoint, "%v", err)
	}
	if err := state.Announced(s.open, s.pass, head); err != nil {
		return state.Refuse(state.ClauseLeaf, "the session was not announced: %v", err)
	}
	_, r = k.ask(Question{Op: OpExtend, Session: s.open.Session, Checkpoint: s.open.Checkpoint, Proof: s.open.Consistency})
	return r
}

func (s *session) checkHost(*keeper) *state.Refusal {
	if !s.bundle.HasHost(s.open.Host) {
		return state.Refuse(state.ClauseHost, "the host to dial is not in the trust bundle")
	}
	return nil
}

// checkOwner asks the owner's rules about the pass, and each channel is asked about again.
func (s *session) checkOwner(*keeper) *state.Refusal {
	var err error
	if s.rules, err = s.order.State.OwnerRules(); err != nil {
		text, _, _ := errkind.ForPeople(err)
		return state.Refuse("owner", "%s", text)
	}
	return s.anyAllowed()
}

// carried are the kinds of action that a channel of this agent can be for. A pass may name more, as its rule does: those
// neither begin a session nor keep it alive.
var carried = []authz.Kind{authz.Shell, authz.Run}

// anyAllowed refuses unless the owner's rules allow a kind of action of the pass that this agent can carry. The rules
// know kinds and logins, and no commands.
func (s *session) anyAllowed() *state.Refusal {
	var first *state.Refusal
	for _, k := range carried {
		if s.pass.Scope.Kinds()&k == 0 {
			continue
		}
		r := s.ownerAllows(authz.Action{Kind: k, Arg: s.pass.Grant.Login})
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

func (s *session) checkLogin(*keeper) *state.Refusal {
	a, err := proc.Lookup(s.pass.Grant.Login, s.order.Fallback)
	if err != nil {
		return state.Refuse(state.ClauseLogin, "%v", err)
	}
	s.account = a
	return nil
}

// ownerAllows decides by the rules as they were when the session began and as they are now, at both ends of what the time
// may be: what is stricter counts, so a change can only narrow a session that runs.
func (s *session) ownerAllows(a authz.Action) *state.Refusal {
	low, high := s.clock.Now()
	d := s.decide(s.rules, a, low).Stricter(s.decide(s.rules, a, high))
	now, err := s.order.State.OwnerRules()
	if err != nil {
		text, _, _ := errkind.ForPeople(err)
		return state.Refuse("owner", "%s", text)
	}
	if now.Hash() != s.rules.Hash() {
		d = d.Stricter(s.decide(now, a, low)).Stricter(s.decide(now, a, high))
	}
	switch d.Answer {
	case authz.OwnerAllows:
		return nil
	case authz.OwnerAsks:
		return state.Refuse(state.ClauseConsent, "%s; this agent cannot ask yet, so it was refused", d.Text)
	}
	return state.Refuse(d.Clause, "%s", d.Text)
}

func (s *session) decide(rules *authz.Owner, a authz.Action, at time.Time) authz.OwnerDecision {
	return rules.Decide(a, s.pass.Grant.Login, at, state.SwitchOn(rules))
}

// choose gives the action by which a program may start as the login of the pass, or why it may not start.
func (s *session) choose(argv []string, terminal bool) (authz.Action, string) {
	p := authz.Program{Login: s.pass.Grant.Login, Argv: argv, Terminal: terminal}
	var why *state.Refusal
	action, ok := authz.ActionFor(p, func(a authz.Action) bool {
		r := s.permits(a)
		if why == nil || why.Clause == state.ClausePass { // the owner's refusal of a command that the pass names is told
			why = r
		}
		return r == nil
	})
	switch {
	case ok:
		return action, ""
	case terminal && len(argv) > 0 && s.pass.Scope.Covers(authz.RunAction(p.Login, argv)):
		return action, "an exact command runs without a terminal"
	}
	return action, why.Text
}

// permits tests one action against the pass and then the owner's rules.
func (s *session) permits(a authz.Action) *state.Refusal {
	if !s.pass.Scope.Covers(a) {
		return state.Refuse(state.ClausePass, "the pass covers %s and not %s", named(s.pass.Scope), a)
	}
	return s.ownerAllows(a)
}

// named lists a scope within a refusal, whose text is bounded.
func named(scope authz.Scope) string {
	words := scope.Words()
	if list := strings.Join(words, ", "); len(list) <= 200 {
		return list
	}
	return fmt.Sprintf("%d actions", len(words))
}
