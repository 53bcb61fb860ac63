package format

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/sallyport/sallyport/internal/id"
)

var magic = [8]byte{'S', 'L', 'Y', 'R', 'E', 'C', '1', '\n'}

// Suite 1 is AES-256-GCM, SHA-256, zstd.
const Suite = 1

// HeaderAt is where the header begins: after the magic and its length.
const HeaderAt = 12

// Clock says what the host knew about its own clock when the part began.
type Clock uint8

// The clock of the recording host, from adjtimex(2).
const (
	ClockUnknown  Clock = 0
	ClockSynced   Clock = 1
	ClockUnsynced Clock = 2
)

// Header is the header of a container. It does not name the open leaf, because the leaf commits to H0, which commits to
// the header.
type Header struct {
	V            uint64     `cbor:"v"`
	Session      id.Session `cbor:"session_id"`
	Part         uint32     `cbor:"part"`
	PrevHead     [32]byte   `cbor:"prev_part_head"` // h_final of the part before, zero in the first
	LogOrigin    string     `cbor:"log_origin"`
	Suite        uint64     `cbor:"suite"`
	Salt         [32]byte   `cbor:"salt"`
	KeyCommit    [32]byte   `cbor:"key_commit"`
	SealCommit   [32]byte   `cbor:"seal_commit"`
	DeviceFP     [32]byte   `cbor:"device_fp"`
	GatewayKeyID [32]byte   `cbor:"gateway_key_id"` // fingerprint of the record key
	T0           int64      `cbor:"t0_wall_ns"`
	ClockSync    Clock      `cbor:"clock_sync"`
}

// Encode gives the file's beginning: magic, length, header.
func (h Header) Encode() ([]byte, error) {
	body, err := Encode(h)
	if err != nil {
		return nil, fmt.Errorf("encode header: %w", err)
	}
	if len(body) > MaxHeader {
		return nil, fmt.Errorf("header of %d bytes, at most %d", len(body), MaxHeader)
	}
	out := append([]byte(nil), magic[:]...)
	out = binary.LittleEndian.AppendUint32(out, uint32(len(body)))
	return append(out, body...), nil
}

// HeaderLen checks the first 12 bytes and gives the header's length.
func HeaderLen(b []byte) (int, error) {
	if len(b) < HeaderAt || [8]byte(b[:8]) != magic {
		return 0, errors.New("not a recording: the magic is not SLYREC1")
	}
	n := binary.LittleEndian.Uint32(b[8:])
	if n == 0 || n > MaxHeader {
		return 0, fmt.Errorf("header of %d bytes, at most %d", n, MaxHeader)
	}
	return int(n), nil
}

// ParseHeader reads the deterministic CBOR of a header.
func ParseHeader(body []byte) (Header, error) {
	var h Header
	if err := DecodeExact(body, &h); err != nil {
		return h, fmt.Errorf("header: %w", err)
	}
	if h.V != Version1 && h.V != Version2 || h.Suite != Suite {
		return h, fmt.Errorf("format version %d suite %d; this program reads versions %d and %d suite %d", h.V,
			h.Suite, Version1, Version2, Suite)
	}
	if h.ClockSync > ClockUnsynced || h.T0 < 0 {
		return h, errors.New("header: clock out of range")
	}
	if h.Part == 0 && h.PrevHead != [32]byte{} {
		return h, errors.New("header: the first part names a part before it")
	}
	return h, nil
}

// ChainStart is h[0]: it covers the file from its first byte to the header's last.
func ChainStart(prefix []byte) [32]byte {
	d := sha256.New()
	d.Write([]byte(labelChain))
	d.Write(prefix)
	return [32]byte(d.Sum(nil))
}
