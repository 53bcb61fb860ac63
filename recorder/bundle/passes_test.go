package bundle

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/wire"
	"github.com/sallyport/sallyport/recorder"
	"github.com/sallyport/sallyport/recorder/bundle/bundletest"
	"github.com/sallyport/sallyport/recorder/ledger"
)

func renewed(t *testing.T, times int) (*house, bundletest.Ran, []byte) {
	t.Helper()
	h := newHouse(t)
	h.Renewed = times
	r := h.Run([]byte("hello\n"), 2)
	return h, r, h.export(r)
}

func TestEveryPassOfASessionIsProven(t *testing.T) {
	h, _, raw := renewed(t, 2)
	rep, err := check(t, raw, Options{LogKey: h.LogKey})
	if err != nil {
		t.Fatalf("%v\n%s", err, text(rep))
	}
	if n := strings.Count(text(rep), "no wider than the one before"); n != 4 {
		t.Errorf("the report speaks of %d further passes, want 4:\n%s", n, text(rep))
	}
	if rep, err := h.census(Options{LogDir: h.LogDir(), RecordingsDir: h.Recordings()}); err != nil {
		t.Errorf("census: %v\n%s", err, text(rep))
	}
	if _, err := h.census(Options{LogDir: h.CopyOf(true)}); err != nil {
		t.Errorf("census of leaves alone: %v", err)
	}
}

func TestAFlippedByteOfABundleWithMorePassesIsFound(t *testing.T) {
	h := newHouse(t)
	h.Renewed = 1
	raw := h.export(h.Run([]byte("hello\n"), 1))
	bad := bytes.Clone(raw)
	for at := range raw {
		bad[at] ^= 1 << (at % 8)
		_, err := check(t, bad, Options{LogKey: h.LogKey})
		bad[at] = raw[at]
		if err == nil {
			t.Fatalf("byte %d of %d is changed and nothing is found", at, len(raw))
		}
	}
}

func TestAPassThatIsTakenOutOrPutInIsFound(t *testing.T) {
	h, _, raw := renewed(t, 2)
	_, foreign, _ := renewed(t, 1)
	var stranger []byte
	for _, stranger = range foreign.Parts[0].Passes {
	}
	for name, c := range map[string]struct {
		rule   string
		change func(m *manifest)
	}{
		"a dropped pass leaf":  {RulePass, func(m *manifest) { m.Parts[0].Passes = m.Parts[0].Passes[1:] }},
		"the last one dropped": {RuleHistory, func(m *manifest) { m.Parts[0].Passes = m.Parts[0].Passes[:1] }},
		"all dropped":          {RuleHistory, func(m *manifest) { m.Parts[1].Passes = nil }},
		"one twice": {RulePass, func(m *manifest) {
			p := &m.Parts[0]
			p.Passes = append(p.Passes, p.Passes[1])
		}},
		"swapped": {RulePass, func(m *manifest) { slices.Reverse(m.Parts[0].Passes) }},
		"passes swapped": {RulePass, func(m *manifest) {
			p := m.Parts[0].Passes
			p[0].Pass, p[1].Pass = p[1].Pass, p[0].Pass
		}},
		"a pass of another house": {RulePass, func(m *manifest) { m.Parts[0].Passes[0].Pass = stranger }},
		"the first pass again":    {RulePass, func(m *manifest) { m.Parts[0].Passes[0].Pass = m.Parts[0].Pass }},
		"another part's passes":   {RulePass, func(m *manifest) { m.Parts[0].Passes = m.Parts[1].Passes }},
		"a pass leaf as an event": {RuleLeaf,
			func(m *manifest) { m.Events = append([]Entry{m.Parts[0].Passes[1].Leaf}, m.Events...) }},
		"an end for a pass leaf": {RulePass, func(m *manifest) { m.Parts[0].Passes[1].Leaf = *m.Parts[0].End }},
		"another body": {RuleLeaf,
			func(m *manifest) { m.Parts[0].Passes[1].Leaf.Body = m.Parts[0].Passes[0].Leaf.Body }},
		"a proof for another place": {RuleLeaf, func(m *manifest) { m.Parts[0].Passes[1].Leaf.Proof[0][0] ^= 1 }},
		"more than there can be": {RuleBundle, func(m *manifest) {
			m.Parts[0].Passes = make([]nextPass, ledger.MaxPasses+1)
		}},
		"a pass leaf without a leaf": {RuleLeaf, func(m *manifest) { m.Parts[0].Passes[1].Leaf.Leaf = nil }},
	} {
		if name == "more than there can be" {
			var m manifest
			forge(t, raw, func(of *manifest, _ map[string][]byte) { m = *of })
			m.Parts = slices.Clone(m.Parts)
			c.change(&m)
			if _, err := m.check(); err == nil {
				t.Errorf("%s: taken", name)
			}
			continue
		}
		_, err := check(t, forge(t, raw, func(m *manifest, _ map[string][]byte) { c.change(m) }),
			Options{LogKey: h.LogKey})
		wantRule(t, name, err, c.rule)
	}
}

