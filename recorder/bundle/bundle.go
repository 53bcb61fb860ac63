// Package bundle makes and verifies the evidence bundle that an outsider gets: one file with a session's recordings,
// the leaves that announced and ended them, and the proofs that the log has these leaves.
//
// # One form
//
// A bundle has no checksum of its own, because an attacker who changes the bundle could compute it again. Its
// manifest is deterministic CBOR, which the verifier encodes again and compares. A leaf, a proof, a signature or a
// hash fixes everything in it. The hash chain fixes every recording, and leaves have both ends of the chain. So with
// the log's key every changed byte is found.
//
// # What a held checkpoint adds
//
// The owner of the log's key can sign a second history. A checkpoint that another party kept (the device, its owner,
// a witness) reveals this. The bundle has all leaves since the session began, with their types and references, but
// without the bodies that they commit to. So its log can be compared offline with any checkpoint since then, and a
// part or an end that was left out is found.
//
// # What it needs
//
// It needs no HTTP, no SQL and none of the gateway's code. It reads everything that the product signs with readers of
// its own, which only check (docs/decisions/0012).
package bundle

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/fxamacker/cbor/v2"

	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/recorder/format"
	"github.com/sallyport/sallyport/recorder/ledger"
)

// Version is the version of the format.
const Version = 1

// Limits, checked before allocation.
const (
	maxManifest = 16 << 20
	maxParts    = 4096
	maxEvents   = 8192
	maxPolicy   = 256
	maxSlot     = 64 << 10
	maxHistory  = 1 << 16                 // leaves
	maxLeaves   = 16 << 20                // their bytes
	alwaysFits  = maxLeaves / (2 + 1<<10) // leaves of the largest size
	maxProof    = 64
)

var magic = []byte("SLYBDL1\n")

// Names of the manifest and the history in an unpacked bundle.
const (
	manifestName = "manifest.cbor"
	historyName  = "history"
)

// Entry is a leaf, the nonce and body that it commits to, and the proof that it is at its index in the checkpoint's
// tree.
type Entry struct {
	Index uint64     `cbor:"index"`
	Leaf  []byte     `cbor:"leaf"`
	Nonce [16]byte   `cbor:"nonce"`
	Body  []byte     `cbor:"body"`
	Proof [][32]byte `cbor:"proof"`
}

// part is one container: its leaves, its passes, and the lengths of its three files.
type part struct {
	Open      Entry      `cbor:"open"`
	End       *Entry     `cbor:"end"` // close or interrupted; null: the log has none
	Pass      []byte     `cbor:"pass"`
	Passes    []nextPass `cbor:"passes,omitempty"` // after the first, by their leaves
	Asker     []byte     `cbor:"asker,omitempty"`  // statement of who asked
	HostKey   []byte     `cbor:"host_key"`         // the device's, in SSH wire form
	SlotRK    int64      `cbor:"slot_rk"`
	SlotSK    int64      `cbor:"slot_sk"`
	Recording int64      `cbor:"recording"`
}

type manifest struct {
	V          uint       `cbor:"v"`
	Session    id.Session `cbor:"session"`
	Checkpoint []byte     `cbor:"checkpoint"`
	Trust      []byte     `cbor:"trust"` // trust bundle's text
	TrustSig   []byte     `cbor:"trust_sig"`
	Policy     [][]byte   `cbor:"policy"` // texts of its files
	Parts      []part     `cbor:"parts"`
	Events     []Entry    `cbor:"events"`  // other leaves about the session, by index
	Peaks      [][32]byte `cbor:"peaks"`   // of the tree before the first open leaf, smallest first
	History    uint64     `cbor:"history"` // leaves from the first open leaf to the checkpoint; 0: not there
	HistoryLen int64      `cbor:"history_bytes"`
}

var encMode, decMode = modes()

func modes() (cbor.EncMode, cbor.DecMode) {
	enc, err := cbor.CoreDetEncOptions().EncMode()
	if err != nil {
		panic(err) // fixed options
	}
	dec, err := cbor.DecOptions{DupMapKey: cbor.DupMapKeyEnforcedAPF, IndefLength: cbor.IndefLengthForbidden, TagsMd: cbor.TagsForbidden,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField, MaxNestedLevels: 8, MaxArrayElements: maxEvents, MaxMapPairs: 64}.DecMode()
	if err != nil {
		panic(err)
	}
	return enc, dec
}

