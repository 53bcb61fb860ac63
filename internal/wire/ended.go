package wire

import (
	"fmt"

	"golang.org/x/crypto/ssh"
)

// EndedRequest is a request on a session channel. By it a device says that it has ended the session by itself, before
// it says how the program ended. Its payload is SessionEnded. It wants no reply (docs/protocol.md, section 10).
const EndedRequest = "ended@sallyport"

// SessionEnded says why the device ended the session: one of the reasons below. A gateway must expect others.
type SessionEnded struct{ Reason string }

// Reasons for which a device ends a session by itself.
const (
	EndedGrant    = "grant ended"        // at the earliest end that the device's uncertain time allows
	EndedStatus   = "no fresh status"    // for too long no status of the device has arrived
	EndedLocked   = "locked"             // the device's status is not ok
	EndedNarrowed = "pass narrowed"      // the next pass lacks an entry by which a program was started
	EndedFrozen   = "owner froze"        // the owner's freeze
	EndedOwner    = "owner's rules"      // they no longer allow the session
	EndedIdle     = "idle"               // nothing was typed for the time that the pass names
	EndedEmpty    = "nothing runs"       // no channel was open for a minute
	EndedStopped  = "supervisor stopped" // by a signal, as when the device shuts down
)

// CutRequest is the request on a session channel by which a device says, before how the program ended, that it cut off
// its output: something that the program left behind still held it. It has no payload and wants no reply.
const CutRequest = "output-cut@sallyport"

// maxEndedReason bounds the reason, in bytes.
const maxEndedReason = 100

// Marshal gives the payload of the request.
func (e SessionEnded) Marshal() []byte { return ssh.Marshal(e) }

// ParseSessionEnded reads the payload of the request. It returns an error if the reason is empty, not plain text or
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
