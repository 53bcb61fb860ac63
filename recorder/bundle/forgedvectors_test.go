package bundle

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"
	"golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/wire"
	"github.com/sallyport/sallyport/recorder/format"
	"github.com/sallyport/sallyport/recorder/ledger"
	"github.com/sallyport/sallyport/recorder/seal/sealtest"
)

// forgedVectors are bundles with valid hashes and signatures, which an attacker with all keys can make. All but the
// first break a rule of the specification.
type forgedVectors struct {
	LogKey   string         `json:"log_key"`
	Reader   string         `json:"reader"`
	Unsealer string         `json:"unsealer"`
	Bundles  []forgedVector `json:"bundles"`
}

type forgedVector struct {
	Name string `json:"name"` // of the file, without .slyb
	Rule string `json:"rule"` // with the log's key and both identities; empty: nothing is wrong
	In   string `json:"in"`   // element of the manifest, or piece with an offset
}

// forgery makes the bundle of one vector. after changes the manifest, which no key signs.
type forgery struct {
	name  string
	parts []func(f *forged)
	after func(m *manifest)
}

func oneGrant(change func(f *forged, g *wire.Grant)) func(f *forged) {
	return func(f *forged) {
		g := f.grant.(wire.Grant)
		change(f, &g)
		f.grant = g
	}
}

func asks(change func(a *ledger.Asker)) func(f *forged) {
	return func(f *forged) {
		a := f.asker.(ledger.Asker)
		change(&a)
		f.asker = a
	}
}

func tells(typ string, ref []int, body func(at uint64, open ledger.OpenBody) any) func(f *forged) {
	return func(f *forged) { f.events = append(f.events, forgedEvent{typ, ref, body}) }
}

func says(fields map[string]string) func(uint64, ledger.OpenBody) any {
	return func(_ uint64, open ledger.OpenBody) any {
		return ledger.EventBody{By: "olga", AtMS: (open.RetainUntil + 60) * 1000, Fields: fields}
	}
}

// forgeries are the vectors in their order.
func forgeries(t *testing.T, h *house) []forgery {
	one := func(f func(*forged)) []func(*forged) { return []func(*forged){f} }
	noKey := oneGrant(func(f *forged, g *wire.Grant) {
		f.hdr.DeviceFP = sha256.Sum256(nil)
		g.Device = wire.Hash(f.hdr.DeviceFP)
	})
	return []forgery{
		{"nothing-wrong", []func(*forged){nil, nil}, nil},
		{"progress-second-ref", one(tells("progress", []int{0, -1}, func(at uint64, open ledger.OpenBody) any {
			return ledger.ProgressBody{Session: open.Session, Open: at, H: [32]byte{1}, Seq: 1, AtMS: 1}
		})), nil},
		{"pass-unknown-key", one(func(f *forged) {
			f.grant = struct {
				wire.Grant
				More int `cbor:"19,keyasint"`
			}{f.grant.(wire.Grant), 1}
		}), nil},
		{"pass-null-approvers", one(oneGrant(func(_ *forged, g *wire.Grant) { g.Approvers = nil })), nil},
		{"pass-escape-in-name", one(oneGrant(func(_ *forged, g *wire.Grant) { g.Subject.Display = "Tess\x1b[2J" })), nil},
		{"pass-action-spelling", one(oneGrant(func(_ *forged, g *wire.Grant) {
			g.Actions = []string{"run:svc /bin/x 'a'"}
		})), nil},
		{"pass-too-long", one(func(f *forged) {
			f.pass = func(c *ssh.Certificate) { c.Nonce = make([]byte, 4<<10) }
		}), nil},
		{"parts-other-person", []func(*forged){nil, oneGrant(func(_ *forged, g *wire.Grant) {
			g.Subject.Pseudonym = []byte{2}
		})}, nil},
		{"parts-other-login", []func(*forged){nil, oneGrant(func(f *forged, g *wire.Grant) {
			f.login, g.Login, g.Actions = "root", "root", []string{"shell:root"}
		})}, nil},
		{"host-key-empty", one(noKey), func(m *manifest) { m.Parts[0].HostKey = nil }},
		{"asker-other-session", one(asks(func(a *ledger.Asker) { a.Session = id.NewSession() })), nil},
		{"asker-null-methods", one(asks(func(a *ledger.Asker) { a.Methods = nil })), nil},
		{"asker-other-statement", one(nil), func(m *manifest) { m.Parts[0].Asker[60] ^= 1 }},
		{"asker-other-person", []func(*forged){nil, asks(func(a *ledger.Asker) { a.Subject = "ada" })}, nil},
		{"asker-without-commitment", one(func(f *forged) { f.open = func(b *ledger.OpenBody) { b.Asker = nil } }), nil},
		{"header-other-log", one(otherLog), nil},
		{"event-null-fields", one(tells("viewed", []int{0}, func(uint64, ledger.OpenBody) any {
			return struct {
				By     string            `cbor:"by"`
				AtMS   int64             `cbor:"at_ms"`
				Fields map[string]string `cbor:"fields"`
			}{}
		})), nil},
		{"leaf-refers-to-itself", one(tells("viewed", []int{0, 1}, says(nil))), nil},
		{"end-final-statement", one(closes(func(b *ledger.CloseBody) { b.Final[31] = 1 })), nil},
		{"end-gaps", one(closes(func(b *ledger.CloseBody) { b.Gaps++ })), nil},
		{"shredding-begun", one(tells("shredded", []int{0}, says(map[string]string{"phase": "begun"}))),
			func(m *manifest) { m.Parts[0].SlotSK = 0 }},
		{"unsealer-slot-31-bytes", one(func(f *forged) { f.sk = wrapped(t, h.Officer, make([]byte, 31)) }), nil},
		{"frame-later-than-next-chunk", one(func(f *forged) { f.fill = lateFrame }), nil},
		{"gaps-wrap", one(func(f *forged) {
			f.fill = func(p *sealtest.Part) {
				for _, n := range []uint64{math.MaxUint64, 1} {
					p.Encoded(format.KindGap, format.Gap{Reason: "budget", Bytes: n})
				}
			}
		}), nil},
	}
}

