package bundle

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"

	"github.com/sallyport/sallyport/recorder"
	"github.com/sallyport/sallyport/recorder/bundle/bundletest"
	"github.com/sallyport/sallyport/recorder/format"
)

func wantRule(t *testing.T, what string, err error, rule string) {
	t.Helper()
	var f *format.Fault
	if !errors.As(err, &f) || f.Rule != rule {
		t.Errorf("%s: got %v, want a fault of rule %s", what, err, rule)
		return
	}
	if f.File == "" || f.Detail == "" {
		t.Errorf("%s: the fault says not what or where: %+v", what, f)
	}
}

func TestABundleIsProvenAtEveryLevel(t *testing.T) {
	h := newHouse(t)
	before := h.Head()
	raw := h.export(h.Run([]byte("hello\n"), 2))
	for name, c := range map[string]struct {
		opt  Options
		want []string
	}{
		"without anything": {Options{}, []string{"log not checked", "not read: no --identity",
			"signed by the record key", "not yet witnessed by the device"}},
		"with the log key": {Options{LogKey: h.LogKey}, []string{"signed under the log key given", "announced as entry",
			"closed as entry", "also in the log: viewed, once", "pass for"}},
		"with a reader": {Options{LogKey: h.LogKey, Identities: []age.Identity{h.Reader}},
			[]string{"7 bytes of input hidden", "not opened: none of the identities is an unsealing"}},
		"with both": {Options{LogKey: h.LogKey, Identities: h.both()}, []string{"every sealed input opens"}},
		"with a checkpoint": {Options{LogKey: h.LogKey, Checkpoints: [][]byte{before, h.Head()}},
			[]string{"extends checkpoint 1 of 4", "extends checkpoint 2 of 9", "is covered by a checkpoint of 9"}},
		"with an early one": {Options{LogKey: h.LogKey, Checkpoints: [][]byte{before}},
			[]string{"not yet witnessed by the device"}},
	} {
		r, err := check(t, raw, c.opt)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, w := range c.want {
			if !strings.Contains(text(r), w) {
				t.Errorf("%s: the report does not say %q:\n%s", name, w, text(r))
			}
		}
		if r.LogChecked != (c.opt.LogKey != "") || len(r.Parts) != 2 {
			t.Errorf("%s: got log checked %v, %d parts", name, r.LogChecked, len(r.Parts))
		}
	}
}

func TestEveryFlippedByteOfASmallBundleIsFound(t *testing.T) {
	h := newHouse(t)
	raw := h.export(h.Run([]byte("hello\n"), 1))
	opt := Options{LogKey: h.LogKey}
	if _, err := check(t, raw, opt); err != nil {
		t.Fatal(err)
	}
	bad := bytes.Clone(raw)
	for at := range raw {
		bad[at] ^= 1 << (at % 8)
		r, err := check(t, bad, opt)
		bad[at] = raw[at]
		var f *format.Fault
		if !errors.As(err, &f) {
			t.Fatalf("byte %d of %d is changed: got %v, want a fault (%v)", at, len(raw), err, r)
		}
	}
	t.Logf("%d bytes", len(raw))
}

func TestAFlippedByteOfALargeBundleIsFound(t *testing.T) {
	h := newHouse(t)
	noise := make([]byte, 3<<20)
	for i := range noise {
		noise[i] = byte(rand.Uint32())
	}
	raw := h.export(h.Run(noise, 1))
	opt := Options{LogKey: h.LogKey}
	bad := bytes.Clone(raw)
	for range 60 {
		at := rand.IntN(len(raw))
		bad[at] ^= byte(1 + rand.IntN(255))
		_, err := check(t, bad, opt)
		bad[at] = raw[at]
		var f *format.Fault
		if !errors.As(err, &f) {
			t.Fatalf("byte %d is changed: got %v, want a fault", at, err)
		}
	}
}

func TestABundleThatIsCutOrHasMoreIsRefused(t *testing.T) {
	h := newHouse(t)
	raw := h.export(h.Run([]byte("hello\n"), 1))
	for n := 0; n < len(raw); n += 97 {
		if _, err := check(t, raw[:n], Options{}); format.RuleOf(err) == "" {
			t.Fatalf("cut at %d: got %v, want a fault", n, err)
		}
	}
	_, err := check(t, append(bytes.Clone(raw), 0), Options{})
	wantRule(t, "a byte more", err, RuleBundle)
}

