package bundle

import (
	"fmt"
	"testing"

	"github.com/sallyport/sallyport/recorder/format"
	"github.com/sallyport/sallyport/recorder/ledger"
)

// TestALeafOfAnotherFormIsFound: the owner of the log's key can write one.
func TestALeafOfAnotherFormIsFound(t *testing.T) {
	good := ledger.EventBody{By: "olga", AtMS: 1, Fields: map[string]string{"subject": "x"}}
	event := func(body any, refs ...int) func(*forged) {
		return func(f *forged) {
			f.events = []forgedEvent{{"viewed", refs, func(uint64, ledger.OpenBody) any { return body }}}
		}
	}
	type odd struct {
		By     any `cbor:"by"`
		AtMS   any `cbor:"at_ms"`
		Fields any `cbor:"fields"`
	}
	for what, c := range map[string]struct {
		lie    func(*forged)
		bundle string // rule
		leaves bool   // leaves alone show it
	}{
		"a good event":          {event(good, 0), "", false},
		"no body":               {event([]byte{}, 0), RuleLeaf, false},
		"a number for a person": {event(odd{1, 1, map[string]string{}}, 0), RuleLeaf, false},
		"a text for a time":     {event(odd{"", "1", map[string]string{}}, 0), RuleLeaf, false},
		"null fields":           {event(odd{"", 1, nil}, 0), RuleLeaf, false},
		"a list for a field":    {event(odd{"", 1, map[string]any{"a": []string{}}}, 0), RuleLeaf, false},
		"a missing key": {event(struct {
			By string `cbor:"by"`
		}{}, 0), RuleLeaf, false},
		"65 fields":             {event(odd{"", 1, manyFields(65)}, 0), RuleLeaf, false},
		"a reference to itself": {event(good, 0, 1), RuleLeaf, true},
		"a later reference":     {event(good, 0, 2), RuleLeaf, true},
		"itself alone":          {event(good, 1), RuleHistory, true},
		"progress of nothing":   {formless("progress"), RuleHistory, true},
		"a beginning of two parts": {func(f *forged) {
			f.events = []forgedEvent{{"open", []int{0, -1}, func(uint64, ledger.OpenBody) any { return []byte("x") }}}
		}, RuleHistory, true},
		"a pass of nothing": {formless("pass"), RuleHistory, true},
	} {
		h := newHouse(t)
		raw, _ := h.forge(c.lie)
		_, err := check(t, raw, Options{LogKey: h.LogKey})
		_, census := h.census(Options{LogDir: h.LogDir()})
		_, leaves := h.census(Options{LogDir: h.CopyOf(true)})
		if c.bundle == "" {
			if err != nil || census != nil || leaves != nil {
				t.Errorf("%s: got %v, %v, %v", what, err, census, leaves)
			}
			continue
		}
		wantRule(t, what+", in a bundle", err, c.bundle)
		if format.RuleOf(census) == "" {
			t.Errorf("%s, in the log: got %v", what, census)
		}
		if (format.RuleOf(leaves) == "") == c.leaves {
			t.Errorf("%s, in leaves alone: got %v, want a fault %v", what, leaves, c.leaves)
		}
	}
}

func manyFields(n int) map[string]string {
	out := map[string]string{}
	for i := range n {
		out[fmt.Sprint(i)] = ""
	}
	return out
}

// formless adds a leaf without a reference.
func formless(typ string) func(*forged) {
	return func(f *forged) {
		f.events = []forgedEvent{{typ, nil, func(uint64, ledger.OpenBody) any { return []byte("x") }}}
	}
}
