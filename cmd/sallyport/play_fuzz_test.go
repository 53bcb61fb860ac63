package main

import (
	"bytes"
	"testing"

	"github.com/sallyport/sallyport/web/apitype"
)

// FuzzPlay: the gateway sends what is played, and a device wrote what is in it. play always ends.
func FuzzPlay(f *testing.F) {
	f.Add(stretches(apitype.Written{At: 5, Stream: 1, Data: []byte("x")},
		apitype.Written{At: 1 << 63, Stream: 2, Data: []byte("\xff")}))
	f.Add(stretches(apitype.Written{At: 9, Stream: 7})[:12])
	f.Add([]byte("\x00\x00\x00\x00\x00\x00\x00\x00\x01\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var out, errs bytes.Buffer
		err := play(t.Context(), bytes.NewReader(raw), &out, &errs, pace{speed: 1e9})
		if err == nil && out.Len()+errs.Len() > len(raw) {
			t.Errorf("%q: got %q and %q", raw, out.String(), errs.String())
		}
	})
}

func stretches(all ...apitype.Written) []byte {
	var out bytes.Buffer
	for _, s := range all {
		apitype.WriteWritten(&out, s)
	}
	return out.Bytes()
}