// forge changes the manifest and writes the bundle anew, as whoever has no key could.
func forge(t *testing.T, raw []byte, change func(m *manifest, pieces map[string][]byte)) []byte {
	t.Helper()
	s, err := reads(raw)
	if err != nil {
		t.Fatal(err)
	}
	pieces := map[string][]byte{}
	v := &verifier{s: s}
	for _, p := range s.order {
		b, err := v.read(p.name)
		if err != nil {
			t.Fatal(err)
		}
		pieces[p.name] = b
	}
	change(&s.m, pieces)
	var out bytes.Buffer
	if err := s.m.writeHead(&out); err != nil {
		t.Fatal(err)
	}
	for _, p := range s.m.pieces() {
		out.Write(pieces[p.name])
	}
	return out.Bytes()
}

func TestWhatIsTakenOutOrPutInIsFound(t *testing.T) {
	h := newHouse(t)
	one, two := h.Run([]byte("one\n"), 2), h.Run([]byte("two\n"), 1)
	raw, other := h.export(one), h.export(two)
	var foreign manifest
	forge(t, other, func(m *manifest, _ map[string][]byte) { foreign = *m })
	rk, sk := format.SlotNames(one.SID, 0)
	srec := format.FileName(one.SID, 0)
	for name, c := range map[string]struct {
		rule   string
		change func(m *manifest, p map[string][]byte)
	}{
		"a dropped recording": {RuleRecordings, func(m *manifest, p map[string][]byte) {
			m.Parts[0].Recording, p[srec] = 0, nil
		}},
		"a dropped reader's slot": {RuleSlot, func(m *manifest, p map[string][]byte) {
			m.Parts[0].SlotRK, p[rk] = 0, nil
		}},
		"a dropped officer's slot": {RuleSlot, func(m *manifest, p map[string][]byte) {
			m.Parts[0].SlotSK, p[sk] = 0, nil
		}},
		"swapped slots":       {RuleSlot, func(m *manifest, p map[string][]byte) { p[rk], p[sk] = p[sk], p[rk] }},
		"a dropped last part": {RuleHistory, func(m *manifest, p map[string][]byte) { m.Parts = m.Parts[:1] }},
		"a dropped first part": {RuleLeaf, func(m *manifest, p map[string][]byte) {
			m.Parts = m.Parts[1:]
			rk1, sk1 := format.SlotNames(one.SID, 1) // its pieces go by the name of what is first now
			p[srec], p[rk], p[sk] = p[format.FileName(one.SID, 1)], p[rk1], p[sk1]
		}},
		"a dropped end": {RuleEnd, func(m *manifest, p map[string][]byte) { m.Parts[0].End = nil }},
		"a dropped end and the closing with it": {RuleHistory, func(m *manifest, p map[string][]byte) {
			last := format.FileName(one.SID, 1)
			m.Parts[1].End, m.Parts[1].Recording = nil, m.Parts[1].Recording-60
			p[last] = p[last][:len(p[last])-60]
		}},
		"an end of another session": {RuleEnd, func(m *manifest, p map[string][]byte) {
			m.Parts[0].End = foreign.Parts[0].End
		}},
		"a pass of another session": {RulePass, func(m *manifest, p map[string][]byte) {
			m.Parts[0].Pass = foreign.Parts[0].Pass
		}},
		"another device's key": {RulePass, func(m *manifest, p map[string][]byte) {
			m.Parts[0].HostKey = m.Parts[0].HostKey[1:]
		}},
		"another session's name": {RuleLeaf, func(m *manifest, p map[string][]byte) {
			m.Session = two.SID
			rename(p, one, two)
		}},
		"a recording cut at its end": {RuleEnd, func(m *manifest, p map[string][]byte) {
			p[srec] = p[srec][:len(p[srec])-40]
			m.Parts[0].Recording -= 40
		}},
		"an event twice": {RuleLeaf, func(m *manifest, p map[string][]byte) {
			m.Events = append(m.Events, m.Events[0])
		}},
		"an end among the events": {RuleLeaf, func(m *manifest, p map[string][]byte) {
			m.Events = append(m.Events, *foreign.Parts[0].End)
		}},
		"another policy": {RulePolicy, func(m *manifest, p map[string][]byte) {
			m.Policy = [][]byte{[]byte(bundletest.Policy + " ")}
		}},
		"a shorter history": {RuleHistory, func(m *manifest, p map[string][]byte) { m.History-- }},
		"the history left out": {RuleHistory, func(m *manifest, p map[string][]byte) {
			m.History, m.HistoryLen, m.Peaks, p[historyName] = 0, 0, [][32]byte{}, nil
		}},
		"peaks without a history": {RuleHistory, func(m *manifest, p map[string][]byte) {
			m.History, m.HistoryLen, p[historyName] = 0, 0, nil
		}},
		"a signature of no root": {RuleTrust, func(m *manifest, p map[string][]byte) {
			m.TrustSig = m.TrustSig[:10]
		}},
		"a checkpoint signed less": {RuleCheckpoint, func(m *manifest, p map[string][]byte) {
			m.Checkpoint = m.Checkpoint[:20]
		}},
	} {
		_, err := check(t, forge(t, raw, c.change), Options{LogKey: h.LogKey})
		wantRule(t, name, err, c.rule)
	}
}

