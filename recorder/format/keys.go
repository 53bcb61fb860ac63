package format

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
)

// Ladder is a chain of secrets that only goes forward: S[0] from RK, or U[0] from SK. It has the secret of one segment.
// The secrets of earlier segments cannot be computed from it.
type Ladder struct {
	secret [32]byte
	At     uint32 // the segment that secret belongs to
}

// newLadder derives a part's first ladder secret and the commitment to its key. The commitment
// goes into the header: AES-GCM alone does not commit to its key, so without it one ciphertext could
// be opened to two texts.
func newLadder(salt, key *[32]byte, commitLabel, firstLabel string) (l Ladder, commit [32]byte) {
	prk, err := hkdf.Extract(sha256.New, key[:], salt[:])
	if err != nil {
		panic(err) // only for a key that FIPS mode finds too short; ours are 32 bytes
	}
	commit = expand(prk, commitLabel)
	l.secret = expand(prk, firstLabel)
	clear(prk)
	return l, commit
}

// ReadLadder derives from RK the ladder of the keys that seal chunks, and the commitment key_commit.
func ReadLadder(salt, rk *[32]byte) (Ladder, [32]byte) { return newLadder(salt, rk, "commit", "s0") }

// SealLadder derives from SK the ladder of the keys that seal input, and the commitment seal_commit.
func SealLadder(salt, sk *[32]byte) (Ladder, [32]byte) {
	return newLadder(salt, sk, "seal-commit", "u0")
}

func expand(secret []byte, label string) (out [32]byte) {
	b, err := hkdf.Expand(sha256.New, secret, labelPrefix+label, len(out))
	if err != nil {
		panic(err) // only for an output longer than 255 hashes
	}
	copy(out[:], b)
	clear(b)
	return out
}

// Erase overwrites the secret.
func (l *Ladder) Erase() { clear(l.secret[:]) }

// Key gives the segment's AEAD key.
func (l *Ladder) Key() [32]byte { return expand(l.secret[:], "key") }

// Step erases the segment's secret and moves to the next.
func (l *Ladder) Step() {
	next := expand(l.secret[:], "next")
	clear(l.secret[:])
	l.secret = next
	l.At++
}

// To gives a copy of the ladder on segment j, which must not be behind it.
func (l Ladder) To(j uint32) Ladder {
	for l.At < j {
		l.Step()
	}
	return l
}

// NewAEAD is AES-256-GCM under a key.
func NewAEAD(key [32]byte) cipher.AEAD {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic(err) // 32 bytes are a key
	}
	a, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	return a
}

// Nonce is a counter as 96 bits, big-endian.
func Nonce(n uint32) (out [12]byte) {
	binary.BigEndian.PutUint32(out[8:], n)
	return out
}

// SealedAAD binds what V seals to its place: the frame's clear fields are channel, stream, offset and
// actor.
func SealedAAD(h *Header, k Kind, fields []byte) []byte {
	b := append([]byte(labelPrefix), byte(k), 0)
	b = append(b, h.Session[:]...)
	b = binary.BigEndian.AppendUint32(b, h.Part)
	return append(b, fields...)
}
