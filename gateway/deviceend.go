package gateway

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/sallyport/sallyport/internal/wire"
	"github.com/sallyport/sallyport/recorder/format"
)

// clockDoubt is how far the device's idea of the time may be from the gateway's. The device counts its doubt against
// the pass, so it may be the first to end a session.
const clockDoubt = time.Minute

// endedByDevice ends the session that the device says it has ended by itself, and puts its word into the record.
func (s *Session) endedByDevice(word string) {
	why := s.deviceEnding(word)
	s.cancel(why)
	if context.Cause(s.ctx) != why {
		return // another channel was told the same, or the gateway was first
	}
	s.lastWord("why the device ended the session", func() error {
		return s.rec.Note(format.Note{Kind: "device", Text: "the device ended the session: " + word})
	})
}

// deviceEnding gives the reason of a session's end by what the device says. The owner's rules are the device's to know.
// For the pass, the gateway's own clock and its own copy decide whether the device's word can be true.
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
