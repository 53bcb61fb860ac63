package bundle

import (
	"fmt"
	"slices"

	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/recorder/ledger"
	"github.com/sallyport/sallyport/recorder/reader"
)

// ProgressOf reads an entry of the log: if it says how far the part was that the entry open announced, it gives the chain's
// state that it names. The gateway asks this of its own log, the verifier of a bundle and of a copy.
func ProgressOf(l ledger.Leaf, body []byte, open uint64, session id.Session, part uint32) (h reader.Head, ok bool, err error) {
	if l.Type != "progress" || !slices.Equal(l.Ref, []uint64{open}) {
		return h, false, nil
	}
	b, err := ledger.ParseProgressBody(body)
	if err != nil {
		return h, false, err
	}
	if b.Open != open || b.Session != session || b.Part != part {
		return h, false, fmt.Errorf("it is of another session or part than the beginning it refers to")
	}
	return reader.Head{Seq: b.Seq, H: b.H}, true, nil
}
