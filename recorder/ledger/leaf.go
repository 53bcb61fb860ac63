package ledger

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/fxamacker/cbor/v2"

	"github.com/sallyport/sallyport/internal/id"
)

// Types are the leaf types that exist. Another one is refused: what no verifier knows, nobody checks.
var Types = []string{"decided", "open", "pass", "progress", "close", "interrupted", "device-final", "viewed", "searched", "exported", "unsealed", "shredded", "rewrapped",
	"readable", "hold", "policy", "label", "group-map", "token", "credential-reset", "join", "admitted", "revoked", "locked", "disputed", "intercepted", "consent",
	"freeze", "owner-rules", "clock-step", "disk-low", "agent-updated", "restore", "key-rotate", "emergency", "signed-in", "signed-out", "refused", "ended",
	"survivors", "site-owners", "asked", "approved", "denied", "granted", "withdrawn", "owners", "reviewed", "proposed", "dropped"}

const (
	maxLeaf = 1 << 10
	maxRefs = 16
)

// Leaf is one entry of the log as everybody may see it.
type Leaf struct {
	Type   string   `cbor:"type"`
	Ref    []uint64 `cbor:"ref"`
	Commit [32]byte `cbor:"commit"`
}

// Commit is H(nonce | body): it hides the body from those who are not given both.
func Commit(nonce [16]byte, body []byte) [32]byte {
	d := sha256.New()
	d.Write(nonce[:])
	d.Write(body)
	return [32]byte(d.Sum(nil))
}

func (l Leaf) check() error {
	if !slices.Contains(Types, l.Type) {
		return fmt.Errorf("leaf: type %.40q does not exist", l.Type)
	}
	if len(l.Ref) > maxRefs {
		return fmt.Errorf("leaf: %d references, at most %d", len(l.Ref), maxRefs)
	}
	return nil
}

// Marshal gives the leaf's one encoding.
func (l Leaf) Marshal() ([]byte, error) {
	if err := l.check(); err != nil {
		return nil, err
	}
	if l.Ref == nil {
		l.Ref = []uint64{}
	}
	return marshal(l)
}

// ParseLeaf reads what Marshal writes and nothing else.
func ParseLeaf(raw []byte) (Leaf, error) {
	var l Leaf
	if len(raw) > maxLeaf {
		return l, fmt.Errorf("leaf: longer than %d bytes", maxLeaf)
	}
	if err := unmarshal(raw, &l); err != nil {
		return l, fmt.Errorf("leaf: %w", err)
	}
	if l.Ref == nil { // null would be a second form of the empty list
		return l, fmt.Errorf("leaf: %w", errForm)
	}
	return l, l.check()
}

// OpenBody announces one part of a session before its first byte.
type OpenBody struct {
	Session     id.Session        `cbor:"session"`
	Part        uint32            `cbor:"part"`
	Device      [32]byte          `cbor:"device"`    // pseudonym
	DeviceFP    [32]byte          `cbor:"device_fp"` // of the SSH host key
	H0          [32]byte          `cbor:"h0"`        // the recording's first hash
	Pass        [32]byte          `cbor:"pass"`      // H(pass)
	SlotRK      [32]byte          `cbor:"slot_rk"`   // of the slot files
	SlotSK      [32]byte          `cbor:"slot_sk"`
	GatewayKey  [32]byte          `cbor:"gateway_key"` // fingerprint of the record key
	GatewayPub  ed25519.PublicKey `cbor:"gateway_pub"`
	RetainUntil int64             `cbor:"retain_until"`    // Unix seconds
	PrevOpen    *uint64           `cbor:"prev_open"`       // open leaf of the part before
	Asker       *[32]byte         `cbor:"asker,omitempty"` // commitment to who asked; absent in earlier releases
}

// Marshal gives the one encoding.
func (b OpenBody) Marshal() ([]byte, error) { return marshal(b) }

// ParseOpenBody reads it.
func ParseOpenBody(raw []byte) (OpenBody, error) {
	var b OpenBody
	return b, unmarshalBody("open", raw, &b)
}

// CloseBody says how a part ended: leaf types close and interrupted.
type CloseBody struct {
	Session id.Session `cbor:"session"`
	Part    uint32     `cbor:"part"`
	Open    uint64     `cbor:"open"` // index of the open leaf
	HFinal  [32]byte   `cbor:"h_final"`
	Seq     uint32     `cbor:"seq"`
	Bytes   int64      `cbor:"bytes"`
	Gaps    uint64     `cbor:"gaps"`
	Reason  string     `cbor:"reason"`
	Final   [32]byte   `cbor:"final_statement"` // zero: the device made none
	AtMS    int64      `cbor:"at_ms"`
}

// Marshal gives the one encoding.
func (b CloseBody) Marshal() ([]byte, error) { return marshal(b) }

// ParseCloseBody reads it.
func ParseCloseBody(raw []byte) (CloseBody, error) {
	var b CloseBody
	return b, unmarshalBody("close", raw, &b)
}

// EventBody is the body of every other type: who, when, and what in words.
type EventBody struct {
	By     string            `cbor:"by"`
	AtMS   int64             `cbor:"at_ms"`
	Fields map[string]string `cbor:"fields"`
}

// Marshal gives the one encoding. It replaces what is not UTF-8 in texts, which may come from devices: no reader takes
// such a body.
func (b EventBody) Marshal() ([]byte, error) {
	valid := func(s string) string { return strings.ToValidUTF8(s, "\ufffd") }
	fields := make(map[string]string, len(b.Fields))
	for name, text := range b.Fields {
		fields[valid(name)] = valid(text)
	}
	b.By, b.Fields = valid(b.By), fields
	return marshal(b)
}

// ParseEventBody reads it.
func ParseEventBody(raw []byte) (EventBody, error) {
	var b EventBody
	err := unmarshalBody("event", raw, &b)
	if err == nil && b.Fields == nil { // null would be a second form of the empty map
		err = fmt.Errorf("event body: %w", errForm)
	}
	return b, err
}

func unmarshalBody(what string, raw []byte, v any) error {
	if len(raw) > MaxBody {
		return fmt.Errorf("%s body: longer than %d bytes", what, MaxBody)
	}
	if err := unmarshal(raw, v); err != nil {
		return fmt.Errorf("%s body: %w", what, err)
	}
	return nil
}

var encMode, decMode = modes()

func modes() (cbor.EncMode, cbor.DecMode) {
	enc, err := cbor.CoreDetEncOptions().EncMode()
	if err != nil {
		panic(err) // fixed options
	}
	dec, err := cbor.DecOptions{DupMapKey: cbor.DupMapKeyEnforcedAPF, IndefLength: cbor.IndefLengthForbidden, TagsMd: cbor.TagsForbidden,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField, MaxNestedLevels: 4, MaxArrayElements: 64, MaxMapPairs: 64}.DecMode()
	if err != nil {
		panic(err)
	}
	return enc, dec
}

func marshal(v any) ([]byte, error) { return encMode.Marshal(v) }

var errForm = errors.New("not in its one deterministic encoding")

func unmarshal(raw []byte, v any) error {
	if err := decMode.Unmarshal(raw, v); err != nil {
		return err
	}
	again, err := encMode.Marshal(v)
	if err != nil {
		return err
	}
	if !bytes.Equal(again, raw) {
		return errForm
	}
	return nil
}
