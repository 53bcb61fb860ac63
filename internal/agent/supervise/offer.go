package supervise

import (
	"time"

	"github.com/sallyport/sallyport/internal/agent/state"
	"github.com/sallyport/sallyport/internal/wire"
)

// held is a session's current pass, with the clock that it was checked by. It is replaced as a whole, so a decision
// never uses a pass with the clock of another one.
type held struct {
	pass  *wire.Pass
	clock state.Clock
	n     uint32 // number of the pass in its part; 0: that of the open
}

// offer is a pass that the gateway sends, at the open or later, while it is checked. The checks of both are here.
type offer struct {
	s      *session
	bundle *wire.Bundle // in force when it came
	raw    []byte       // the pass
	signed wire.Signed  // the status

	held          // as far as it was checked
	status        wire.Status
	announcedWith wire.Announcement
}

// opening is the offer of the session's open.
func (s *session) opening() *offer {
	return &offer{s: s, bundle: s.bundle, raw: s.open.Pass, signed: s.open.Status, announcedWith: s.open.Announcement()}
}

// checkPass requires a valid pass for this session on this device.
func (o *offer) checkPass(*keeper) *state.Refusal {
	var err error
	if o.pass, err = wire.ParsePass(o.raw, o.bundle.CAKeys()); err != nil {
		return state.Refuse(state.ClausePass, "the pass does not hold: %v", err)
	}
	switch {
	case o.pass.Grant.Device != o.s.keys.FP():
		return state.Refuse(state.ClauseDevice, "the pass is for another machine")
	case o.pass.Grant.Session != o.s.open.Session:
		return state.Refuse(state.ClausePass, "the pass is for another session")
	}
	return nil
}

func (o *offer) checkStatus(k *keeper) *state.Refusal {
	st, err := wire.ParseStatus(o.signed, o.bundle.CAKeys())
	if err != nil {
		return state.Refuse(state.ClauseStatus, "the status does not hold: %v", err)
	}
	switch {
	case st.Device != o.s.keys.FP():
		return state.Refuse(state.ClauseStatus, "the status is of another machine")
	case st.State != wire.StateOK:
		return state.Refuse(state.ClauseStatus, "this machine is %s at its gateway", st.State)
	}
	a, r := k.ask(Question{Op: OpNonce, Session: o.s.open.Session, Nonce: st.Nonce})
	if r != nil {
		return r
	}
	o.status, o.clock = st, state.NewClock(st, a.Sent)
	if o.pass.Grant.Epoch < st.Epoch {
		return state.Refuse(state.ClauseEpoch, "the pass is of epoch %d; the gateway is at %d", o.pass.Grant.Epoch, st.Epoch)
	}
	_, r = k.ask(Question{Op: OpEpoch, Session: o.s.open.Session, Epoch: st.Epoch, Time: st.Time})
	return r
}

// checkTime checks the pass's window. It comes after the status, because the device's own clock proves nothing.
func (o *offer) checkTime(*keeper) *state.Refusal {
	if err := o.pass.CheckTime(o.clock.Now()); err != nil {
		return state.Refuse(state.ClausePass, "%v", err)
	}
	return nil
}

// checkAnnounced requires that the log which this device follows has the pass. The leaf is checked here. The keeper
// checks again that the head extends the one that it holds, because two supervisors may have asked at once.
func (o *offer) checkAnnounced(k *keeper, announced func(wire.TreeHead) error) *state.Refusal {
	held, r := k.ask(Question{Op: OpHead, Session: o.s.open.Session})
	if r != nil {
		return r
	}
	a := o.announcedWith
	head, err := state.Extends(held.Head, o.bundle.Log, a.Checkpoint, a.Consistency)
	if err != nil {
		return state.Refuse(state.ClauseCheckpoint, "%v", err)
	}
	if err := announced(head); err != nil {
		return state.Refuse(state.ClauseLeaf, "the pass was not announced: %v", err)
	}
	_, r = k.ask(Question{Op: OpExtend, Session: o.s.open.Session, Checkpoint: a.Checkpoint, Proof: a.Consistency})
	return r
}

// checkOwner decides by the owner's rules whether the session may start. Each channel is decided again.
func (o *offer) checkOwner(*keeper) *state.Refusal { return o.s.anyAllowed(&o.held) }

// adopt makes the offer the session's current pass, in one step. It reports false if the session has ended.
func (s *session) adopt(o *offer) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil {
		return false
	}
	if o.status.Time > s.lastStatus.Time {
		s.lastStatus, s.asked = o.status, max(s.asked, min(o.clock.Sent, state.Boot()))
	}
	s.keysUsed = append(s.keysUsed, o.pass.Cert.Key.Marshal())
	s.held.Store(&o.held)
	return true
}

// under gives the session's current pass.
func (s *session) under() *wire.Pass { return s.held.Load().pass }

func (s *session) time() (low, high time.Time) { return s.held.Load().clock.Now() }