func rename(p map[string][]byte, from, to bundletest.Ran) {
	for n := range uint32(2) {
		ark, ask := format.SlotNames(from.SID, n)
		brk, bsk := format.SlotNames(to.SID, n)
		p[brk], p[bsk], p[format.FileName(to.SID, n)] = p[ark], p[ask], p[format.FileName(from.SID, n)]
	}
}

// TestAnIdentityThatOpensNothingIsSaid: it must not look like tampering, and the rest is verified all the same.
func TestAnIdentityThatOpensNothingIsSaid(t *testing.T) {
	h := newHouse(t)
	r := h.Run([]byte("x"), 1)
	raw := h.export(r)
	path := h.Find(format.FileName(r.SID, 0))
	for what, identity := range map[string]age.Identity{
		"a stranger's identity":          must(age.GenerateX25519Identity())(t),
		"an officer's identity alone":    h.Officer,
		"another kind of age's identity": must(age.GenerateHybridIdentity())(t),
	} {
		opt := Options{LogKey: h.LogKey, Identities: []age.Identity{identity}}
		rep, err := check(t, raw, opt)
		if err != nil || !strings.Contains(text(rep), "not read: none of the identities given opens it") ||
			!strings.Contains(text(rep), "signed by the record key") {
			t.Errorf("%s: got %v\n%s", what, err, text(rep))
		}
		rep, err = VerifyRecording(t.Context(), path, opt)
		if err != nil || !strings.Contains(text(rep), "not read: none of the identities given opens") {
			t.Errorf("%s, a recording alone: got %v\n%s", what, err, text(rep))
		}
	}
}

// TestASlotFileThatIsNoneIsFound: the open leaf names it, and its readers could not open it.
func TestASlotFileThatIsNoneIsFound(t *testing.T) {
	for what, change := range map[string]func(h *house, f *forged){
		"a reader's slot of 31 bytes":    func(h *house, f *forged) { f.rk = wrapped(t, h.Reader, make([]byte, 31)) },
		"an unsealer's slot of 31 bytes": func(h *house, f *forged) { f.sk = wrapped(t, h.Officer, make([]byte, 31)) },
		"an unsealer's slot of 33 bytes": func(h *house, f *forged) { f.sk = wrapped(t, h.Officer, make([]byte, 33)) },
		"no age file":                    func(_ *house, f *forged) { f.sk = []byte("a slot file") },
		"an age file that is cut":        func(_ *house, f *forged) { f.sk = f.sk[:len(f.sk)-9] },
	} {
		h := newHouse(t)
		raw, ran := h.forge(func(f *forged) { change(h, f) })
		_, err := check(t, raw, Options{LogKey: h.LogKey, Identities: h.both()})
		wantRule(t, what, err, RuleSlot)
		path := h.Find(format.FileName(ran.SID, 0))
		_, err = VerifyRecording(t.Context(), path, Options{LogKey: h.LogKey, Identities: h.both()})
		wantRule(t, what+", a recording alone", err, RuleSlot)
	}
}

func TestAPolicyThatNoPassNamesIsLeftOutOfAnExport(t *testing.T) {
	h := newHouse(t)
	r := h.Run([]byte("x"), 1)
	e := Export{Session: r.SID, Dir: h.Recordings(), HostKey: h.Host.Marshal(), Parts: []Part{Part(r.Parts[0])},
		Policy: [][]byte{[]byte("applied meanwhile")}}
	var out bytes.Buffer
	if err := Write(t.Context(), &out, bundletest.Access{Service: h.Signer}, e); err != nil {
		t.Fatal(err)
	}
	rep, err := check(t, out.Bytes(), Options{LogKey: h.LogKey})
	if err != nil || !strings.Contains(text(rep), "policy's text is not in the bundle") {
		t.Errorf("got %v", err)
	}
}

