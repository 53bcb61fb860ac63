package bundle

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/recorder/format"
)

// begins gives where each file of a bundle begins, by the name that a fault has for it.
func begins(t *testing.T, raw []byte) map[string]int64 {
	t.Helper()
	s := must(reads(raw))(t)
	at := s.head + int64(len(s.raw))
	out := map[string]int64{s.name: 0}
	for _, p := range s.order {
		out[s.name+": "+p.name] = at
		at += p.size
	}
	return out
}

// turned changes one byte and gives the fault, and where in the bundle it says that the wrong bytes are.
func turned(t *testing.T, raw []byte, at int, opt Options, files map[string]int64) (f *format.Fault, from, to int64) {
	t.Helper()
	bad := bytes.Clone(raw)
	bad[at] ^= 1 << (at % 8)
	_, err := check(t, bad, opt)
	if !errors.As(err, &f) {
		t.Fatalf("byte %d is changed: got %v, want a fault", at, err)
	}
	base, known := files[f.File]
	if !known {
		t.Fatalf("byte %d is changed: the fault is of the file %q", at, f.File)
	}
	if from, to = base+f.Offset, base+f.Offset+f.Length; f.Length == 0 {
		to = int64(len(raw))
	}
	return f, from, to
}

// A changed length puts what follows out of step, and where that is noticed lies behind it. All else is found where
// it is.
func TestAFaultNamesThePlaceOfTheChangedByte(t *testing.T) {
	h := newHouse(t)
	h.Run([]byte("before\n"), 1)
	raw := h.export(h.Run([]byte("hello\n"), 1))
	files, opt := begins(t, raw), Options{LogKey: h.LogKey, Identities: h.both()}
	beside, vague, all := 0, 0, 0
	for at := 0; at < len(raw); at += 5 {
		all++
		f, from, to := turned(t, raw, at, opt, files)
		if int64(at) < from || int64(at) >= to {
			beside++
			t.Logf("byte %d: %v", at, f)
		}
		if to-from > 1100 {
			vague++
		}
	}
	t.Logf("of %d bytes %d beside, %d vague", all, beside, vague)
	if beside*50 > all || vague*20 > all {
		t.Errorf("of %d bytes: got %d faults beside the changed byte, want 2%% at most; %d that name more than "+
			"the trust bundle, want 5%% at most", all, beside, vague)
	}
}

func TestAFaultNamesTheElement(t *testing.T) {
	h := newHouse(t)
	h.Run([]byte("before\n"), 1)
	r := h.Run([]byte("hello\n"), 2)
	raw := h.export(r)
	s, files := must(reads(raw))(t), begins(t, raw)
	for path, rule := range map[string]string{"trust_sig": RuleTrust, "checkpoint": RuleCheckpoint,
		"session": RuleLeaf, "parts.1.open.leaf": RuleLeaf, "parts.0.end.body": RuleLeaf, "parts.0.pass": RulePass,
		"parts.1.host_key": RulePass, "events.0.nonce": RuleLeaf, "policy.0": RulePolicy, "peaks.0": RuleHistory,
		"parts.0.open.proof.1": RuleLeaf} {
		el := find(s.raw, path)
		at := int(s.head) + el.at + el.n/2
		f, from, to := turned(t, raw, at, Options{LogKey: h.LogKey}, files)
		named, _, _ := strings.Cut(strings.TrimPrefix(f.Detail, "manifest, "), ":")
		if f.Rule != rule || int64(at) < from || int64(at) >= to || f.Length == 0 ||
			!strings.HasPrefix(path, strings.TrimSuffix(named, ".leaf")) && !strings.Contains(named, path) {
			t.Errorf("%s, byte %d: got %v", path, at, f)
		}
	}
	rk, sk := format.SlotNames(r.SID, 1)
	for _, name := range []string{rk, sk} {
		f, _, _ := turned(t, raw, int(files["b.bundle: "+name])+20, Options{LogKey: h.LogKey}, files)
		if f.Rule != RuleSlot || f.Offset != 0 || f.Length != s.pieces[name].Size() ||
			!strings.Contains(f.Detail, "hash in the open leaf") {
			t.Errorf("%s: got %v of %d bytes", name, f, f.Length)
		}
	}
}

// Without a key only the chain shows a changed byte of a sealed chunk, when it is held to something: the fault names
// all since the last state that held.
func TestWithoutAKeyAFaultNamesTheBytesThatTheChainCannotTellApart(t *testing.T) {
	h := newHouse(t)
	r := h.Run([]byte("hello\n"), 1)
	raw := h.export(r)
	files, name := begins(t, raw), "b.bundle: "+format.FileName(r.SID, 0)
	at := int(files[name]) + 600
	f, from, to := turned(t, raw, at, Options{LogKey: h.LogKey}, files)
	if f.File != name || f.Length == 0 || f.Offset == 0 || int64(at) < from || int64(at) >= to {
		t.Errorf("without a key: got %v", f)
	}
	near, from, to := turned(t, raw, at, Options{LogKey: h.LogKey, Identities: h.both()}, files)
	if near.Rule != format.RuleTag || int64(at) < from || int64(at) >= to || near.Length >= f.Length {
		t.Errorf("with a key: got %v, want less than %d bytes", near, f.Length)
	}
}

func TestAManifestOutOfItsOneFormIsFoundWhereItLeavesIt(t *testing.T) {
	h := newHouse(t)
	good := must(reads(h.export(h.Run([]byte("x"), 1))))(t).raw
	for what, c := range map[string]struct {
		old, new, path string
		at             int // behind what is new
	}{
		"an unknown key":        {"\x68host_key", "\x68host_kez", "parts.0", 0},
		"a key that is twice":   {"\x67slot_rk\x18", "\x67slot_sk\x18", "parts.0", 10},
		"a list that is null":   {"\x66policy\x81", "\x66policy\xf6", "", -1},
		"a number as a text":    {"\x67history", "\x67history\x61", "history", 8},
		"a number in long form": {"av\x01", "av\x18\x01", "v", 2},
	} {
		if !bytes.Contains(good, []byte(c.old)) {
			t.Fatalf("%s: there is no %q", what, c.old)
		}
		bad := bytes.Replace(good, []byte(c.old), []byte(c.new), 1)
		if exact(bad, &manifest{}) == nil {
			t.Errorf("%s was read", what)
		}
		path, at := misread(bad)
		if want := bytes.Index(bad, []byte(c.new)) + c.at; c.at >= 0 && (path != c.path || at.at != want) ||
			at.n == len(bad) {
			t.Errorf("%s: got %q at %d, want %q at %d", what, path, at.at, c.path, want)
		}
	}
}
