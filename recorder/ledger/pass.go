package ledger

import "github.com/sallyport/sallyport/internal/id"

// PassBody announces a further pass of a part that runs: leaf type pass, which refers to the open leaf. The open leaf
// itself announces the first one.
type PassBody struct {
	Session id.Session `cbor:"session"`
	Part    uint32     `cbor:"part"`
	Open    uint64     `cbor:"open"` // index of the open leaf
	N       uint32     `cbor:"n"`    // number of the pass in its part: 1, 2, …
	Pass    [32]byte   `cbor:"pass"` // H(pass)
	Prev    [32]byte   `cbor:"prev"` // H of the pass that the session runs under before
	AtMS    int64      `cbor:"at_ms"`
}

// MaxPasses is how many further passes a part has at most, so that a verifier can bound what it reads.
const MaxPasses = 256

// Marshal gives the one encoding.
func (b PassBody) Marshal() ([]byte, error) { return marshal(b) }

// ParsePassBody reads it.
func ParsePassBody(raw []byte) (PassBody, error) {
	var b PassBody
	return b, unmarshalBody("pass", raw, &b)
}
