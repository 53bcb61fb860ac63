package supervise

import (
	"bytes"
	"log/slog"
	"slices"

	"github.com/sallyport/sallyport/internal/agent/state"
	"github.com/sallyport/sallyport/internal/wire"
)

// renew decides on the next pass of this session and answers the gateway. The agent hands over the message unchanged.
// Everything is checked as at the open. If the pass is refused, nothing changes.
func (s *session) renew(k *keeper, raw []byte) {
	s.renewing.Lock()
	defer s.renewing.Unlock()
	m, err := wire.Decode[wire.Renew](raw)
	r := state.Refuse(state.ClausePass, "the message cannot be read")
	if err == nil && len(raw) <= wire.MaxControl {
		r = s.checkRenewal(k, &m)
	}
	if r != nil {
		refuse(k, s.open.Session, m.N, r)
		return
	}
	s.log.Info("the session runs under its next pass", slog.Uint64("n", uint64(m.N)), slog.Time("until", s.under().Until()))
	k.ask(Question{Op: OpAccepted, Session: s.open.Session, N: m.N})
}

// checkRenewal adopts the pass if all checks hold, in the order of docs/protocol.md, section 9. It accepts the current
// pass again, because the answer to it may have been lost.
func (s *session) checkRenewal(k *keeper, m *wire.Renew) *state.Refusal {
	bundle, err := s.order.State.Bundle() // keys may have been added since the open
	if err != nil {
		s.log.Error("the state directory cannot be read", slogError(err))
		return state.Refuse(state.ClauseFault, "this machine's state directory cannot be read")
	}
	before := s.held.Load()
	o := &offer{s: s, bundle: bundle, raw: m.Pass, signed: m.Status, announcedWith: m.Announcement()}
	o.n = m.N
	if r := o.checkPass(k); r != nil {
		return r
	}
	if o.n == before.n && o.n > 0 && o.pass.Hash == before.pass.Hash {
		return nil
	}
	for _, step := range []func(*keeper) *state.Refusal{
		func(*keeper) *state.Refusal { return o.checkFollows(before) },
		o.checkStatus, o.checkTime,
		func(k *keeper) *state.Refusal {
			return o.checkAnnounced(k, func(head wire.TreeHead) error {
				return state.NextAnnounced(s.open, m, o.pass, before.pass, head)
			})
		},
		o.checkOwner, o.keepSession, s.checkThawed,
	} {
		if r := step(k); r != nil {
			return r
		}
	}
	if !s.adopt(o) {
		return ended()
	}
	return nil
}

// checkFollows requires a next pass of this very session: for the same person, device and login, not wider, and with a
// key that none of its passes had.
func (o *offer) checkFollows(before *held) *state.Refusal {
	if o.s.ctx.Err() != nil {
		return ended()
	}
	if o.n <= before.n {
		return state.Refuse(state.ClausePass, "the session runs under pass %d, and this is pass %d", before.n, o.n)
	}
	if err := o.pass.Follows(before.pass); err != nil {
		return state.Refuse(state.ClausePass, "no next pass of this session: %v", err)
	}
	o.s.mu.Lock()
	defer o.s.mu.Unlock()
	if key := o.pass.Cert.Key.Marshal(); slices.ContainsFunc(o.s.keysUsed, func(old []byte) bool { return bytes.Equal(old, key) }) {
		return state.Refuse(state.ClausePass, "no next pass of this session: an earlier pass had its key")
	}
	return nil
}

// keepSession makes the device remember until the new pass ends that the session id is used.
func (o *offer) keepSession(k *keeper) *state.Refusal {
	_, r := k.ask(Question{Op: OpKeep, Session: o.s.open.Session, Until: o.pass.Until()})
	return r
}

// checkThawed checks the freeze again, because the owner may have frozen the device since the agent looked.
func (s *session) checkThawed(*keeper) *state.Refusal {
	if s.order.State.Frozen() {
		return state.FrozenRefusal()
	}
	return nil
}

func ended() *state.Refusal {
	return state.Refuse(state.ClauseSession, "the session has ended on this machine")
}
