// Package plain keeps what other people wrote from steering the terminal of whoever looks at it: escape sequences that hide
// a line or answer in the reader's name, marks that turn the direction of text, characters that are not seen.
//
// A recording, a reason and a file's name are all written by somebody who may want to be overlooked. The command line and the
// verifier print them, and neither may take the other's code along; so the rule stands here, below both.
package plain

import (
	"fmt"
	"io"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Steers reports whether a character could: control characters, old and new; what turns the direction of text, or is not seen;
// and the two other ends of a line.
func Steers(r rune) bool {
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp)
}

// JSON passes JSON on to w, with what steers a terminal written as \u: the encoder does that for the oldest control characters
// alone. It takes whole values, as an encoder writes them.
func JSON(w io.Writer) io.Writer { return escaped{w} }

type escaped struct{ w io.Writer }

func (e escaped) Write(p []byte) (int, error) {
	out := make([]byte, 0, len(p))
	for _, r := range string(p) {
		if r < ' ' || !Steers(r) { // below are the encoder's own line ends: it has escaped all others
			out = utf8.AppendRune(out, r)
			continue
		}
		for _, u := range utf16.AppendRune(nil, r) {
			out = fmt.Appendf(out, `\u%04x`, u)
		}
	}
	if _, err := e.w.Write(out); err != nil {
		return 0, err
	}
	return len(p), nil
}
