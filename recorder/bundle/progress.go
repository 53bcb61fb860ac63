package bundle

import (
	"fmt"
	"slices"

	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/recorder/ledger"
	"github.com/sallyport/sallyport/recorder/reader"
)

// ProgressOf reads a progress leaf about the part that the entry open announced, and returns the chain state that it
// names. ok is false if the leaf is not a progress leaf about this part. The gateway uses ProgressOf for its own log,
// and the verifier uses it for a bundle and for a copy of the log.
//
// A leaf is about the part if its references or its body name the open leaf. Such a leaf must have the one form that
// the signer writes. Otherwise a leaf that contradicts the recording would be ignored for one reference too many.
func ProgressOf(l ledger.Leaf, body []byte, open uint64, session id.Session, part uint32) (h reader.Head, ok bool, err error) {
	if l.Type != "progress" {
		return h, false, nil
	}
	b, err := ledger.ParseProgressBody(body)
	refers := slices.Contains(l.Ref, open)
	switch {
	case !refers && (err != nil || b.Open != open): // it is about another part, or names none
		return h, false, nil
	case err != nil:
		return h, false, err
	case !slices.Equal(l.Ref, []uint64{open}):
		return h, false, fmt.Errorf("its references %v are not the open leaf %d alone", l.Ref, open)
	case b.Open != open || b.Session != session || b.Part != part:
		return h, false, fmt.Errorf("it is of another session or part than the beginning it refers to")
	}
	return reader.Head{Seq: b.Seq, H: b.H}, true, nil
}

// progress returns the chain states of a part that progress leaves name. The check of the events also checks that the
// log has these leaves.
func (v *verifier) progress(open uint64, part uint32) ([]reader.Head, error) {
	if v.came == nil {
		v.came = v.progressLeaves()
	}
	var out []reader.Head
	for _, i := range v.came[open] {
		e := &v.s.m.Events[i]
		l, err := ledger.ParseLeaf(e.Leaf)
		if err != nil {
			continue
		}
		h, ok, err := ProgressOf(l, e.Body, open, v.s.m.Session, part)
		if err != nil {
			return nil, v.fault(eventPath(i), RuleLeaf, "the progress in entry %d: %v", e.Index, err)
		}
		if ok {
			out = append(out, h)
		}
	}
	return out, nil
}

// progressLeaves returns the indices of the events that are progress leaves, by each open leaf that they name. It reads
// all events once for all parts, because there may be many of both.
func (v *verifier) progressLeaves() map[uint64][]int {
	out := map[uint64][]int{}
	for i := range v.s.m.Events {
		e := &v.s.m.Events[i]
		l, err := ledger.ParseLeaf(e.Leaf)
		if err != nil || l.Type != "progress" {
			continue
		}
		names := slices.Clone(l.Ref)
		if b, err := ledger.ParseProgressBody(e.Body); err == nil {
			names = append(names, b.Open)
		}
		slices.Sort(names)
		for _, open := range slices.Compact(names) {
			out[open] = append(out[open], i)
		}
	}
	return out
}

// progressEvent checks that a progress leaf among the events is of a part of the session, and stands where the part
// could make progress. The recordings were compared with these leaves before.
func (v *verifier) progressEvent(i int, l ledger.Leaf) error {
	e := &v.s.m.Events[i]
	bad := func(text string, args ...any) error {
		return v.fault(eventPath(i), RuleLeaf, "the progress in entry %d: %s", e.Index, fmt.Sprintf(text, args...))
	}
	n := slices.IndexFunc(v.s.m.Parts, func(p part) bool { return slices.Contains(l.Ref, p.Open.Index) })
	if n < 0 || len(l.Ref) != 1 {
		return bad("its references %v are not the open leaf of one part of this session alone", l.Ref)
	}
	p := &v.s.m.Parts[n]
	if _, _, err := ProgressOf(l, e.Body, p.Open.Index, v.s.m.Session, uint32(n)); err != nil {
		return bad("%v", err)
	}
	if e.Index <= p.Open.Index || p.End != nil && e.Index >= p.End.Index {
		return bad("it is not between the beginning and the end of part %d", n)
	}
	return nil
}
