package bundle

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"

	"github.com/sallyport/sallyport/recorder/format"
	"github.com/sallyport/sallyport/recorder/ledger"
)

var b64std = base64.RawStdEncoding

// eventPath names an entry among the events.
func eventPath(i int) string { return fmt.Sprintf("events.%d", i) }

// events checks the other leaves about the session.
func (v *verifier) events(context.Context) error {
	count := map[string]int{}
	var order []string
	for i := range v.s.m.Events {
		e := &v.s.m.Events[i]
		if i > 0 && e.Index <= v.s.m.Events[i-1].Index || v.ends[e.Index] {
			return v.fault(eventPath(i)+".index", RuleLeaf, "event %d: entry %d is out of order or stands there twice", i, e.Index)
		}
		l, err := v.leaf(eventPath(i), "event", e)
		if err != nil {
			return err
		}
		switch l.Type {
		case "open", "close", "interrupted", "pass":
			return v.fault(eventPath(i)+".leaf", RuleLeaf, "event: entry %d is of type %s, which belongs to a part", e.Index, l.Type)
		case "progress":
			if err := v.progressEvent(i, l); err != nil {
				return err
			}
		}
		if err := eventBody(l, e.Body); err != nil {
			return v.fault(eventPath(i)+".body", RuleLeaf, "event: entry %d: %v", e.Index, err)
		}
		if count[l.Type]++; count[l.Type] == 1 {
			order = append(order, l.Type)
		}
	}
	for _, typ := range order {
		v.r.say("A", RuleLeaf, "also in the log: %s, %s", typ, often(count[typ]))
	}
	return nil
}