// TestAPassThatWasLostIsSaid: the gateway may have died between the signer's answer and its own store. What a device
// had under such a pass is not covered by it.
func TestAPassThatWasLostIsSaid(t *testing.T) {
	h, _, raw := renewed(t, 2)
	lost := forge(t, raw, func(m *manifest, _ map[string][]byte) { m.Parts[0].Passes[0].Pass = nil })
	rep, err := check(t, lost, Options{LogKey: h.LogKey})
	if err != nil || !strings.Contains(text(rep), "pass 1 was announced as entry") ||
		!strings.Contains(text(rep), "is not in the bundle") {
		t.Errorf("got %v\n%s", err, text(rep))
	}
}

// lie is a next pass as somebody can make it who has the keys of the signer.
type lie struct {
	grant wire.Grant
	key   ssh.PublicKey
	ca    ssh.Signer
	from  time.Time
	until time.Time
	typ   string
	ref   []uint64
	body  ledger.PassBody
	pass  []byte // instead of the signed one
}

// told runs a session with one next pass that a lie makes of an honest one.
func told(t *testing.T, change func(h *house, l *lie, before *wire.Pass)) (*house, []byte) {
	t.Helper()
	h := newHouse(t)
	h.Run([]byte("x"), 1)
	ran := bundletest.Ran{SID: id.NewSession()}
	rec := must(h.Node.Create(t.Context(), recorder.PartConfig{Session: ran.SID,
		DeviceFP: wire.Fingerprint(h.Host)}))(t)
	o := h.Open(ran, rec, 0)
	before := must(wire.ParsePass(o.Pass, []ssh.PublicKey{h.CA().PublicKey()}))(t)
	pub, _, _ := ed25519.GenerateKey(rand.Reader)
	now := time.Now().Add(-h.Ago)
	l := lie{grant: before.Grant, key: must(ssh.NewPublicKey(pub))(t), ca: h.CA(), from: now.Add(-time.Minute),
		until: now.Add(time.Hour),
		typ:   "pass", ref: []uint64{o.Index}, body: ledger.PassBody{Session: ran.SID, Open: o.Index, N: 1,
			Prev: before.Hash, AtMS: now.UnixMilli()}}
	l.grant.Actions = slices.Clone(l.grant.Actions)
	if change != nil {
		change(h, &l, before)
	}
	next := must(wire.NewPass(l.grant, l.key, l.ca.PublicKey(), l.from, l.until))(t)
	raw := must(next.Sign(l.ca))(t)
	if l.body.Pass == [32]byte{} {
		l.body.Pass = next.Hash
	}
	if l.pass != nil {
		raw = l.pass
	}
	at := o.Index + 1
	h.Lie(l.typ, must(l.body.Marshal())(t), l.ref...)
	h.Reopen()
	h.Start(rec)
	if err := rec.Output(t.Context(), 1, 1, []byte("y")); err != nil {
		t.Fatal(err)
	}
	_, end := h.End(ran.SID, 0, o.Index, rec)
	ran.Parts = append(ran.Parts, bundletest.Part{Open: o.Index, End: end, Pass: o.Pass,
		Passes: map[uint64][]byte{at: raw}, Started: rec.Started()})
	return h, h.export(ran)
}

