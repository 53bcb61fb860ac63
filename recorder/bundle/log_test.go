package bundle

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/signer"
	"github.com/sallyport/sallyport/recorder"
	"github.com/sallyport/sallyport/recorder/bundle/bundletest"
	"github.com/sallyport/sallyport/recorder/format"
	"github.com/sallyport/sallyport/recorder/ledger"
)

func sha(b []byte) []byte {
	h := sha256.Sum256(b)
	return h[:]
}

func (h *house) census(opt Options) (*Report, error) {
	h.t.Helper()
	opt.LogKey = h.LogKey
	return Verify(h.t.Context(), nil, opt)
}

func TestEveryEndHasItsFileAndEveryBeginningItsEnd(t *testing.T) {
	h := newHouse(t)
	held := h.Head()
	r := h.Run([]byte("hello\n"), 2)
	h.Run([]byte("again\n"), 1)
	opt := Options{LogDir: h.CopyOf(false), RecordingsDir: h.Recordings(), Checkpoints: [][]byte{held}}
	rep, err := h.census(opt)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"3 session parts in the log, each with exactly one end", "3 recordings are there",
		"extends checkpoint 1 of 4"} {
		if !strings.Contains(text(rep), want) {
			t.Errorf("the report does not say %q:\n%s", want, text(rep))
		}
	}
	path := h.Find(format.FileName(r.SID, 1))
	was := must(os.ReadFile(path))(t)
	broken := func(what, rule string, raw []byte) {
		t.Helper()
		if raw == nil {
			os.Remove(path)
		} else {
			os.WriteFile(path, raw, 0o600)
		}
		_, err := h.census(opt)
		wantRule(t, what, err, rule)
	}
	broken("a removed recording", RuleRecordings, nil)
	broken("a shortened recording", RuleEnd, was[:len(was)-1])
	bad := bytes.Clone(was)
	spoil(t, bad)
	broken("a changed recording", format.RuleClose, bad)
	os.WriteFile(path, was, 0o600)
	os.WriteFile(filepath.Join(h.Recordings(), "nobody.srec"), was, 0o600)
	if rep, err = h.census(opt); err != nil || !strings.Contains(text(rep), "1 more recordings were never announced") {
		t.Errorf("a stranger's recording: got %v", err)
	}
}

func TestARecordingMayBeGoneOnlyWhereALeafFromAfterItsTimeSaysSo(t *testing.T) {
	h := newHouse(t)
	r := h.Run([]byte("x"), 1)
	early := must(ledger.EventBody{AtMS: 1, Fields: map[string]string{"phase": "done"}}.Marshal())(t)
	if _, err := h.Signer.Append(t.Context(), signer.AppendRequest{Type: "shredded", Ref: []uint64{r.Parts[0].Open},
		Body: early}); err != nil {
		t.Fatal(err)
	}
	rk, sk := format.SlotNames(r.SID, 0)
	for _, name := range []string{rk, sk, format.FileName(r.SID, 0)} {
		os.Remove(h.Find(name))
	}
	opt := Options{LogDir: h.LogDir(), RecordingsDir: h.Recordings()}
	_, err := h.census(opt)
	wantRule(t, "shredded before its time", err, RuleRecordings)
	_, err = check(t, h.export(r), Options{LogKey: h.LogKey})
	wantRule(t, "the same in a bundle", err, RuleRecordings)
	for _, phase := range []string{"begun", "failed", "", "Done"} {
		said := must(ledger.EventBody{AtMS: h.ms(), Fields: map[string]string{"phase": phase}}.Marshal())(t)
		must(h.Signer.Append(t.Context(), signer.AppendRequest{Type: "shredded", Ref: []uint64{r.Parts[0].Open},
			Body: said}))(t)
		_, err := h.census(opt)
		wantRule(t, "phase "+phase, err, RuleRecordings)
		_, err = check(t, h.export(r), Options{LogKey: h.LogKey})
		wantRule(t, "phase "+phase+" in a bundle", err, RuleRecordings)
	}
	h.Event("shredded", r.SID.String(), r.Parts[0].Open)
	rep, err := h.census(opt)
	if err != nil || !strings.Contains(text(rep), "1 were shredded") {
		t.Errorf("got %v\n%s", err, text(rep))
	}
	rep, err = check(t, h.export(r), Options{LogKey: h.LogKey})
	if err != nil || !strings.Contains(text(rep), "shredded, as entry") {
		t.Errorf("in a bundle: got %v", err)
	}
}