func often(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

// policy compares the policy's text with the hash in the passes. Between two parts the policy may have changed.
func (v *verifier) policy(context.Context) error {
	if len(v.s.m.Policy) == 0 {
		v.r.say("A", RulePolicy, "the policy's text is not in the bundle; its hash is in the pass")
		return nil
	}
	n, want := 0, policyHash(v.s.m.Policy)
	for _, got := range v.decidedBy {
		if got == want {
			n++
		}
	}
	if n == 0 {
		return v.fault("policy", RulePolicy, "the policy's text gives the hash of no pass in the bundle")
	}
	what := "parts"
	if len(v.decidedBy) > len(v.s.m.Parts) {
		what = "passes"
	}
	v.r.say("A", RulePolicy, "the policy by which %d of %d %s were decided is in the bundle, %d files", n, len(v.decidedBy), what, len(v.s.m.Policy))
	return nil
}

// policyHash is how the product hashes a policy: the texts of its files, each with its length.
func policyHash(texts [][]byte) [32]byte {
	h := sha256.New()
	h.Write([]byte("sallyport/policy/v1\x00"))
	for _, t := range texts {
		n := uint64(len(t))
		h.Write([]byte{byte(n >> 56), byte(n >> 48), byte(n >> 40), byte(n >> 32), byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
		h.Write(t)
	}
	return [32]byte(h.Sum(nil))
}

// kinds names, for the report, the kinds of leaves that a bundle must have. Recordings of version 1 have one pass each.
func (v *verifier) kinds() string {
	for _, p := range v.r.Parts {
		if p.Version >= format.Version2 {
			return "part, pass or end"
		}
	}
	return "part or end"
}

// history checks that the leaves give the checkpoint, and that the bundle has all of them that are about this
// session. It compares the tree with checkpoints that others kept.
func (v *verifier) history(context.Context) error {
	held, err := v.held()
	if err != nil {
		return err
	}
	if v.s.m.History == 0 {
		if len(v.s.m.Peaks) != 0 || v.s.m.HistoryLen != 0 {
			return v.fault("peaks history_bytes", RuleHistory, "subtrees without the leaves that follow them")
		}
		if n := v.cp.Size - v.s.m.Parts[0].Open.Index; n <= alwaysFits { // or a cut session could pass for a running one
			return v.fault("history", RuleHistory, "the log's %d entries since the session began are not in the bundle, and so few have room in every one", n)
		}
		v.r.say("A", RuleHistory, "the log's entries since the session began are not in the bundle: that no %s was left out shows only with --log", v.kinds())
		return v.compare(held, nil)
	}
	first := v.s.m.Parts[0].Open.Index
	if first+v.s.m.History != v.cp.Size {
		return v.fault("history", RuleHistory, "%d leaves from entry %d on do not reach the checkpoint's %d", v.s.m.History, first, v.cp.Size)
	}
	roots := map[uint64][32]byte{}
	for _, h := range held {
		roots[h.Size] = [32]byte{}
	}
	if err := v.replay(first, roots); err != nil {
		return err
	}
	v.r.say("A", RuleHistory, "the log's %d entries since the session began give the same checkpoint; no %s of the session was left out", v.s.m.History, v.kinds())
	return v.compare(held, roots)
}

// replay grows the tree leaf by leaf and notes the roots at the wanted sizes.
func (v *verifier) replay(first uint64, roots map[uint64][32]byte) error {
	f, err := newFrontier(first, v.s.m.Peaks)
	if err != nil {
		return v.fault("peaks", RuleHistory, "%v", err)
	}
	if open := v.s.m.Parts[0].Open; !slices.Equal(v.s.m.Peaks, before(open.Index, v.cp.Size, open.Proof)) {
		return v.fault("peaks", RuleHistory, "they are not the subtrees in the proof of entry %d", open.Index)
	}
	raw, err := v.read(historyName)
	if err != nil {
		return err
	}
	total, proven := len(raw), v.proven()
	bad := func(n int, text string, args ...any) error {
		return &format.Fault{File: v.file(historyName), Offset: int64(total - len(raw)), Length: int64(n), Rule: RuleHistory, Detail: fmt.Sprintf(text, args...)}
	}
	for range v.s.m.History {
		if _, wanted := roots[f.size]; wanted && f.size > 0 {
			roots[f.size] = f.root()
		}
		if len(raw) < 2 || len(raw)-2 < int(raw[0])<<8|int(raw[1]) {
			return bad(len(raw), "the leaf of entry %d is cut off", f.size)
		}
		n := 2 + (int(raw[0])<<8 | int(raw[1]))
		l, err := strict(f.size, raw[2:n])
		if err == nil {
			err = oneRef(l)
		}
		if err != nil {
			return bad(n, "entry %d: %v", f.size, err)
		}
		if e := proven[f.size]; e != nil && !bytes.Equal(e.Leaf, raw[2:n]) {
			return bad(n, "entry %d is another leaf than the one that is proven to stand there", f.size)
		}
		if what := v.leftOut(f.size, l, proven[f.size] != nil); what != "" {
			return bad(n, "entry %d %s, and the bundle lacks it", f.size, what)
		}
		f.add(ledger.LeafHash(raw[2:n]))
		raw = raw[n:]
	}
	if len(raw) != 0 {
		return bad(len(raw), "%d bytes follow the last leaf", len(raw))
	}
	if f.root() != v.cp.Root {
		return &format.Fault{File: v.file(historyName), Length: int64(total), Rule: RuleHistory, Detail: "the leaves do not give the checkpoint's root"}
	}
	return nil
}

// proven lists the bundle's entries, each of which has its own proof.
func (v *verifier) proven() map[uint64]*Entry {
	out := map[uint64]*Entry{}
	for i := range v.s.m.Events {
		out[v.s.m.Events[i].Index] = &v.s.m.Events[i]
	}
	for i := range v.s.m.Parts {
		p := &v.s.m.Parts[i]
		out[p.Open.Index] = &p.Open
		for j := range p.Passes {
			out[p.Passes[j].Leaf.Index] = &p.Passes[j].Leaf
		}
		if p.End != nil {
			out[p.End.Index] = p.End
		}
	}
	return out
}

// leftOut says what a leaf is to this session if the bundle should have it and does not. A part's open leaf refers to
// that of the part before, and an end to its beginning. there reports whether the bundle has a leaf.
func (v *verifier) leftOut(at uint64, l ledger.Leaf, there bool) string {
	if v.ends[at] {
		return ""
	}
	for _, ref := range l.Ref {
		if !v.ends[ref] {
			continue
		}
		switch l.Type {
		case "open":
			return fmt.Sprintf("announced a further part after entry %d", ref)
		case "close", "interrupted":
			return fmt.Sprintf("ended the part that entry %d announced", ref)
		case "pass":
			return fmt.Sprintf("announced a further pass of the part that entry %d announced", ref)
		case "progress":
			if !there {
				return fmt.Sprintf("says how far the part was that entry %d announced", ref)
			}
		}
	}
	return ""
}
