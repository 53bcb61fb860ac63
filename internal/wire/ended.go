package wire

import (
	"fmt"

	"golang.org/x/crypto/ssh"
)

// EndedRequest is the request on a session channel by which a device says, before how the program ended, that it has
// ended the session by itself. Its payload is SessionEnded. It wants no reply.
const EndedRequest = "ended@sallyport"

// SessionEnded says why the device ended the session: one of the words below. A gateway must expect others.
type SessionEnded struct{ Reason string }

// Reasons for which a device ends a session by itself.
const (
	EndedGrant    = "grant ended"        // by the device's clock, which counts its doubt against the pass
	EndedStatus   = "no fresh status"    // the gateway has not said for too long that the device may go on
	EndedLocked   = "locked"             // the gateway's status says so
	EndedNarrowed = "pass narrowed"      // the next pass lacks an action by which a program was started
	EndedFrozen   = "owner froze"        // the owner's freeze
	EndedOwner    = "owner's rules"      // they no longer allow the session
	EndedIdle     = "idle"               // nothing was typed for the time that the pass names
	EndedEmpty    = "nothing runs"       // no channel was open for a minute
	EndedStopped  = "supervisor stopped" // the device shuts down
)

// maxEndedReason bounds the word, in bytes.
const maxEndedReason = 100

// Marshal gives the payload of the request.
func (e SessionEnded) Marshal() []byte { return ssh.Marshal(e) }

// ParseSessionEnded reads the payload of the request. It returns an error if the word is empty, not plain text or
// longer than 100 bytes.
func ParseSessionEnded(payload []byte) (SessionEnded, error) {
	var e SessionEnded
	if err := ssh.Unmarshal(payload, &e); err != nil {
		return SessionEnded{}, fmt.Errorf("%s: %w", EndedRequest, err)
	}
	if e.Reason == "" || !PlainText(e.Reason, maxEndedReason) {
		return SessionEnded{}, fmt.Errorf("%s: the reason is not plain text of 1 to %d bytes", EndedRequest, maxEndedReason)
	}
	return e, nil
}