// ms is the time in the house.
func (h *house) ms() int64 { return time.Now().Add(-h.Ago).UnixMilli() }

// TestAShreddingThatIsStillToComeExcusesNothing: the owner of the log's key can write any time.
func TestAShreddingThatIsStillToComeExcusesNothing(t *testing.T) {
	for ahead, rule := range map[time.Duration]string{-time.Hour: "", time.Hour: RuleRecordings} {
		h := newHouse(t)
		at := time.Now().Add(ahead)
		raw, _ := h.forge(func(f *forged) {
			f.gone = true
			f.open = func(b *ledger.OpenBody) { b.RetainUntil = at.Unix() - 60 }
			f.events = []forgedEvent{{"shredded", []int{0}, func(uint64, ledger.OpenBody) any {
				return ledger.EventBody{AtMS: at.UnixMilli(), Fields: map[string]string{"phase": "done"}}
			}}}
		})
		b, c := h.verdicts(raw)
		if format.RuleOf(b) != rule || format.RuleOf(c) != rule {
			t.Errorf("%s from now: got %v and %v, want rule %q", ahead, b, c, rule)
		}
	}
}

// TestAPartAfterOneThatWasShreddedWithoutAnEndHolds: where the part before ended is then not known, in both modes.
func TestAPartAfterOneThatWasShreddedWithoutAnEndHolds(t *testing.T) {
	h := newHouse(t)
	raw, _ := h.forge(func(f *forged) {
		f.gone, f.unended = true, true
		f.events = []forgedEvent{{"shredded", []int{0}, func(_ uint64, b ledger.OpenBody) any {
			return ledger.EventBody{AtMS: b.RetainUntil*1000 + 1, Fields: map[string]string{"phase": "done"}}
		}}}
	}, nil)
	inBundle, inCopy := h.verdicts(raw)
	if inBundle != nil || inCopy != nil {
		t.Errorf("got %v in a bundle and %v in a copy of the log, want neither", inBundle, inCopy)
	}
	if rep, _ := check(t, raw, Options{LogKey: h.LogKey}); !strings.Contains(text(rep), "where the part before ended is not") {
		t.Errorf("the report does not say what was not compared:\n%s", text(rep))
	}
}

func TestAShreddedPartThatIsThereAllTheSameIsChecked(t *testing.T) {
	h := newHouse(t)
	r := h.Run([]byte("x"), 1)
	h.Event("shredded", r.SID.String(), r.Parts[0].Open)
	whole := h.export(r)
	rk, sk := format.SlotNames(r.SID, 0)
	without := func(change func(pieces map[string][]byte), gone ...string) []byte {
		return forge(t, whole, func(m *manifest, pieces map[string][]byte) {
			for _, g := range gone {
				*map[string]*int64{rk: &m.Parts[0].SlotRK, sk: &m.Parts[0].SlotSK,
					format.FileName(r.SID, 0): &m.Parts[0].Recording}[g] = 0
				pieces[g] = nil
			}
			if change != nil {
				change(pieces)
			}
		})
	}
	opt := Options{LogKey: h.LogKey, Identities: h.both()}
	for what, c := range map[string]struct {
		gone []string
		says string
	}{
		"all keys":           {[]string{rk, sk}, "not read: its keys were shredded"},
		"the unsealers' key": {[]string{sk}, "sealed input not opened: its key was shredded"},
		"the recording":      {[]string{format.FileName(r.SID, 0)}, "shredded, as entry"},
	} {
		rep, err := check(t, without(nil, c.gone...), opt)
		if err != nil || !strings.Contains(text(rep), c.says) {
			t.Errorf("%s: got %v\n%s", what, err, text(rep))
		}
	}
	_, err := check(t, without(func(pieces map[string][]byte) { spoil(t, pieces[format.FileName(r.SID, 0)]) }, rk,
		sk), opt)
	wantRule(t, "a changed recording without keys", err, format.RuleClose)
	_, err = check(t, without(func(pieces map[string][]byte) { flip(pieces[sk]) }, rk), opt)
	wantRule(t, "a changed slot file beside one that was shredded", err, RuleSlot)
}

