package bundle

import (
	"time"

	"github.com/sallyport/sallyport/recorder/ledger"
)

// fresh is how old the last progress leaf of a session that runs may be: one is written every 5 minutes, if there was anything
// to record.
const fresh = 15 * time.Minute

// times are what a log says of when things were. Its leaves carry no time of their own, what they commit to does; an open leaf
// is as old as what stands before it.
type times struct {
	now    time.Time // of whoever checks
	newest time.Time
	began  map[uint64]time.Time // by open leaf: not before
	behind map[uint64]time.Time // and not after, being the first time behind it
	unseen []uint64             // open leaves that no time stands behind yet
	last   map[uint64]time.Time // progress, by open leaf
}

func newTimes() times {
	return times{now: time.Now(), began: map[uint64]time.Time{}, behind: map[uint64]time.Time{}, last: map[uint64]time.Time{}}
}

// saw takes an entry's time. One that is still to come proves nothing: with it a session could be kept open for ever.
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
	case l.Type == "pass": // the session may run on from here for as long as from its beginning
		t.began[l.Ref[0]], t.behind[l.Ref[0]] = at, at
	}
}

// timeOf reads when an entry was written; 0: it does not say.
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

// couldRun reports whether a session part without an end could still run when the log's newest entry was written: its pass
// could still be good, or it was recording not long before. Where the log says no time it could not. Before a beginning there
// may have been nothing for days, so that progress counts for more than the entry before; but no session outlives its pass,
// and whoever keeps writing progress cannot keep one open. Its end may have been about to be written.
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
