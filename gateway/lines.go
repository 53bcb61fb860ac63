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

// Lines has the operations on control lines that the broker needs. Package rendezvous implements it.
type Lines interface {
	// Open asks the device and waits until its supervisor has dialled back and proven the enrolled host key. If the
	// device refuses, the error is an errkind.Denied with the device's own text. If it is offline, it is an
	// errkind.Unavailable.
	Open(ctx context.Context, o Order) (*sessionline.Line, error)
	// Renew gives a device the next pass of a running session, and waits for its answer. refused is the device's own
	// refusal, an errkind.Denied. After any other error it is unknown whether the device has adopted the pass. The
	// rendezvous fills in Status.
	Renew(ctx context.Context, device wire.Hash, r wire.Renew) (refused, err error)
	// Ack gives the size of the log that the device last accepted; 0 when it is not known.
	Ack(device wire.Hash) uint64
	// Met reports whether the device has had a control line since this process started.
	Met(device wire.Hash) bool
	// End tells the device to end a session now. It does not wait.
	End(device wire.Hash, s id.Session, reason string)
}
