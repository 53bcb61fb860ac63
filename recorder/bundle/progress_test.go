package bundle

import (
	"strings"
	"testing"

	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/signer"
	"github.com/sallyport/sallyport/recorder"
	"github.com/sallyport/sallyport/recorder/bundle/bundletest"
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

// TestAProgressOfAnotherFormIsNotIgnored: the owner of the log's key can write a leaf that contradicts the recording,
// in a form that the signer never writes.
func TestAProgressOfAnotherFormIsNotIgnored(t *testing.T) {
	for what, c := range map[string]struct {
		refs   func(open uint64) []uint64
		change func(b *ledger.ProgressBody)
		after  bool // the end of the part
	}{
		"a second reference":           {refs: func(open uint64) []uint64 { return []uint64{open, 0} }},
		"another reference first":      {refs: func(open uint64) []uint64 { return []uint64{0, open} }},
		"the open leaf twice":          {refs: func(open uint64) []uint64 { return []uint64{open, open} }},
		"a body of another beginning":  {change: func(b *ledger.ProgressBody) { b.Open-- }},
		"a body of another session":    {change: func(b *ledger.ProgressBody) { b.Session[0] ^= 1 }},
		"a body of another part":       {change: func(b *ledger.ProgressBody) { b.Part++ }},
		"progress after the part ends": {after: true},
	} {
		h := newHouse(t)
		ran := bundletest.Ran{SID: id.NewSession()}
		rec := must(h.Node.Create(t.Context(), recorder.PartConfig{Session: ran.SID,
			DeviceFP: [32]byte(sha(h.Host.Marshal()))}))(t)
		o := h.Open(ran, rec, 0)
		h.Start(rec)
		b := ledger.ProgressBody{Session: ran.SID, Open: o.Index, H: [32]byte{1}, Seq: 1, AtMS: 1}
		refs := []uint64{o.Index}
		if c.refs != nil {
			refs = c.refs(o.Index)
		}
		if c.change != nil {
			c.change(&b)
		}
		end := func() *uint64 { _, end := h.End(ran.SID, 0, o.Index, rec); return end }
		var at *uint64
		if c.after {
			p := rec.Progress()
			b.H, b.Seq = p.HFinal, p.Seq
			at = end()
		}
		h.Lie("progress", must(b.Marshal())(t), refs...)
		h.Reopen()
		if !c.after {
			at = end()
		}
		ran.Parts = []bundletest.Part{{Open: o.Index, End: at, Pass: o.Pass, Started: rec.Started()}}
		_, err := check(t, h.export(ran), Options{LogKey: h.LogKey})
		wantRule(t, what, err, RuleLeaf)
		_, err = h.census(Options{LogDir: h.LogDir(), RecordingsDir: h.Recordings()})
		wantRule(t, what+" in a census", err, RuleLeaf)
		if c.change == nil {
			_, err = h.census(Options{LogDir: h.CopyOf(true)})
			wantRule(t, what+" in leaves alone", err, RuleLeaf)
		}
	}
}
