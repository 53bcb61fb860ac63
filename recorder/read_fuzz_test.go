package recorder

import (
	"bytes"
	"fmt"
	"reflect"
	"testing"
)

// FuzzVerify changes one byte of a good container, or cuts it: Verify must notice, and never panic.
func FuzzVerify(f *testing.F) {
	p := smallPart(f)
	file := p.close("exit")
	for _, i := range []uint32{0, 8, 12, 40, uint32(len(file)) - 1, uint32(len(file)) - trailerLen, uint32(len(file)) / 2} {
		f.Add(i, byte(1), false)
		f.Add(i, byte(0x80), true)
	}
	f.Fuzz(func(t *testing.T, at uint32, flip byte, cut bool) {
		i := int(at) % len(file)
		changed := bytes.Clone(file)
		changed[i] ^= flip
		if cut {
			changed = changed[:i]
		}
		r, err := verifyBytes(t, changed, p.all())
		if err == nil && !cutShort(r) && !bytes.Equal(changed, file) {
			t.Errorf("byte %d changed by %#x, cut %v: not found", i, flip, cut)
		}
	})
}

// FuzzLanes changes some bytes of a good container: in lanes, the same must be found as in one scan.
func FuzzLanes(f *testing.F) {
	p := laned(f, 0)
	file := p.close("exit")
	for i := range uint32(16) {
		f.Add(i*uint32(len(file))/16, []byte{1, 0, 3}, uint8(i))
	}
	f.Fuzz(func(t *testing.T, at uint32, flips []byte, lanes uint8) {
		changed := bytes.Clone(file)
		for i, flip := range flips {
			changed[(int(at)+i)%len(file)] ^= flip
		}
		opt := VerifyOptions{Key: pub(p.key)}
		want, fault := checked(t, changed, opt, 1)
		got, err := checked(t, changed, opt, 2+int(lanes%8))
		if fmt.Sprint(err) != fmt.Sprint(fault) || !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, %v, want %+v, %v", got, err, want, fault)
		}
	})
}

// FuzzReader reads whatever it is given as a container, and as a plaintext inside a good one.
func FuzzReader(f *testing.F) {
	p := smallPart(f)
	f.Add(bytes.Clone(p.file))
	f.Add(p.close("exit"))
	f.Add([]byte{0, 'o', 4, 1, 1, 0, 'x'})
	f.Add([]byte{0, 'i', 5, 1, 0, 0, 1, 'x', 0, 't', 2, 0, 1})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 'o', 0xff, 0xff, 0x7f})
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := OpenReader(bytes.NewReader(b), int64(len(b)), "x", p.rk, &p.sk); err == nil {
			kinds(r)
		}
		in := newTestPart(t, testHeader())
		in.out(1, "x")
		in.flush()
		in.w.out = append(in.w.out[:0], 0, 0, 0, 0)
		in.s.enc.Write(b[:min(len(b), 100<<10)])
		in.file, _ = in.s.close(in.w, in.file, ChunkData, in.t)
		if _, err := verifyBytes(t, in.file, in.all()); err != nil && RuleOf(err) == "" {
			t.Errorf("got %v, want a fault with a rule", err)
		}
	})
}

// FuzzFrame demands that a frame that parses has one encoding.
func FuzzFrame(f *testing.F) {
	for _, s := range []string{"\x00o\x04\x01\x01\x00x", "\x00s\x16\x01\x00\x00\x0112345678901234567", "\x00i\x05\x01\x00\x00\x01x", "\x05r\x03\x01\x50\x18",
		"\x00t\x02\x01\x00", "\x00e\x05\x01\x00INT", "\x00K\x00", "\x80\x00o\x01x", "\x00a\x01\x01"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		fr, dt, rest, err := parseFrame(b)
		if err != nil {
			return
		}
		data := fr.Data
		if fr.Kind == KindOutput || fr.Kind == KindSealed || fr.Kind == KindReveal {
			data = append(appendStreamHead(nil, fr.Kind, fr.Ch, fr.Stream, fr.At, fr.Actor), fr.Data...)
		}
		again := frameBytes(dt, fr.Kind, data)
		if want := b[:len(b)-len(rest)]; !bytes.Equal(again, want) {
			t.Errorf("got %x for %x", again, want)
		}
	})
}

// FuzzHeader demands that a header that parses has one encoding.
func FuzzHeader(f *testing.F) {
	good, _ := testHeader().encode()
	f.Add(good[headerAt:])
	f.Add([]byte{0xa0})
	f.Add([]byte{0xbf, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := parseHeader(b)
		if err != nil {
			return
		}
		again, err := h.encode()
		if err != nil || !bytes.Equal(again[headerAt:], b) {
			t.Errorf("got %x, %v for %x", again, err, b)
		}
	})
}