func wrapped(t testing.TB, to *age.X25519Identity, key []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := must(age.Encrypt(&out, to.Recipient()))(t)
	must(w.Write(key))(t)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// lateFrame puts a frame that goes on in a chunk of an earlier time.
func lateFrame(p *sealtest.Part) {
	p.Out(1, "hello")
	p.Flush()
	for _, piece := range [][]byte{{100, byte(format.KindNotice), 3, 'a'}, []byte("bc")} {
		var err error
		if p.File, err = p.Sealer.Raw(p.Bench, p.File, p.T, piece, nil); err != nil {
			p.TB.Fatal(err)
		}
	}
	p.Sealer.Totals.Frames++
	p.Pass(1000)
}

// TestForgedVectorsAreRefusedAsTheSpecificationSays reads stored bundles, so that the tests of another verifier can
// use the same ones.
func TestForgedVectorsAreRefusedAsTheSpecificationSays(t *testing.T) {
	dir := filepath.Join(vectors, "forged")
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) && *update {
		writeForged(t, dir)
	}
	index := filepath.Join(dir, "forged.json")
	text := must(os.ReadFile(index))(t)
	var v forgedVectors
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	ids := must(age.ParseIdentities(strings.NewReader(v.Reader + "\n" + v.Unsealer)))(t)
	for i := range v.Bundles {
		b := &v.Bundles[i]
		raw := must(os.ReadFile(filepath.Join(dir, b.Name+".slyb")))(t)
		_, err := check(t, raw, Options{LogKey: v.LogKey, Identities: ids})
		b.Rule, b.In = format.RuleOf(err), placeOf(err)
		if (err == nil) != (b.Name == "nothing-wrong") || err != nil && b.Rule == "" {
			t.Errorf("%s: got %v", b.Name, err)
		}
	}
	got := must(json.MarshalIndent(v, "", " "))(t)
	if got = append(got, '\n'); *update {
		if err := os.WriteFile(index, got, 0o644); err != nil {
			t.Fatal(err)
		}
	} else if !bytes.Equal(got, text) {
		t.Errorf("got\n%s\nwant\n%s", got, text)
	}
}

// placeOf returns the element of the manifest that a fault names, or its piece with the offset.
func placeOf(err error) string {
	var f *format.Fault
	if !errors.As(err, &f) {
		return ""
	}
	if path, ok := strings.CutPrefix(f.Detail, "manifest, "); ok {
		path, _, _ = strings.Cut(path, ":")
		return path
	}
	_, piece, _ := strings.Cut(f.File, ": ")
	return piece + " " + f.Place()
}

func writeForged(t *testing.T, dir string) {
	h := newHouse(t)
	v := forgedVectors{LogKey: h.LogKey, Reader: h.Reader.String(), Unsealer: h.Officer.String()}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, f := range forgeries(t, h) {
		raw, ran := h.forge(f.parts...)
		if f.after != nil {
			_, sk := format.SlotNames(ran.SID, 0)
			raw = forge(t, raw, func(m *manifest, pieces map[string][]byte) {
				if f.after(m); m.Parts[0].SlotSK == 0 {
					pieces[sk] = nil
				}
			})
		}
		if err := os.WriteFile(filepath.Join(dir, f.name+".slyb"), raw, 0o644); err != nil {
			t.Fatal(err)
		}
		v.Bundles = append(v.Bundles, forgedVector{Name: f.name})
	}
	text := must(json.Marshal(v))(t)
	if err := os.WriteFile(filepath.Join(dir, "forged.json"), text, 0o644); err != nil {
		t.Fatal(err)
	}
}
