package wire

import "github.com/sallyport/sallyport/internal/id"

// Renew is the message that brings a running session its next pass (docs/protocol.md, section 9). The session's
// supervisor checks every field, as at the open.
type Renew struct {
	T           string     `json:"t"`
	Session     id.Session `json:"sid"`
	N           uint32     `json:"n"` // number of the pass in its part, from 1, as in the leaf
	Pass        []byte     `json:"pass"`
	Status      Signed     `json:"status"`
	Leaf        []byte     `json:"leaf"`
	Nonce       []byte     `json:"nonce16"`
	Body        []byte     `json:"body"`
	Index       uint64     `json:"index"`
	Proof       []Hash     `json:"proof"`
	Consistency []Hash     `json:"consistency"`
	Checkpoint  []byte     `json:"checkpoint"`
}

// Announcement is a leaf, the nonce and body that it commits to, its index, and the proof that the log has it.
type Announcement struct {
	Leaf, Nonce, Body  []byte
	Index              uint64
	Proof, Consistency []Hash
	Checkpoint         []byte
}

// Announcement gives the announcement of the open leaf.
func (o *Open) Announcement() Announcement {
	return Announcement{o.Leaf, o.Nonce, o.Body, o.Index, o.Proof, o.Consistency, o.Checkpoint}
}

// Prove replaces the proofs, as when the device's log has moved on.
func (o *Open) Prove(a Announcement) {
	o.Proof, o.Consistency, o.Checkpoint = a.Proof, a.Consistency, a.Checkpoint
}

// Announcement gives the announcement of the pass leaf.
func (r *Renew) Announcement() Announcement {
	return Announcement{r.Leaf, r.Nonce, r.Body, r.Index, r.Proof, r.Consistency, r.Checkpoint}
}

// Prove replaces the proofs, as when the device's log has moved on.
func (r *Renew) Prove(a Announcement) {
	r.Proof, r.Consistency, r.Checkpoint = a.Proof, a.Consistency, a.Checkpoint
}