// spoil changes the last byte of a closed container before its close: of a sealed chunk.
func spoil(t *testing.T, raw []byte) {
	t.Helper()
	at, ok := format.CloseAt(bytes.NewReader(raw), int64(len(raw)))
	if !ok {
		t.Fatal("the container has no close")
	}
	raw[at-1] ^= 1
}

// flip changes a byte in the middle.
func flip(raw []byte) { raw[len(raw)/2] ^= 1 }

func TestABeginningWithoutAnEndAndOneWithTwoAreFound(t *testing.T) {
	h := newHouse(t)
	r := h.Run([]byte("x"), 1)
	body := must(ledger.CloseBody{Session: r.SID, Open: r.Parts[0].Open, Reason: "again"}.Marshal())(t)
	dir := h.CopyOf(true)
	if _, err := h.census(Options{LogDir: dir}); err != nil {
		t.Fatal(err)
	}
	h.Lie("interrupted", body, r.Parts[0].Open)
	_, err := h.census(Options{LogDir: h.LogDir()})
	wantRule(t, "two ends", err, RuleEnd)

	h = newHouse(t)
	rec := must(h.Node.Create(t.Context(), recorder.PartConfig{Session: [16]byte{1},
		DeviceFP: [32]byte(sha(h.Host.Marshal()))}))(t)
	h.Open(bundletest.Ran{SID: [16]byte{1}}, rec, 0)
	h.Ago -= longest*time.Second + time.Minute
	h.Event("viewed", "nobody")
	_, err = h.census(Options{LogDir: h.LogDir()})
	wantRule(t, "no end", err, RuleEnd)
	if !strings.Contains(err.Error(), "session aeaaaaaaaaaaaaaaaaaaaaaaaa part 0") {
		t.Errorf("the fault does not name the session: %v", err)
	}
}

func TestAPartThatIsAnnouncedTwiceIsFound(t *testing.T) {
	h := newHouse(t)
	r := h.Run([]byte("x"), 1)
	rec := must(h.Node.Create(t.Context(), recorder.PartConfig{Session: [16]byte{1},
		DeviceFP: [32]byte(sha(h.Host.Marshal()))}))(t)
	h.Open(bundletest.Ran{SID: r.SID}, rec, 0)
	_, err := h.census(Options{LogDir: h.LogDir()})
	wantRule(t, "two beginnings", err, RuleLeaf)
}

func TestASessionThatCanStillRunIsSaidToBeOpen(t *testing.T) {
	h := newHouse(t)
	h.Run([]byte("x"), 1)
	ran := bundletest.Ran{SID: id.Session{1}}
	rec := must(h.Node.Create(t.Context(), recorder.PartConfig{Session: ran.SID,
		DeviceFP: [32]byte(sha(h.Host.Marshal()))}))(t)
	open := h.Open(ran, rec, 0).Index
	h.Start(rec)
	opt := Options{LogDir: h.LogDir(), RecordingsDir: h.Recordings()}
	holds := func(what string) {
		t.Helper()
		rep, err := h.census(opt)
		if err != nil || !strings.Contains(text(rep), "2 session parts in the log, 1 still open") ||
			!strings.Contains(text(rep), "1 recordings of parts that are still open are there") {
			t.Errorf("%s: got %v\n%s", what, err, text(rep))
		}
	}
	later := func(d time.Duration) { h.Ago -= d; h.Event("viewed", "nobody") }
	progress := func() {
		p := rec.Progress()
		body := must(ledger.ProgressBody{Session: ran.SID, Open: open, H: p.HFinal, Seq: p.Seq,
			AtMS: time.Now().Add(-h.Ago).UnixMilli()}.Marshal())(t)
		must(h.Signer.Append(t.Context(), signer.AppendRequest{Type: "progress", Ref: []uint64{open}, Body: body}))(t)
	}
	holds("just begun")
	later(longest*time.Second - time.Minute)
	holds("while the pass can be good")
	path := h.Find(format.FileName(ran.SID, 0))
	if rep, err := VerifyRecording(t.Context(), path, Options{LogKey: h.LogKey, LogDir: h.LogDir()}); err != nil ||
		!strings.Contains(text(rep), "still open at its newest entry") {
		t.Errorf("the recording alone: got %v\n%s", err, text(rep))
	}
	if err := rec.Output(t.Context(), 1, 1, []byte("still here")); err != nil {
		t.Fatal(err)
	}
	later(2 * time.Minute)
	progress()
	holds("with progress of now")
	later(fresh - time.Minute)
	holds("with progress of just before")

	was := must(os.ReadFile(path))(t)
	os.WriteFile(path, was[:len(was)-1], 0o600)
	_, err := h.census(opt)
	wantRule(t, "cut behind its progress", err, format.RuleHead)
	os.Remove(path)
	_, err = h.census(opt)
	wantRule(t, "without its recording", err, RuleRecordings)
	_, err = h.census(Options{LogDir: h.CopyOf(true)})
	wantRule(t, "in a copy that has no times", err, RuleEnd)
	os.WriteFile(path, was, 0o600)
	later(2 * time.Minute)
	_, err = h.census(opt)
	wantRule(t, "with old progress", err, RuleEnd)
}