// exact reads the one encoding of v. Empty lists are never null, or they would have two.
func exact(raw []byte, v any) error {
	if err := decMode.Unmarshal(raw, v); err != nil {
		return err
	}
	if m, ok := v.(*manifest); ok {
		m.plain()
	}
	again, err := encMode.Marshal(v)
	if err == nil && !bytes.Equal(again, raw) {
		err = errors.New("not in its one deterministic encoding")
	}
	return err
}

// plain turns absent lists into empty ones.
func (m *manifest) plain() {
	fix := func(e *Entry) {
		e.Proof = some(e.Proof)
		e.Leaf, e.Body = some(e.Leaf), some(e.Body)
	}
	m.Policy, m.Parts, m.Events, m.Peaks = some(m.Policy), some(m.Parts), some(m.Events), some(m.Peaks)
	m.Checkpoint, m.Trust, m.TrustSig = some(m.Checkpoint), some(m.Trust), some(m.TrustSig)
	for i := range m.Policy {
		m.Policy[i] = some(m.Policy[i])
	}
	for i := range m.Events {
		fix(&m.Events[i])
	}
	for i := range m.Parts {
		p := &m.Parts[i]
		p.Pass, p.HostKey = some(p.Pass), some(p.HostKey)
		for j := range p.Passes {
			fix(&p.Passes[j].Leaf)
			p.Passes[j].Pass = some(p.Passes[j].Pass)
		}
		fix(&p.Open)
		if p.End != nil {
			fix(p.End)
		}
	}
}

func some[T any](in []T) []T {
	if in == nil {
		return []T{}
	}
	return in
}

// check compares the manifest with the limits, and names an element that exceeds one.
func (m *manifest) check() (path string, err error) {
	switch {
	case m.V != Version:
		return "v", fmt.Errorf("version %d; this program reads version %d", m.V, Version)
	case m.Session.IsZero():
		return "session", errors.New("no session")
	case len(m.Parts) == 0 || len(m.Parts) > maxParts:
		return "parts", fmt.Errorf("%d parts, want 1 to %d", len(m.Parts), maxParts)
	case len(m.Policy) > maxPolicy || len(m.Events) > maxEvents:
		return "policy events", errors.New("too many policy files or events")
	case m.History > maxHistory || m.HistoryLen < 0 || m.HistoryLen > maxLeaves || len(m.Peaks) > maxProof:
		return "history history_bytes peaks", errors.New("too much history")
	}
	for i, p := range m.Parts {
		if len(p.Passes) > ledger.MaxPasses {
			return partPath(i, "passes"), fmt.Errorf("part %d: %d further passes, at most %d", i, len(p.Passes), ledger.MaxPasses)
		}
		for name, n := range map[string]int64{"slot_rk": p.SlotRK, "slot_sk": p.SlotSK} {
			if n < 0 || n > maxSlot {
				return partPath(i, name), fmt.Errorf("part %d: a file's length is out of range", i)
			}
		}
		if p.Recording < 0 || p.Recording > 1<<50 {
			return partPath(i, "recording"), fmt.Errorf("part %d: a file's length is out of range", i)
		}
	}
	return "", nil
}

// partPath names an element of a part.
func partPath[N int | uint32](n N, name string) string { return fmt.Sprintf("parts.%d.%s", n, name) }

// piece is one file of a bundle: a name, and how long it must be.
type piece struct {
	name string
	size int64
}

// pieces are a bundle's files after the manifest, in order.
func (m *manifest) pieces() []piece {
	out := []piece{{historyName, m.HistoryLen}}
	for i, p := range m.Parts {
		rk, sk := format.SlotNames(m.Session, uint32(i))
		out = append(out, piece{rk, p.SlotRK}, piece{sk, p.SlotSK}, piece{format.FileName(m.Session, uint32(i)), p.Recording})
	}
	return out
}

// writeHead writes what precedes the pieces: magic, u32be length, manifest.
func (m *manifest) writeHead(w io.Writer) error {
	m.plain()
	if _, err := m.check(); err != nil {
		return fmt.Errorf("bundle: %w", err)
	}
	raw, err := encMode.Marshal(m)
	if err != nil {
		return fmt.Errorf("bundle: %w", err)
	}
	if len(raw) > maxManifest {
		return fmt.Errorf("bundle: manifest of %d bytes, at most %d", len(raw), maxManifest)
	}
	head := binary.BigEndian.AppendUint32(bytes.Clone(magic), uint32(len(raw)))
	_, err = w.Write(append(head, raw...))
	return err
}
