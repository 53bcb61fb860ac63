package format

import (
	"bytes"
	"encoding/binary"
	"testing"
)

// FuzzFrame demands that a frame that parses has one encoding.
func FuzzFrame(f *testing.F) {
	for _, s := range []string{"\x00o\x04\x01\x01\x00x", "\x00s\x16\x01\x00\x00\x0112345678901234567",
		"\x00i\x05\x01\x00\x00\x01x", "\x05r\x03\x01\x50\x18",
		"\x00t\x02\x01\x00", "\x00e\x05\x01\x00INT", "\x00K\x00", "\x80\x00o\x01x", "\x00a\x01\x01"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		fr, dt, rest, err := ParseFrame(b)
		if err != nil {
			return
		}
		data := fr.Data
		if fr.Kind == KindOutput || fr.Kind == KindSealed || fr.Kind == KindReveal || fr.Kind == KindClear {
			data = append(AppendStreamHead(nil, fr.Kind, fr.Ch, fr.Stream, fr.At, fr.Actor), fr.Data...)
		}
		again := frameBytes(dt, fr.Kind, data)
		if want := b[:len(b)-len(rest)]; !bytes.Equal(again, want) {
			t.Errorf("got %x for %x", again, want)
		}
	})
}

// FuzzHeader demands that a header that parses has one encoding.
func FuzzHeader(f *testing.F) {
	good, _ := Header{V: Version, LogOrigin: "log.example/test", Suite: Suite, T0: 1_700_000_000_000_000_000}.Encode()
	f.Add(good[HeaderAt:])
	f.Add([]byte{0xa0})
	f.Add([]byte{0xbf, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := ParseHeader(b)
		if err != nil {
			return
		}
		again, err := h.Encode()
		if err != nil || !bytes.Equal(again[HeaderAt:], b) {
			t.Errorf("got %x, %v for %x", again, err, b)
		}
	})
}

// frameBytes encodes a frame as the sealer does.
func frameBytes(dt uint64, kind Kind, data []byte) []byte {
	b := binary.AppendUvarint(nil, dt)
	b = append(b, byte(kind))
	b = binary.AppendUvarint(b, uint64(len(data)))
	return append(b, data...)
}
