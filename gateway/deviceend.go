package gateway

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/sallyport/sallyport/internal/wire"
	"github.com/sallyport/sallyport/recorder/format"
)

// clockDoubt is how far the device's time may differ from the gateway's. The device ends a session at the earliest end
// that its uncertain time allows, so it may end it before the gateway does.
const clockDoubt = time.Minute

// endedByDevice ends the session because the device says that it ended the session by itself. It records the device's
// reason.
func (s *Session) endedByDevice(word string) {
	why := s.deviceEnding(word)
	s.cancel(why)
	if context.Cause(s.ctx) != why {
		return // another channel reported the same, or the gateway ended the session first
	}
	s.lastWord("why the device ended the session", func() error {
		return s.rec.Note(format.Note{Kind: "device", Text: "the device ended the session: " + word})
	})
}

// deviceEnding turns the device's reason into the reason why the session ends. About the owner's rules only the device
// can know. About the pass, the gateway checks the device's claim against its own clock and its own copy of the pass.
func (s *Session) deviceEnding(word string) *ending {
	device := s.ask.Device
	switch pass, raw := s.underPass(); {
	case word == wire.EndedGrant && !s.b.cfg.Now().Before(s.Until().Add(-clockDoubt)):
		return ended(ByGrantEnd, grantIsUp)
	case word == wire.EndedIdle && pass.Grant.IdleS > 0:
		return ended(ByIdle, fmt.Sprintf("nothing was typed for %s", time.Duration(pass.Grant.IdleS)*time.Second))
	case word == wire.EndedNarrowed && !bytes.Equal(raw, s.opened.Pass):
		return ended(ByWithdrawal, "the next pass of this session no longer permits what was started in it")
	case word == wire.EndedFrozen:
		return ended(ByOwner, fmt.Sprintf("%s was frozen by its owner", device))
	case word == wire.EndedOwner:
		return ended(ByOwnersRules, fmt.Sprintf("the rules of the owner of %s no longer allow this session", device))
	}
	return ended(ByDevice, fmt.Sprintf("%s ended the session; it says: %s", device, word))
}