func TestProgressKeepsASessionOpenForNoLongerThanItsPassCanBeGood(t *testing.T) {
	s := newTimes()
	at := s.now.Add(-40 * 24 * time.Hour)
	event := func() {
		s.saw(0, ledger.Leaf{Type: "viewed"}, must(ledger.EventBody{AtMS: at.UnixMilli()}.Marshal())(t))
	}
	progress := func() {
		s.saw(2, ledger.Leaf{Type: "progress", Ref: []uint64{1}},
			must(ledger.ProgressBody{Open: 1, AtMS: at.UnixMilli()}.Marshal())(t))
	}
	event()
	at = at.Add(3 * 24 * time.Hour) // nothing happens for days, then a session begins
	s.saw(1, ledger.Leaf{Type: "open"}, nil)
	progress()
	for began := at; at.Sub(began) < longest*time.Second; at = at.Add(fresh) {
		progress()
	}
	progress()
	event()
	if !s.couldRun(1) {
		t.Error("at the end of the longest pass it cannot run")
	}
	for range 30 * 24 * time.Hour / fresh {
		at = at.Add(fresh)
		progress()
		event()
	}
	if s.couldRun(1) {
		t.Error("30 days later it can still run")
	}
}

// TestARenewedSessionCanRunOnFromItsNewestPass: a pass leaf counts as the beginning of what may follow.
func TestARenewedSessionCanRunOnFromItsNewestPass(t *testing.T) {
	s := newTimes()
	at := s.now.Add(-40 * 24 * time.Hour)
	saw := func(i uint64, l ledger.Leaf, body []byte, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		s.saw(i, l, body)
	}
	event := func() {
		body, err := ledger.EventBody{AtMS: at.UnixMilli()}.Marshal()
		saw(0, ledger.Leaf{Type: "viewed"}, body, err)
	}
	event()
	s.saw(1, ledger.Leaf{Type: "open"}, nil)
	for n := range uint32(5) {
		at = at.Add(11 * time.Hour)
		body, err := ledger.PassBody{Open: 1, N: n + 1, AtMS: at.UnixMilli()}.Marshal()
		saw(2, ledger.Leaf{Type: "pass", Ref: []uint64{1}}, body, err)
		event()
		if !s.couldRun(1) {
			t.Fatalf("with pass %d it cannot run", n+1)
		}
	}
	at = at.Add(longest*time.Second + time.Minute)
	event()
	if s.couldRun(1) {
		t.Error("when its newest pass has ended it can still run")
	}
}

func TestATimeThatIsStillToComeKeepsNothingOpen(t *testing.T) {
	h := newHouse(t)
	body := must(ledger.EventBody{AtMS: time.Now().Add(1000 * time.Hour).UnixMilli()}.Marshal())(t)
	must(h.Signer.Append(t.Context(), signer.AppendRequest{Type: "viewed", Body: body}))(t)
	rec := must(h.Node.Create(t.Context(), recorder.PartConfig{Session: id.Session{1},
		DeviceFP: [32]byte(sha(h.Host.Marshal()))}))(t)
	h.Open(bundletest.Ran{SID: id.Session{1}}, rec, 0)
	h.Ago = 0
	h.Event("viewed", "nobody")
	_, err := h.census(Options{LogDir: h.LogDir()})
	wantRule(t, "no end", err, RuleEnd)
}

