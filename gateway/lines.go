package gateway

import (
	"context"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/gateway/sessionline"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/wire"
)

// Order is everything a device needs to agree to a session. The rendezvous adds what belongs to its line: the
// single-use ticket, the status on the device's last nonce, and the host to dial back.
type Order struct {
	Session id.Session
	Device  wire.Hash // fp of the enrolled SSH host key
	Open    wire.Open // Ticket, Host and Status are filled in by the rendezvous
	Login   string
	Signer  ssh.Signer // presents the pass: its public key is the certificate, byte-equal to Open.Pass
	Record  sessionline.Recording
}

// Lines is what the broker needs of the control lines. Package rendezvous implements it.
type Lines interface {
	// Open asks the device and waits until its supervisor has dialled back and proven the enrolled host key.
	// A device that refuses gives an errkind.Denied whose text is the device's own clause; one that is away, Unavailable.
	Open(ctx context.Context, o Order) (*sessionline.Line, error)
	// Renew gives a device the next pass of a session that runs on it, and waits for its word: refused is the device's
	// own refusal, an errkind.Denied. An error says that the device may or may not have taken it, or was never asked.
	// Status is filled in by the rendezvous.
	Renew(ctx context.Context, device wire.Hash, r wire.Renew) (refused, err error)
	// Ack gives the size of the log that the device last accepted; 0 when it is not known.
	Ack(device wire.Hash) uint64
	// Met reports whether the device has had a control line since this process started.
	Met(device wire.Hash) bool
	// End tells the device to end a session now. It does not wait.
	End(device wire.Hash, s id.Session, reason string)
}
