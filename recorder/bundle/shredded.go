package bundle

import (
	"time"

	"github.com/sallyport/sallyport/recorder/ledger"
)

// shreddingDone reads the body of a shredded leaf. It returns when the recordings were shredded, in Unix
// milliseconds. ok is false if the shredding has only begun or has failed, because it then excuses no missing file.
// ok is also false if the time is in the verifier's future. Such a time could lie after the retention date before
// that date has come.
func shreddingDone(body []byte) (atMS int64, ok bool) {
	b, err := ledger.ParseEventBody(body)
	return b.AtMS, err == nil && b.AtMS > 0 && b.AtMS <= time.Now().Add(time.Minute).UnixMilli() &&
		b.Fields["phase"] == "done"
}

// mayShred reports whether a recording was allowed to be shredded at atMS, in Unix milliseconds, which is so from the
// retention date in its open leaf on. 0 means that no leaf says that it was shredded.
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

// shreddings returns the indices of the events of type shredded, by the leaves that they refer to. It reads all events
// once for all parts, because there may be many of both.
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
