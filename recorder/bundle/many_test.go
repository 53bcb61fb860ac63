package bundle

import (
	"testing"

	"github.com/sallyport/sallyport/recorder/ledger"
)

// Whoever makes a bundle chooses how many parts and events it has, as far as the limits go. Each part asks for its
// progress among the events; reading all of them for each would let a small file hold up whoever checks it.
func TestManyPartsDoNotReadAllEventsEach(t *testing.T) {
	s := &Source{m: manifest{Events: make([]Entry, maxEvents)}}
	for i := range s.m.Events {
		raw, err := ledger.Leaf{Type: "viewed"}.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		s.m.Events[i] = Entry{Index: uint64(i), Leaf: raw}
	}
	v := &verifier{s: s, r: &Report{}}
	n := uint32(0)
	read := testing.AllocsPerRun(100, func() {
		if heads, err := v.progress(uint64(n), n); err != nil || len(heads) != 0 {
			t.Fatalf("got %v, %v", heads, err)
		}
		n++
	})
	if read > 8 { // a leaf that is read takes more than one
		t.Errorf("%.0f allocations for a part", read)
	}
}
