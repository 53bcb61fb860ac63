package ledger

import (
	"bytes"
	"testing"
)

func FuzzDataFile(f *testing.F) {
	good := append(bytes.Clone(dataMagic), appendRecord(nil, recordEntry,
		encodeEntry([]byte("leaf"), [16]byte{1}, []byte("body")))...)
	f.Add(appendRecord(good, recordCheckpoint, []byte("o\n1\nAA==\n")))
	f.Add(good[:len(good)-1])
	f.Add(dataMagic)
	f.Fuzz(func(t *testing.T, raw []byte) {
		in, err := scanData(bytes.NewReader(raw))
		if err != nil {
			return
		}
		if in.end > int64(len(raw)) || len(in.offsets) > len(raw)/recordHead {
			t.Errorf("%d entries up to %d in %d bytes", len(in.offsets), in.end, len(raw))
		}
	})
}

func FuzzEntry(f *testing.F) {
	f.Add(encodeEntry([]byte("leaf"), [16]byte{1}, []byte("body")))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, raw []byte) {
		leaf, nonce, body, err := decodeEntry(raw)
		if err == nil && !bytes.Equal(encodeEntry(leaf, nonce, body), raw) {
			t.Errorf("not the same after writing: %x", raw)
		}
	})
}

func FuzzTile(f *testing.F) {
	f.Add([]byte{0, 1, 'a', 0, 2, 'b', 'c'}, 2)
	f.Add([]byte{0xff}, 1)
	f.Fuzz(func(t *testing.T, raw []byte, width int) {
		c := &Copy{}
		if width > 256 || width < 0 || c.addTile(raw, width) != nil {
			return
		}
		if len(c.leaves) != width {
			t.Errorf("got %d leaves of %d", len(c.leaves), width)
		}
	})
}

func FuzzBodies(f *testing.F) {
	open, _ := OpenBody{}.Marshal()
	closed, _ := CloseBody{}.Marshal()
	event, _ := EventBody{By: "x", Fields: map[string]string{"a": "b"}}.Marshal()
	for _, raw := range [][]byte{open, closed, event} {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		same := func(what string, again []byte, err error) {
			if err != nil || !bytes.Equal(again, raw) {
				t.Errorf("%s: not the same after writing: %v", what, err)
			}
		}
		if b, err := ParseOpenBody(raw); err == nil {
			again, err := b.Marshal()
			same("open", again, err)
		}
		if b, err := ParseCloseBody(raw); err == nil {
			again, err := b.Marshal()
			same("close", again, err)
		}
		if b, err := ParseEventBody(raw); err == nil {
			again, err := b.Marshal()
			same("event", again, err)
		}
	})
}
