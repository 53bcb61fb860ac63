package ledger

import "github.com/sallyport/sallyport/internal/id"

// ProgressBody says how far a part's recording had come while it still ran: leaf type progress, which refers to the open
// leaf. A recording that was cut later, as if by a crash, contradicts it.
type ProgressBody struct {
	Session id.Session `cbor:"session"`
	Part    uint32     `cbor:"part"`
	Open    uint64     `cbor:"open"` // index of the open leaf
	H       [32]byte   `cbor:"h"`    // the chain's state after chunk seq
	Seq     uint32     `cbor:"seq"`
	AtMS    int64      `cbor:"at_ms"`
}

// Marshal gives the one encoding.
func (b ProgressBody) Marshal() ([]byte, error) { return marshal(b) }

// ParseProgressBody reads it.
func ParseProgressBody(raw []byte) (ProgressBody, error) {
	var b ProgressBody
	return b, unmarshalBody("progress", raw, &b)
}