func TestAnotherLogsKeyIsRefused(t *testing.T) {
	h, other := newHouse(t), newHouse(t)
	raw := h.export(h.Run([]byte("x"), 1))
	_, err := check(t, raw, Options{LogKey: other.LogKey})
	wantRule(t, "another log's key", err, RuleTrust)
	_, err = check(t, raw, Options{LogKey: h.LogKey, Checkpoints: [][]byte{other.Head()}})
	wantRule(t, "another log's checkpoint", err, RuleCheckpoint)
}

func TestARecordingThatACrashCutIsGoodUpToThere(t *testing.T) {
	h := newHouse(t)
	ctx := t.Context()
	r := bundletest.Ran{SID: h.Run(nil, 1).SID}
	r.SID[0] ^= 1
	rec := must(h.Node.Create(ctx, recorder.PartConfig{Session: r.SID, DeviceFP: [32]byte(sha(h.Host.Marshal()))}))(t)
	o := h.Open(r, rec, 0)
	h.Start(rec)
	for range 3 {
		if err := rec.Output(ctx, 1, 1, []byte(strings.Repeat("before the crash\n", 40))); err != nil {
			t.Fatal(err)
		}
	}
	r.Parts = []bundletest.Part{{Open: o.Index, Pass: o.Pass}}
	raw := h.export(r)
	rep, err := check(t, raw, Options{LogKey: h.LogKey, Identities: h.both()})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(text(rep), "no end in the log") || !strings.Contains(text(rep), "cut at offset") {
		t.Errorf("the report does not say that it is cut:\n%s", text(rep))
	}
	// The crash tore the last chunk, and nobody has looked at it since.
	path := h.Find(format.FileName(r.SID, 0))
	whole := must(os.ReadFile(path))(t)
	os.WriteFile(path, whole[:len(whole)-5], 0o600)
	if rep, err = check(t, h.export(r), Options{LogKey: h.LogKey, Identities: h.both()}); err != nil ||
		rep.Parts[0].Cut == nil {
		t.Errorf("torn: got %v, %v", rep, err)
	}
}

func TestAnUnpackedBundleIsCheckedAsWell(t *testing.T) {
	h := newHouse(t)
	r := h.Run([]byte("hello\n"), 2)
	file := filepath.Join(t.TempDir(), "b.bundle")
	os.WriteFile(file, h.export(r), 0o600)
	s := must(Open(file))(t)
	defer s.Close()
	dir := filepath.Join(t.TempDir(), "out")
	if err := s.Unpack(dir); err != nil {
		t.Fatal(err)
	}
	verify := func() error {
		u, err := Open(dir)
		if err != nil {
			return err
		}
		defer u.Close()
		_, err = Verify(t.Context(), u, Options{LogKey: h.LogKey, Identities: h.both()})
		return err
	}
	if err := verify(); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, format.FileName(r.SID, 1))
	was := must(os.ReadFile(name))(t)
	bad := bytes.Clone(was)
	bad[len(bad)/2] ^= 1
	os.WriteFile(name, bad, 0o600)
	if err := verify(); format.RuleOf(err) == "" || !strings.Contains(err.Error(), format.FileName(r.SID, 1)) {
		t.Errorf("a changed recording: got %v", err)
	}
	os.WriteFile(name, append(bytes.Clone(was), 0), 0o600)
	wantRule(t, "a longer recording", verify(), RuleBundle)
	os.Remove(name)
	wantRule(t, "a missing recording", verify(), RuleBundle)
	for _, odd := range []string{name, filepath.Join(dir, manifestName)} {
		os.Remove(odd)
		if err := os.Symlink("/dev/zero", odd); err != nil {
			t.Fatal(err)
		}
		wantRule(t, "zeros without end", verify(), RuleBundle)
	}
	if err := s.Unpack(dir); err == nil {
		t.Error("unpacked over a directory")
	}
}

func FuzzBundle(f *testing.F) {
	h := newHouse(f)
	f.Add(h.export(h.Run([]byte("x"), 1)))
	f.Add([]byte("SLYBDL1\n\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		s, err := reads(raw)
		if err != nil {
			return
		}
		Verify(t.Context(), s, Options{LogKey: h.LogKey}) // must end without a panic
		var again bytes.Buffer
		if err := s.m.writeHead(&again); err != nil || !bytes.HasPrefix(raw, again.Bytes()) {
			t.Errorf("a manifest has two forms (%v)", err)
		}
	})
}
