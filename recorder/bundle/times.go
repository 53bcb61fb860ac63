package bundle

import (
	"time"

	"github.com/sallyport/sallyport/recorder/ledger"
)

// fresh is how old the last progress leaf of a running session may be. One is written every 5 minutes if anything was
// recorded.
const fresh = 15 * time.Minute

// times collects the times that a log claims. A leaf has no time of its own, but the body that it commits to may have
// one. An open leaf is dated by the entries around it.
type times struct {
	now    time.Time // of the verifier
	newest time.Time
	began  map[uint64]time.Time // by open leaf: it was written no earlier
	behind map[uint64]time.Time // by open leaf: it was written no later, as the first time after it says
	unseen []uint64             // open leaves that are not followed by a time yet
	last   map[uint64]time.Time // progress, by open leaf
}

func newTimes() times {
	return times{now: time.Now(), began: map[uint64]time.Time{}, behind: map[uint64]time.Time{}, last: map[uint64]time.Time{}}
}

// saw takes an entry's time. It ignores a time in the future, which could keep a session open forever.
func (t *times) saw(i uint64, l ledger.Leaf, body []byte) {
	if l.Type == "open" {
		t.began[i], t.unseen = t.newest, append(t.unseen, i)
		return
	}
	ms := timeOf(l.Type, body)
	at := time.UnixMilli(ms)
	if ms <= 0 || at.After(t.now.Add(time.Minute)) {
		return
	}
	if at.After(t.newest) {
		t.newest = at
	}
	for _, open := range t.unseen {
		t.behind[open] = t.newest
	}
	t.unseen = nil
	switch {
	case len(l.Ref) != 1:
	case l.Type == "progress":
		t.last[l.Ref[0]] = at
	case l.Type == "pass": // from here the session may run for as long as from its beginning
		t.began[l.Ref[0]], t.behind[l.Ref[0]] = at, at
	}
}

// timeOf reads the time in the body of an entry, in Unix milliseconds; 0 if it has none.
func timeOf(typ string, body []byte) int64 {
	switch typ {
	case "close", "interrupted":
		b, _ := ledger.ParseCloseBody(body)
		return b.AtMS
	case "progress":
		b, _ := ledger.ParseProgressBody(body)
		return b.AtMS
	case "pass":
		b, _ := ledger.ParsePassBody(body)
		return b.AtMS
	}
	b, _ := ledger.ParseEventBody(body)
	return b.AtMS
}

// couldRun reports whether a session part without an end could still run when the log's newest entry was written. Its
// pass must still be valid, or it must have made progress shortly before. If the log has no time, it could not run.
// Nothing may have been logged for days before a beginning, so progress counts for more than the entry before. But no
// session outlives its pass, so an attacker cannot keep one open by writing progress. The end of a part may have been
// about to be written.
func (t *times) couldRun(open uint64) bool {
	if began := t.began[open]; !began.IsZero() && t.newest.Sub(began) <= longest*time.Second {
		return true
	}
	last, ok := t.last[open]
	return ok && t.newest.Sub(last) <= fresh && t.newest.Sub(t.behind[open]) <= longest*time.Second+fresh
}

func (t *times) cannotRun() string {
	if t.newest.IsZero() {
		return "the copy does not say when anything was"
	}
	return "at the log's newest entry, of " + t.newest.UTC().Format(time.RFC3339) + ", it can no longer have run"
}
