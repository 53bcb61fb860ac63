package bundle

import (
	"testing"
	"time"

	"github.com/sallyport/sallyport/recorder/ledger"
)

// Whoever makes a bundle chooses how many parts and events it has, as far as the limits go. Each part asks for its progress among the
// events; reading all of them for each would let a small file hold up whoever checks it.
func TestManyPartsDoNotReadAllEventsEach(t *testing.T) {
	s := &Source{m: manifest{Events: make([]Entry, maxEvents)}}
	for i := range s.m.Events {
		raw, err := ledger.Leaf{Type: "viewed"}.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		s.m.Events[i] = Entry{Index: uint64(i), Leaf: raw}
	}
	v, began := &verifier{s: s, r: &Report{}}, time.Now()
	for n := range uint32(maxParts) {
		if heads, err := v.progress(uint64(n), n); err != nil || len(heads) != 0 {
			t.Fatalf("got %v, %v", heads, err)
		}
		if time.Since(began) > 5*time.Second {
			t.Fatalf("%d parts took %s", n, time.Since(began))
		}
	}
}
