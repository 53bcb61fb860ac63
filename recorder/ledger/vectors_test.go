package ledger

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"github.com/sallyport/sallyport/internal/id"
)

var update = flag.Bool("update", false, "write the log's test vectors of docs/recording-format.md anew")

const vectorFile = "testdata/vectors/log.json"

type vecBytes []byte

func (h vecBytes) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(h)), nil }

// vector is a log of four entries with everything on the way to it.
type vector struct {
	Seed        vecBytes            `json:"log_seed"` // private half of the log's Ed25519 key
	Key         string              `json:"log_key"`
	Entries     []vectorEntry       `json:"entries"`
	Checkpoints []vectorHead        `json:"checkpoints"` // by size, from 0
	Inclusion   []vectorProof       `json:"inclusion"`
	Consistency []vectorProof       `json:"consistency"`
	Data        vecBytes            `json:"log.data"`
	Tiles       map[string]vecBytes `json:"tiles"`
}

type vectorEntry struct {
	Type     string   `json:"type"`
	Ref      []uint64 `json:"ref"`
	Nonce    vecBytes `json:"nonce"`
	Body     vecBytes `json:"body"`
	Commit   vecBytes `json:"commit"`
	Leaf     vecBytes `json:"leaf"`
	LeafHash vecBytes `json:"leaf_hash"`
}

type vectorHead struct {
	Root vecBytes `json:"root"`
	Note string   `json:"note"`
}

type vectorProof struct {
	From  uint64     `json:"from"` // index of the entry, or size of the older tree
	To    uint64     `json:"to"`   // size
	Proof []vecBytes `json:"proof"`
}

