// Package wire is what both ends of the tunnel speak: the codecs and checks that gateway,
// signer and agent must agree on byte for byte. docs/protocol.md is its specification.
//
// # Rules of this package
//
// Everything here reads bytes of a peer that may lie. So every reader has a limit before it
// allocates, JSON refuses duplicate names (encoding/json keeps the last one, another parser
// the first: two readers of one signed text), CBOR must be the one deterministic encoding, and
// whatever outlives a line carries its own signature under a prefix for its purpose, so
// that a signature made for one thing is never good for another.
//
// # Keys
//
// The root key signs the trust bundle. The session CA signs passes and statuses. The log key
// signs checkpoints. The gateway's Noise key proves the gateway on a control line. A device has
// an SSH host key and a Noise key, both made on the device.
package wire

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/crypto/ssh"
)

// Purposes of signatures. A signature is made over purpose | 0x00 | message.
const (
	PurposeBundle = "sallyport/v1/bundle" // root key over a trust bundle
	PurposeStatus = "sallyport/v1/status" // session CA over a status
	PurposeEnrol  = "sallyport/v1/enrol"  // device's host key over EnrolProof
)

// B64 is base64url without padding that refuses non-canonical trailing bits.
var B64 = base64.RawURLEncoding.Strict()

// Hash is a SHA-256 digest that reads and writes as base64url.
type Hash [32]byte

// Sum is H of the protocol: SHA-256.
func Sum(b []byte) Hash { return sha256.Sum256(b) }

// String gives base64url.
func (h Hash) String() string { return B64.EncodeToString(h[:]) }

// IsZero reports whether h was never set.
func (h Hash) IsZero() bool { return h == Hash{} }

// MarshalText writes base64url.
func (h Hash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText reads exactly 32 bytes of base64url.
func (h *Hash) UnmarshalText(text []byte) error {
	raw, err := decodeB64(text)
	if err != nil || len(raw) != len(h) {
		return errors.New("want 32 bytes as base64url without padding")
	}
	copy(h[:], raw)
	return nil
}

// decodeB64 reads base64url in its one form. The decoder alone would skip line breaks.
func decodeB64(text []byte) ([]byte, error) {
	raw, err := B64.DecodeString(string(text))
	if err == nil && B64.EncodeToString(raw) != string(text) {
		err = errors.New("base64url with line breaks")
	}
	return raw, err
}

// Fingerprint is fp(k) of the protocol: H of the SSH wire form of a public key.
func Fingerprint(k ssh.PublicKey) Hash { return Sum(k.Marshal()) }

// LP appends u32be(len(x)) | x to dst.
func LP(dst, x []byte) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(x)))
	return append(dst, x...)
}

// Sign signs purpose | 0 | msg with k and returns the SSH signature blob (RFC 4253 section 6.6).
func Sign(k ssh.Signer, purpose string, msg []byte) ([]byte, error) {
	sig, err := k.Sign(nil, signed(purpose, msg))
	if err != nil {
		return nil, fmt.Errorf("sign %s: %w", purpose, err)
	}
	return ssh.Marshal(sig), nil
}

// ErrSignature is returned for every signature that does not hold, with no detail: a peer
// learns nothing from which part was wrong.
var ErrSignature = errors.New("signature does not hold")

// Verify checks a signature blob made by Sign.
func Verify(k ssh.PublicKey, purpose string, msg, blob []byte) error {
	var sig ssh.Signature
	if len(blob) > 1024 || ssh.Unmarshal(blob, &sig) != nil || len(sig.Rest) != 0 {
		return ErrSignature
	}
	if k.Verify(signed(purpose, msg), &sig) != nil {
		return ErrSignature
	}
	return nil
}

func signed(purpose string, msg []byte) []byte {
	out := make([]byte, 0, len(purpose)+1+len(msg))
	out = append(out, purpose...)
	out = append(out, 0)
	return append(out, msg...)
}

// Signed is a text and the signature over its exact bytes. The text travels as bytes, never
// re-encoded, because a signature covers bytes and not meaning.
type Signed struct {
	Body []byte `json:"body" cbor:"1,keyasint"`
	Sig  []byte `json:"sig" cbor:"2,keyasint"`
}

// Make signs body for a purpose.
func Make(k ssh.Signer, purpose string, body []byte) (Signed, error) {
	sig, err := Sign(k, purpose, body)
	return Signed{Body: body, Sig: sig}, err
}

// CheckAny verifies s under any one of keys: there are two during a rotation.
func (s Signed) CheckAny(keys []ssh.PublicKey, purpose string) error {
	for _, k := range keys {
		if Verify(k, purpose, s.Body, s.Sig) == nil {
			return nil
		}
	}
	return ErrSignature
}
