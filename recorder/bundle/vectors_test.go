package bundle

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"filippo.io/age"

	"github.com/sallyport/sallyport/recorder/format"
	"github.com/sallyport/sallyport/recorder/ledger"
)

var update = flag.Bool("update", false, "write anew what is found in the bundle's test vector of "+
	"docs/recording-format.md; the bundle itself only if it is gone")

const vectors = "testdata/vectors"

// vector is what a verifier finds in small.slyb.
type vector struct {
	LogKey   string        `json:"log_key"`
	Reader   string        `json:"reader"`   // age identities: these keys open this bundle and nothing else
	Unsealer string        `json:"unsealer"` //
	Session  string        `json:"session"`
	Manifest int           `json:"manifest_len"`
	Pieces   []vectorPiece `json:"pieces"`
	Parts    []vectorPart  `json:"parts"`
	Peaks    []string      `json:"peaks"`
	History  uint64        `json:"history"` // leaves
	Size     uint64        `json:"log_size"`
	Rules    []string      `json:"rules"`  // that hold, level and name, in the verifier's order
	Faults   []vectorFault `json:"faults"` // with the log's key and without identities
}

type vectorPiece struct {
	Name   string `json:"name"`
	Offset int64  `json:"offset"`
	Size   int64  `json:"size"`
}

type vectorPart struct {
	Open   uint64 `json:"open"`
	End    uint64 `json:"end"`
	H0     string `json:"h0"`
	HFinal string `json:"h_final"`
	Pass   string `json:"h_pass"`
}

type vectorFault struct {
	At   int    `json:"xor_at"` // this byte with 1
	Rule string `json:"rule"`
}

// TestTheBundlesVectorIsVerifiedAsTheSpecificationSays reads a bundle that was written once: a change of the format
// or of what a verifier makes of it shows here, and somebody else's verifier can be held to it.
func TestTheBundlesVectorIsVerifiedAsTheSpecificationSays(t *testing.T) {
	if _, err := os.Stat(filepath.Join(vectors, "small.slyb")); errors.Is(err, os.ErrNotExist) && *update {
		writeVector(t) // once: what was written must stay readable
	}
	raw, err := os.ReadFile(filepath.Join(vectors, "small.slyb"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(vectors, "small.json"))
	if err != nil {
		t.Fatal(err)
	}
	var want vector
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	got, err := json.MarshalIndent(found(t, raw, want), "", " ")
	if err != nil {
		t.Fatal(err)
	}
	if got = append(got, '\n'); *update {
		if err := os.WriteFile(filepath.Join(vectors, "small.json"), got, 0o644); err != nil {
			t.Fatal(err)
		}
	} else if !bytes.Equal(got, text) {
		t.Errorf("got\n%s\nwant\n%s", got, text)
	}
}

// writeVector makes a session of two parts, of which one byte is typed in the open and the rest hidden.
func writeVector(t *testing.T) {
	h := newHouse(t)
	raw := h.export(h.Run([]byte("hello\n"), 2))
	if err := os.MkdirAll(vectors, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(vectors, "small.slyb"), raw, 0o644); err != nil {
		t.Fatal(err)
	}
	v := found(t, raw, vector{LogKey: h.LogKey, Reader: h.Reader.String(), Unsealer: h.Officer.String()})
	text, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(vectors, "small.json"), append(text, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}

// found verifies the bundle with the keys of v and says what is in it.
func found(t *testing.T, raw []byte, v vector) vector {
	t.Helper()
	s := must(reads(raw))(t)
	out := vector{LogKey: v.LogKey, Reader: v.Reader, Unsealer: v.Unsealer, Session: s.m.Session.String(),
		History: s.m.History, Peaks: []string{}}
	at := int64(len(magic)+4) + int64(len(must(encMode.Marshal(&s.m))(t)))
	out.Manifest = int(at) - len(magic) - 4
	for _, p := range s.order {
		out.Pieces = append(out.Pieces, vectorPiece{p.name, at, p.size})
		at += p.size
	}
	for _, p := range s.m.Peaks {
		out.Peaks = append(out.Peaks, hex.EncodeToString(p[:]))
	}
	out.Size = must(ledger.ParseCheckpoint(s.m.Checkpoint, v.LogKey))(t).Size
	for _, p := range s.m.Parts {
		open, end := must(ledger.ParseOpenBody(p.Open.Body))(t), must(ledger.ParseCloseBody(p.End.Body))(t)
		out.Parts = append(out.Parts, vectorPart{p.Open.Index, p.End.Index, hex.EncodeToString(open.H0[:]),
			hex.EncodeToString(end.HFinal[:]), hex.EncodeToString(open.Pass[:])})
	}
	ids := must(age.ParseIdentities(strings.NewReader(v.Reader + "\n" + v.Unsealer)))(t)
	r := must(check(t, raw, Options{LogKey: v.LogKey, Identities: ids}))(t)
	for _, l := range r.Lines {
		if rule := l.Level + " " + l.Rule; !slices.Contains(out.Rules, rule) {
			out.Rules = append(out.Rules, rule)
		}
	}
	out.Faults = faults(t, raw, v.LogKey)
	return out
}

func faults(t *testing.T, raw []byte, key string) (out []vectorFault) {
	for at := 3; at < len(raw); at += len(raw) / 40 {
		bad := bytes.Clone(raw)
		bad[at] ^= 1
		_, err := check(t, bad, Options{LogKey: key})
		var f *format.Fault
		if !errors.As(err, &f) {
			t.Fatalf("byte %d is changed: got %v, want a fault", at, err)
		}
		out = append(out, vectorFault{at, f.Rule})
	}
	return out
}
