package format

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/sallyport/sallyport/internal/id"
)

// TrailerMagic is how a trailer begins.
var TrailerMagic = [8]byte{'S', 'L', 'Y', 'E', 'N', 'D', '1', '\n'}

// TrailerLen is magic | u64le offset of the close chunk | u32le its seq | h_final.
const TrailerLen = 8 + 8 + 4 + 32

// Totals count what a part holds. Chunks counts all but the close; bytes are stream bytes, before
// compression.
type Totals struct {
	Chunks     uint64 `cbor:"chunks"`
	Segments   uint64 `cbor:"segments"`
	Statements uint64 `cbor:"statements"`
	Frames     uint64 `cbor:"frames"`
	Out        uint64 `cbor:"out"`
	In         uint64 `cbor:"in"`
	Revealed   uint64 `cbor:"revealed"`
	Gaps       uint64 `cbor:"gaps"`
	GapBytes   uint64 `cbor:"gap_bytes"`
}

// IndexEntry says where a segment begins. H is the chain state before it, which is needed to open its first chunk.
type IndexEntry struct {
	_      struct{} `cbor:",toarray"`
	Seq    uint32
	Offset uint64
	T      uint64
	H      [32]byte
}

// CloseRecord ends a part. The record key signs it.
type CloseRecord struct {
	V       uint64       `cbor:"v"`
	Session id.Session   `cbor:"session_id"`
	Part    uint32       `cbor:"part"`
	Reason  string       `cbor:"reason"`
	Seq     uint32       `cbor:"seq"` // of the close chunk
	T       uint64       `cbor:"t_us"`
	Wall    int64        `cbor:"t1_wall_ns"`
	Head    [32]byte     `cbor:"h"` // before the close
	Totals  Totals       `cbor:"totals"`
	Stride  uint32       `cbor:"stride"` // the index holds segments 0, stride, 2*stride, …
	Index   []IndexEntry `cbor:"segments"`
}

// Stride is the smallest power of two that keeps an index of n segments within its limit.
func Stride(n uint64) uint32 {
	s := uint32(1)
	for (n+uint64(s)-1)/uint64(s) > MaxIndex {
		s *= 2
	}
	return s
}

// ThinIndex drops every second entry, for a stride twice as long.
func ThinIndex(index []IndexEntry) []IndexEntry {
	for i := 0; 2*i < len(index); i++ {
		index[i] = index[2*i]
	}
	return index[:(len(index)+1)/2]
}

// lp appends u32be length | x.
func AppendLP(dst, x []byte) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(x)))
	return append(dst, x...)
}

// takeLP reads what AppendLP writes.
func takeLP(b []byte) (x, rest []byte, err error) {
	if len(b) < 4 {
		return nil, nil, errors.New("length is cut off")
	}
	n := binary.BigEndian.Uint32(b)
	if int64(n) > int64(len(b)-4) {
		return nil, nil, fmt.Errorf("%d bytes announced, %d there", n, len(b)-4)
	}
	return b[4 : 4+n], b[4+n:], nil
}

// SplitSigned reads body and signature, the content of both clear chunk types.
func SplitSigned(b []byte) (body, sig []byte, err error) {
	if body, b, err = takeLP(b); err != nil {
		return nil, nil, fmt.Errorf("body: %w", err)
	}
	if sig, b, err = takeLP(b); err != nil {
		return nil, nil, fmt.Errorf("signature: %w", err)
	}
	if len(b) != 0 {
		return nil, nil, errors.New("bytes after the signature")
	}
	return body, sig, nil
}

const sshEd25519 = "ssh-ed25519"

// KeyID is the fingerprint of a record key: SHA-256 of its SSH wire form (RFC 8709).
func KeyID(k ed25519.PublicKey) [32]byte {
	return sha256.Sum256(AppendLP(AppendLP(nil, []byte(sshEd25519)), k))
}

func closeMessage(body []byte) []byte {
	return append([]byte(PurposeClose+"\x00"), body...)
}

// SignClose makes an SSH signature blob over the close record.
func SignClose(k ed25519.PrivateKey, body []byte) []byte {
	return AppendLP(AppendLP(nil, []byte(sshEd25519)), ed25519.Sign(k, closeMessage(body)))
}

// VerifyClose checks the signature blob. It accepts only the one encoding.
func VerifyClose(k ed25519.PublicKey, body, blob []byte) error {
	name, rest, err := takeLP(blob)
	if err != nil || string(name) != sshEd25519 {
		return errors.New("signature is not ssh-ed25519")
	}
	sig, rest, err := takeLP(rest)
	if err != nil || len(rest) != 0 || len(sig) != ed25519.SignatureSize || len(k) != ed25519.PublicKeySize {
		return errors.New("signature is malformed")
	}
	if !ed25519.Verify(k, closeMessage(body), sig) {
		return errors.New("signature does not hold")
	}
	return nil
}

// Trailer gives the last bytes of a closed container.
func Trailer(closeOffset int64, closeSeq uint32, final [32]byte) []byte {
	b := append(make([]byte, 0, TrailerLen), TrailerMagic[:]...)
	b = binary.LittleEndian.AppendUint64(b, uint64(closeOffset))
	b = binary.LittleEndian.AppendUint32(b, closeSeq)
	return append(b, final[:]...)
}