func TestALogThatIsNotTheOneOthersHoldIsFound(t *testing.T) {
	h := newHouse(t)
	old := h.CopyOf(false)
	r := h.Run([]byte("x"), 1)
	raw := h.export(r)
	held := h.Head()
	now := Options{LogKey: h.LogKey, LogDir: h.CopyOf(false), Checkpoints: [][]byte{held}}
	if _, err := check(t, raw, now); err != nil {
		t.Fatal(err)
	}
	if _, err := check(t, raw, Options{LogKey: h.LogKey, LogDir: old}); !errors.Is(err, ErrAsked) {
		t.Errorf("a copy that is behind the bundle: got %v, want no verdict", err)
	}
	_, err := h.census(Options{LogDir: old, Checkpoints: [][]byte{held}})
	wantRule(t, "a copy that is shorter than what somebody holds", err, RuleLog)

	// The whole signer is put back to the past and goes on: a fork under the same key.
	h.Signer.Close()
	os.RemoveAll(h.LogDir())
	os.CopyFS(h.LogDir(), os.DirFS(old))
	h.Reopen()
	forked := h.Run([]byte("y"), 1)
	_, err = check(t, raw, Options{LogKey: h.LogKey, LogDir: h.CopyOf(false)})
	wantRule(t, "a copy of the fork that is behind the first bundle", err, RuleLog)
	h.Event("viewed", "more")
	fork := h.export(forked)
	if _, err := check(t, fork, Options{LogKey: h.LogKey}); err != nil {
		t.Fatalf("the fork alone must look well: %v", err)
	}
	_, err = check(t, fork, Options{LogKey: h.LogKey, Checkpoints: [][]byte{held}})
	wantRule(t, "a bundle of the fork", err, RuleLog)
	_, err = h.census(Options{LogDir: h.CopyOf(true), Checkpoints: [][]byte{held}})
	wantRule(t, "tiles of the fork", err, RuleLog)
	_, err = check(t, raw, Options{LogKey: h.LogKey, LogDir: h.LogDir()})
	wantRule(t, "the fork against the first bundle", err, RuleLog)
}

func TestWhatCannotBeComparedIsSaid(t *testing.T) {
	h := newHouse(t)
	raw := h.export(h.Run([]byte("x"), 1))
	h.Event("viewed", "later")
	rep, err := check(t, raw, Options{LogKey: h.LogKey, Checkpoints: [][]byte{h.Head()}})
	if err != nil || !strings.Contains(text(rep), "later than this export") {
		t.Errorf("got %v\n%s", err, text(rep))
	}
	for what, opt := range map[string]Options{"recordings without a log": {LogKey: h.LogKey,
		RecordingsDir: h.Recordings()}, "a log without its key": {LogDir: h.LogDir()},
		"recordings with tiles alone": {LogKey: h.LogKey, LogDir: h.CopyOf(true), RecordingsDir: h.Recordings()}} {
		if _, err := Verify(t.Context(), nil, opt); err == nil || format.RuleOf(err) != "" {
			t.Errorf("%s: got %v, want a word on how to ask", what, err)
		}
	}
}

// TestADirectoryWithoutALogIsNoEvidence and so no fault: it was named by mistake.
func TestADirectoryWithoutALogIsNoEvidence(t *testing.T) {
	h := newHouse(t)
	if _, err := h.census(Options{LogDir: t.TempDir()}); !errors.Is(err, ErrAsked) {
		t.Errorf("got %v, want that the wrong directory was named", err)
	}
	copied := h.CopyOf(true)
	if err := os.Remove(filepath.Join(copied, "checkpoint")); err != nil {
		t.Fatal(err)
	}
	_, err := h.census(Options{LogDir: copied})
	wantRule(t, "tiles without their checkpoint", err, RuleLog)
}
