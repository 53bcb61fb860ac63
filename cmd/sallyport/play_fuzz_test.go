package main

import (
	"bytes"
	"strings"
	"testing"
)

// FuzzPlay: a cast comes from the gateway, and what is in it from a device. It ends, as played or with an error, and shows nothing
// that drives the terminal when that is not wanted.
func FuzzPlay(f *testing.F) {
	head := `{"version":2,"width":80,"height":24}` + "\n"
	f.Add([]byte(head + `[0.1,"o","x"]` + "\n" + `[1e308,"o","y"]` + "\n" + `[-1e308,"o","\u001b[2J"]` + "\n"))
	f.Add([]byte(head + `[null,"o"]` + "\n"))
	f.Add([]byte(head + `[1,"i","x",{}]` + "\n" + `{}`))
	f.Add([]byte("\n\n"))
	f.Fuzz(func(t *testing.T, cast []byte) {
		var out bytes.Buffer
		play(t.Context(), bytes.NewReader(cast), &sanitizer{w: &out}, 1e9, 0)
		if strings.ContainsFunc(out.String(), func(r rune) bool { return r != '\n' && r != '\t' && safeRune(r) < 0 }) {
			t.Errorf("%q: got %q", cast, out.String())
		}
	})
}
