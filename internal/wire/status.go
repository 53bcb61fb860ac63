package wire

import (
	"encoding/json"
	"fmt"

	"golang.org/x/crypto/ssh"
)

// States a status can give a device. Frozen is not among them: freezing is the device's own.
const (
	StateWaiting = "waiting"
	StateOK      = "ok"
	StateLocked  = "locked"
	StateRevoked = "revoked"
)

// Status is the signer's word on a device, fresh because it answers the device's own nonce. It
// gives a device without a clock the time and everybody quick revocation.
type Status struct {
	Nonce  []byte `json:"n"`
	Device Hash   `json:"dev"`
	Time   int64  `json:"t"` // Unix milliseconds
	Epoch  uint64 `json:"epoch"`
	Bundle uint64 `json:"bundle"` // newest bundle serial
	State  string `json:"state"`
}

// Sign makes the signed form with the session CA.
func (s Status) Sign(ca ssh.Signer) (Signed, error) {
	body, err := json.Marshal(s)
	if err != nil {
		return Signed{}, fmt.Errorf("status: %w", err)
	}
	return Make(ca, PurposeStatus, body)
}

// ParseStatus checks the signature under one of the bundle's session CAs and reads the status.
func ParseStatus(s Signed, ca []ssh.PublicKey) (Status, error) {
	var st Status
	if len(s.Body) > 1024 {
		return st, fmt.Errorf("status: longer than 1024 bytes")
	}
	if err := s.CheckAny(ca, PurposeStatus); err != nil {
		return st, fmt.Errorf("status: %w", err)
	}
	if err := SignedJSON(s.Body, &st); err != nil {
		return st, fmt.Errorf("status: %w", err)
	}
	switch st.State {
	case StateWaiting, StateOK, StateLocked, StateRevoked:
	default:
		return st, fmt.Errorf("status: state %.20q is not known here", st.State)
	}
	if len(st.Nonce) < 16 || len(st.Nonce) > 32 {
		return st, fmt.Errorf("status: want a nonce of 16 to 32 bytes")
	}
	return st, nil
}