// TestTheLogsVectorsAreWhatTheCodeMakes writes a log with fixed keys, nonces and bodies, and compares every byte of
// it and of its proofs with what docs/recording-format.md gives to others.
func TestTheLogsVectorsAreWhatTheCodeMakes(t *testing.T) {
	raw, err := json.MarshalIndent(makeVector(t), "", " ")
	if err != nil {
		t.Fatal(err)
	}
	raw = append(raw, '\n')
	if *update {
		if err := os.MkdirAll(filepath.Dir(vectorFile), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(vectorFile, raw, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(vectorFile)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Split(string(raw), "\n"), strings.Split(string(want), "\n"); len(got) != len(want) {
		t.Errorf("got %d lines, want %d", len(got), len(want))
	} else {
		for i := range got {
			if got[i] != want[i] {
				t.Errorf("line %d: got %s, want %s", i+1, got[i], want[i])
			}
		}
	}
}

func vectorKey(t *testing.T) (seed []byte, s note.Signer, verifier string) {
	t.Helper()
	seed = bytes.Repeat([]byte{9}, 32)
	verifier, err := note.NewEd25519VerifierKey("gw.example/log",
		ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	text := "PRIVATE+KEY+gw.example/log+" + strings.Split(verifier, "+")[1] + "+" +
		base64.StdEncoding.EncodeToString(append([]byte{1}, seed...))
	if s, err = note.NewSigner(text); err != nil {
		t.Fatal(err)
	}
	return seed, s, verifier
}

// vectorEntries are a decision, the session it allowed, from open to close, and a look at its record.
func vectorEntries(t *testing.T) []Entry {
	t.Helper()
	fill := func(b byte) (out [32]byte) { copy(out[:], bytes.Repeat([]byte{b}, 32)); return }
	sid, key := id.Session(bytes.Repeat([]byte{0x5a}, 16)), fill(0x18)
	open := OpenBody{Session: sid, Device: fill(0x11), DeviceFP: fill(0x12), H0: fill(0x13), Pass: fill(0x14),
		SlotRK: fill(0x15), SlotSK: fill(0x16), GatewayKey: fill(0x17),
		GatewayPub: key[:], RetainUntil: 1_900_000_000}
	end := CloseBody{Session: sid, Open: 1, HFinal: fill(0x19), Seq: 12, Bytes: 3456, Reason: "exit",
		AtMS: 1_800_000_060_000}
	var out []Entry
	for i, e := range []struct {
		typ  string
		ref  []uint64
		body interface{ Marshal() ([]byte, error) }
	}{
		{"decided", nil, EventBody{By: "https://idp.example jana", AtMS: 1_800_000_000_000,
			Fields: map[string]string{"subject": sid.String(), "phase": "done", "allowed": "true"}}},
		{"open", nil, open},
		{"close", []uint64{1}, end},
		{"viewed", nil, EventBody{By: "https://idp.example olga", AtMS: 1_800_000_120_000,
			Fields: map[string]string{"subject": sid.String()}}},
	} {
		body, err := e.body.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		nonce := [16]byte(bytes.Repeat([]byte{byte(0x21 + i)}, 16))
		out = append(out, Entry{Leaf: Leaf{Type: e.typ, Ref: e.ref, Commit: Commit(nonce, body)}, Nonce: nonce,
			Body: body})
	}
	return out
}

func makeVector(t *testing.T) *vector {
	t.Helper()
	seed, s, verifier := vectorKey(t)
	v := &vector{Seed: seed, Key: verifier, Tiles: map[string]vecBytes{}}
	dir := t.TempDir()
	l, err := Create(dir, "gw.example/log", s)
	if err != nil {
		t.Fatal(err)
	}
	v.head(l)
	for _, e := range vectorEntries(t) {
		if _, err := l.Append(context.Background(), e); err != nil { // one by one, so one batch each
			t.Fatal(err)
		}
		v.head(l)
		v.entry(t, e)
	}
	v.proofs(t, l)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if v.Data, err = os.ReadFile(filepath.Join(dir, dataFile)); err != nil {
		t.Fatal(err)
	}
	c, err := OpenCopy(dir, verifier) // what an outsider makes of it
	if err != nil || c.Head.Size != 4 {
		t.Fatalf("got a copy of %+v, %v", c, err)
	}
	v.tiles(t, dir)
	return v
}

func (v *vector) head(l *Log) {
	h := l.Head()
	v.Checkpoints = append(v.Checkpoints, vectorHead{Root: h.Root[:], Note: string(h.Note)})
}

func (v *vector) entry(t *testing.T, e Entry) {
	leaf, err := e.Leaf.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	hash, ref := LeafHash(leaf), e.Leaf.Ref
	if ref == nil {
		ref = []uint64{}
	}
	v.Entries = append(v.Entries, vectorEntry{Type: e.Leaf.Type, Ref: ref, Nonce: e.Nonce[:], Body: e.Body,
		Commit: e.Leaf.Commit[:], Leaf: leaf, LeafHash: hash[:]})
}

func (v *vector) proofs(t *testing.T, l *Log) {
	size := uint64(len(v.Entries))
	for i := range size {
		p, err := l.Prove(i, size)
		if err != nil {
			t.Fatal(err)
		}
		v.Inclusion = append(v.Inclusion, vectorProof{From: i, To: size, Proof: vecProof(p)})
	}
	for from := uint64(1); from < size; from++ {
		p, err := l.ProveConsistency(from, size)
		if err != nil {
			t.Fatal(err)
		}
		v.Consistency = append(v.Consistency, vectorProof{From: from, To: size, Proof: vecProof(p)})
	}
}

func vecProof(in [][32]byte) []vecBytes {
	out := []vecBytes{}
	for _, h := range in {
		out = append(out, bytes.Clone(h[:]))
	}
	return out
}

// tiles takes the published files of the whole log. Narrower ones, from before, depend on when the publisher ran.
func (v *vector) tiles(t *testing.T, dir string) {
	t.Helper()
	for _, want := range []string{"checkpoint", "tile/0/000.p/4", "tile/entries/000.p/4"} {
		raw, err := fs.ReadFile(os.DirFS(dir), want)
		if err != nil {
			t.Fatal(err)
		}
		v.Tiles[want] = raw
	}
}

// TestTheSpecificationNamesEveryLeafType: a verifier elsewhere refuses what it does not know.
func TestTheSpecificationNamesEveryLeafType(t *testing.T) {
	raw, err := os.ReadFile("../../docs/recording-format.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(raw), "The types: ")
	list, _, _ := strings.Cut(rest, ".\n")
	if got, want := list, "`"+strings.Join(Types, "` `")+"`"; got != want {
		t.Errorf("the document has %s, want %s", got, want)
	}
}