// TestALyingSignersPassIsFound: whoever has its keys can sign and announce anything.
func TestALyingSignersPassIsFound(t *testing.T) {
	h, raw := told(t, nil)
	if rep, err := check(t, raw, Options{LogKey: h.LogKey}); err != nil {
		t.Fatalf("the truth: %v\n%s", err, text(rep))
	}
	stranger := must(ssh.NewSignerFromKey(ed25519.NewKeyFromSeed(make([]byte, 32))))(t)
	for what, c := range map[string]struct {
		change func(h *house, l *lie, before *wire.Pass)
		log    bool // the copy of the log shows it too
	}{
		"another action": {func(_ *house, l *lie, _ *wire.Pass) {
			l.grant.Actions = append(l.grant.Actions, "web:hmi")
		}, false},
		"a command instead": {func(_ *house, l *lie, _ *wire.Pass) {
			l.grant.Actions = []string{"run:svc /bin/x"}
		}, false},
		"a template more": {func(_ *house, l *lie, _ *wire.Pass) {
			l.grant.Templates = [][]any{{"/bin/x", uint64(1)}}
		}, false},
		"another login": {func(_ *house, l *lie, _ *wire.Pass) {
			l.grant.Login, l.grant.Actions = "root", []string{"shell:root"}
		}, false},
		"another person": {func(_ *house, l *lie, _ *wire.Pass) { l.grant.Subject.Display = "Ada" },
			false},
		"another pseudonym": {func(_ *house, l *lie, _ *wire.Pass) {
			l.grant.Subject.Pseudonym = []byte{1}
		}, false},
		"an earlier epoch":             {func(_ *house, l *lie, _ *wire.Pass) { l.grant.Epoch-- }, false},
		"another device":               {func(_ *house, l *lie, _ *wire.Pass) { l.grant.Device[0] ^= 1 }, false},
		"another session":              {func(_ *house, l *lie, _ *wire.Pass) { l.grant.Session[0] ^= 1 }, false},
		"the key of the pass before":   {func(_ *house, l *lie, before *wire.Pass) { l.key = before.Cert.Key }, false},
		"another CA":                   {func(_ *house, l *lie, _ *wire.Pass) { l.ca = stranger }, false},
		"another pass than the leaf's": {func(_ *house, l *lie, _ *wire.Pass) { l.body.Pass = [32]byte{1} }, false},
		"garbage for a pass":           {func(_ *house, l *lie, _ *wire.Pass) { l.pass = []byte("x") }, false},
		"a leaf of another session":    {func(_ *house, l *lie, _ *wire.Pass) { l.body.Session[0] ^= 1 }, true},
		"a leaf of another part":       {func(_ *house, l *lie, _ *wire.Pass) { l.body.Part = 1 }, true},
		"a leaf of another beginning":  {func(_ *house, l *lie, _ *wire.Pass) { l.body.Open-- }, true},
		"a number too high":            {func(_ *house, l *lie, _ *wire.Pass) { l.body.N = 2 }, true},
		"no number":                    {func(_ *house, l *lie, _ *wire.Pass) { l.body.N = 0 }, true},
		"after a pass that is not one": {func(_ *house, l *lie, _ *wire.Pass) { l.body.Prev = [32]byte{1} }, true},
		"the pass before again":        {func(_ *house, l *lie, before *wire.Pass) { l.body.Pass = before.Hash }, true},
		"a reference to nothing":       {func(_ *house, l *lie, _ *wire.Pass) { l.ref = nil }, true},
		"a reference to an event":      {func(_ *house, l *lie, _ *wire.Pass) { l.ref = []uint64{l.ref[0] - 1} }, true},
		"a second reference":           {func(_ *house, l *lie, _ *wire.Pass) { l.ref = append(l.ref, 0) }, true},
	} {
		h, raw := told(t, c.change)
		_, err := check(t, raw, Options{LogKey: h.LogKey})
		wantRule(t, what, err, RulePass)
		if _, err := h.census(Options{LogDir: h.LogDir()}); c.log {
			wantRule(t, what+", in the log", err, RulePass)
		} else if err != nil {
			t.Errorf("%s, in the log: got %v; a leaf does not show it", what, err)
		}
	}
}

func TestAPassAfterTheEndIsFound(t *testing.T) {
	h := newHouse(t)
	r := h.Run([]byte("x"), 1)
	open := r.Parts[0].Open
	body := ledger.PassBody{Session: r.SID, Open: open, N: 1, Pass: [32]byte{9},
		Prev: [32]byte(must(wire.ReadPass(r.Parts[0].Pass))(t).Hash)}
	h.Lie("pass", must(body.Marshal())(t), open)
	h.Reopen()
	_, err := h.census(Options{LogDir: h.LogDir()})
	wantRule(t, "in the log", err, RulePass)
	_, err = check(t, h.export(r), Options{LogKey: h.LogKey})
	wantRule(t, "in the bundle", err, RulePass)
}
