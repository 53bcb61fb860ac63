package supervise

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/internal/agent/state"
	"github.com/sallyport/sallyport/internal/wire"
)

// statusTime is how long a session lives without a fresh status of its device. It counts from when the device sent the
// nonce of the last status, by the device's own clock. So a gateway gains nothing by holding statuses back.
const statusTime = 3 * time.Minute

// emptyTime is how long a session may have no channel. It is longer than any handshake takes.
const emptyTime = time.Minute

// watch ends the session when its pass, its status or the owner's permission has run out, or it is idle or empty.
func (s *session) watch(ctx context.Context) {
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if reason := s.runOut(n%6 == 0); reason != "" {
			s.end(ownEnd(reason))
		}
		if n%10 == 0 {
			s.tree.Reap()
		}
	}
}

// runOut gives the reason why the session must end; empty if there is none. It looks at freeze and owner's rules only
// if owner is set, because they are read from the disk.
func (s *session) runOut(owner bool) string {
	now := s.held.Load()
	low, high := now.clock.Now()
	s.mu.Lock()
	input := s.lastInput
	s.mu.Unlock()
	idle := time.Duration(now.pass.Grant.IdleS) * time.Second
	switch {
	case now.pass.CheckTime(low, high) != nil:
		return wire.EndedGrant
	case s.stale():
		return wire.EndedStatus
	case idle > 0 && time.Since(input) > idle:
		return wire.EndedIdle
	case s.opened.Load() == 0 && state.Boot()-time.Duration(s.emptyAt.Load()) > emptyTime:
		return wire.EndedEmpty
	case s.narrowed(now.pass.Scope):
		return wire.EndedNarrowed
	case owner && s.order.State.Frozen():
		return wire.EndedFrozen
	case owner && !s.stillAllowed():
		return wire.EndedOwner
	}
	return ""
}

// stale reports whether the nonce of the last status was sent too long ago.
func (s *session) stale() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return state.Boot()-s.asked > statusTime
}

// use remembers by what a program is started.
func (s *session) use(a authz.Action) {
	entry := s.under().Scope.EntryFor(a)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used |= a.Kind
	if !slices.Contains(s.usedBy, entry) {
		s.usedBy = append(s.usedBy, entry)
	}
}

// narrowed reports whether a next pass lacks something that was used. As with the owner's rules, that a program has ended
// changes nothing: it may have left others running.
func (s *session) narrowed(scope authz.Scope) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	words := scope.Words()
	return slices.ContainsFunc(s.usedBy, func(entry string) bool { return !slices.Contains(words, entry) })
}

// stillAllowed decides by the owner's rules again, because they may have been narrowed, their hours may have ended,
// or the switch may be off. Every kind of action that was used in the session must still be allowed, even if its
// program has ended, because it may have left others running.
func (s *session) stillAllowed() bool {
	s.mu.Lock()
	used := s.used
	s.mu.Unlock()
	now := s.held.Load()
	for _, k := range carried {
		if used&k != 0 && s.ownerAllows(authz.Action{Kind: k, Arg: now.pass.Grant.Login}, now) != nil {
			return false
		}
	}
	return s.anyAllowed(now) == nil
}

// takeStatus takes a later status of the device. sent is the boot time at which the agent sent its nonce.
func (s *session) takeStatus(signed wire.Signed, sent time.Duration) error {
	st, err := wire.ParseStatus(signed, s.bundle.CAKeys())
	if err != nil {
		bundle, err2 := s.order.State.Bundle() // a session CA may have been added since
		if err2 != nil {
			return err
		}
		if st, err = wire.ParseStatus(signed, bundle.CAKeys()); err != nil {
			return err
		}
	}
	if st.Device != s.keys.FP() {
		return errors.New("status of another device")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if st.Time <= s.lastStatus.Time {
		return fmt.Errorf("an older status")
	}
	s.lastStatus = st
	s.asked = max(s.asked, min(sent, state.Boot()))
	if st.State != wire.StateOK {
		s.end(ownEnd(wire.EndedLocked))
	}
	return nil
}
