package bundle

import (
	"time"

	"github.com/sallyport/sallyport/recorder/ledger"
)

// shreddingDone reads the body of a shredded leaf: when the recordings were shredded, in Unix milliseconds. ok is false
// if they were not, or not yet: an act that has begun or that failed excuses no missing file, and neither does a time
// that is still to come for the verifier. With such a time, a date that a beginning promised would be over early.
func shreddingDone(body []byte) (atMS int64, ok bool) {
	b, err := ledger.ParseEventBody(body)
	return b.AtMS, err == nil && b.AtMS > 0 && b.AtMS <= time.Now().Add(time.Minute).UnixMilli() &&
		b.Fields["phase"] == "done"
}

// mayShred reports whether a recording may have been shredded at atMS, in Unix milliseconds: not before the retention
// date that its open leaf promised. 0 means that no leaf says that it was shredded.
func mayShred(open ledger.OpenBody, atMS int64) bool {
	return atMS > 0 && atMS/1000 >= open.RetainUntil
}

// shredded finds the event that says that a part was shredded after its time.
func (v *verifier) shredded(p *part, open ledger.OpenBody) (uint64, bool) {
	if v.gone == nil {
		v.gone = v.shreddings()
	}
	for _, i := range v.gone[p.Open.Index] {
		e := &v.s.m.Events[i]
		at, ok := shreddingDone(e.Body)
		if _, err := v.leaf(eventPath(i), "shredded", e); err == nil && ok && mayShred(open, at) {
			return e.Index, true
		}
	}
	return 0, false
}

// shreddings gives the events of type shredded by the leaves that they refer to. There may be many parts and many
// events, so all are read only once.
func (v *verifier) shreddings() map[uint64][]int {
	out := map[uint64][]int{}
	for i := range v.s.m.Events {
		l, err := ledger.ParseLeaf(v.s.m.Events[i].Leaf)
		if err != nil || l.Type != "shredded" {
			continue
		}
		for _, r := range l.Ref {
			out[r] = append(out[r], i)
		}
	}
	return out
}
