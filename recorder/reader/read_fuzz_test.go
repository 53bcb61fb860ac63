package reader

import (
	"bytes"
	"fmt"
	"reflect"
	"testing"

	"github.com/sallyport/sallyport/recorder/format"
	"github.com/sallyport/sallyport/recorder/seal/sealtest"
)

// FuzzVerify changes one byte of a good container, or cuts it: Verify must notice, and never panic.
func FuzzVerify(f *testing.F) {
	p := sealtest.Small(f)
	file := p.Close("exit")
	for _, i := range []uint32{0, 8, 12, 40, uint32(len(file)) - 1, uint32(len(file)) - format.TrailerLen,
		uint32(len(file)) / 2} {
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
		r, err := verifyBytes(t, changed, allKeys(p))
		if err == nil && !cutShort(r) && !bytes.Equal(changed, file) {
			t.Errorf("byte %d changed by %#x, cut %v: not found", i, flip, cut)
		}
	})
}

// FuzzLanes changes some bytes of a good container: in lanes, the same must be found as in one scan.
func FuzzLanes(f *testing.F) {
	p := laned(f, 0)
	file := p.Close("exit")
	for i := range uint32(16) {
		f.Add(i*uint32(len(file))/16, []byte{1, 0, 3}, uint8(i))
	}
	f.Fuzz(func(t *testing.T, at uint32, flips []byte, lanes uint8) {
		changed := bytes.Clone(file)
		for i, flip := range flips {
			changed[(int(at)+i)%len(file)] ^= flip
		}
		opt := VerifyOptions{Key: sealtest.Public(p.Key)}
		want, fault := checked(t, changed, opt, 1)
		got, err := checked(t, changed, opt, 2+int(lanes%8))
		if fmt.Sprint(err) != fmt.Sprint(fault) || !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, %v, want %+v, %v", got, err, want, fault)
		}
	})
}

// FuzzReader reads whatever it is given as a container, and as a plaintext inside a good one.
func FuzzReader(f *testing.F) {
	p := sealtest.Small(f)
	f.Add(bytes.Clone(p.File))
	f.Add(p.Close("exit"))
	f.Add([]byte{0, 'o', 4, 1, 1, 0, 'x'})
	f.Add([]byte{0, 'i', 5, 1, 0, 0, 1, 'x', 0, 't', 2, 0, 1})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 'o', 0xff, 0xff, 0x7f})
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := Open(bytes.NewReader(b), int64(len(b)), "x", p.RK, &p.SK); err == nil {
			kinds(r)
		}
		in := sealtest.New(t, sealtest.Header())
		in.Out(1, "x")
		in.Flush()
		in.File, _ = in.Sealer.Raw(in.Bench, in.File, in.T, b[:min(len(b), 100<<10)], nil)
		if _, err := verifyBytes(t, in.File, allKeys(in)); err != nil && format.RuleOf(err) == "" {
			t.Errorf("got %v, want a fault with a rule", err)
		}
	})
}
