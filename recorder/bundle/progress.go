package bundle

import (
	"fmt"
	"slices"

	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/recorder/ledger"
	"github.com/sallyport/sallyport/recorder/reader"
)

// ProgressOf reads a progress leaf about the part that the entry open announced, and gives the chain state that it
// names. The gateway uses it for its own log, and the verifier for a bundle and for a copy of the log.
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
