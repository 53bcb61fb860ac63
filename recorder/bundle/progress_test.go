package bundle

import (
	"strings"
	"testing"

	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/signer"
	"github.com/sallyport/sallyport/recorder"
	"github.com/sallyport/sallyport/recorder/format"
	"github.com/sallyport/sallyport/recorder/ledger"
)

// announced makes a house whose recordings are announced midway, as change says.
func announced(t *testing.T, change func(*ledger.ProgressBody)) (*house, []byte) {
	t.Helper()
	h := newHouse(t)
	h.Midway = func(sid id.Session, part uint32, open uint64, rec recorder.Recording) {
		p := rec.Progress()
		b := ledger.ProgressBody{Session: sid, Part: part, Open: open, H: p.HFinal, Seq: p.Seq, AtMS: 1}
		change(&b)
		body := must(b.Marshal())(t)
		must(h.Signer.Append(t.Context(), signer.AppendRequest{Type: "progress", Ref: []uint64{open}, Body: body}))(t)
	}
	return h, h.export(h.Run([]byte("hello\n"), 1))
}

func TestARecordingGoesThroughWhatItsProgressSaid(t *testing.T) {
	h, raw := announced(t, func(*ledger.ProgressBody) {})
	r, err := check(t, raw, Options{LogKey: h.LogKey})
	if err != nil || !strings.Contains(text(r), "1 chain states named by progress leaves hold") {
		t.Errorf("got %v\n%s", err, text(r))
	}
	if rep, err := h.census(Options{LogDir: h.LogDir(), RecordingsDir: h.Recordings()}); err != nil {
		t.Errorf("census: %v\n%s", err, text(rep))
	}
	for what, change := range map[string]func(*ledger.ProgressBody){
		"another state":            func(b *ledger.ProgressBody) { b.H[0] ^= 1 },
		"further than it ever was": func(b *ledger.ProgressBody) { b.Seq += 100 },
	} {
		h, raw := announced(t, change)
		_, err := check(t, raw, Options{LogKey: h.LogKey})
		wantRule(t, what, err, format.RuleHead)
		_, err = h.census(Options{LogDir: h.LogDir(), RecordingsDir: h.Recordings()})
		wantRule(t, what+" in a census", err, format.RuleHead)
	}
}

func TestAProgressThatWasLeftOutIsFound(t *testing.T) {
	h, raw := announced(t, func(*ledger.ProgressBody) {})
	bad := forge(t, raw, func(m *manifest, _ map[string][]byte) {
		m.Events = without(m.Events, "progress")
	})
	_, err := check(t, bad, Options{LogKey: h.LogKey})
	wantRule(t, "left out", err, RuleHistory)
}

func without(events []Entry, typ string) []Entry {
	var out []Entry
	for _, e := range events {
		if l, err := ledger.ParseLeaf(e.Leaf); err != nil || l.Type != typ {
			out = append(out, e)
		}
	}
	return out
}
