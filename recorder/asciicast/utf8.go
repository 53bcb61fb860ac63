package asciicast

import "unicode/utf8"

// Repair turns the bytes of one stream into valid UTF-8, where a character may be cut anywhere: its
// beginning waits for the rest. What is no UTF-8 becomes U+FFFD, one for each broken sequence.
type Repair struct {
	rest [utf8.UTFMax]byte
	n    int
}

// Add gives the characters that are complete after b.
func (r *Repair) Add(b []byte) string {
	if r.n > 0 {
		b = append(append(make([]byte, 0, r.n+len(b)), r.rest[:r.n]...), b...)
		r.n = 0
	}
	if tail := unfinished(b); tail > 0 {
		r.n = copy(r.rest[:], b[len(b)-tail:])
		b = b[:len(b)-tail]
	}
	return valid(b)
}

// Flush gives what waits for a rest that will not come.
func (r *Repair) Flush() string {
	b := r.rest[:r.n]
	r.n = 0
	return valid(b)
}

// unfinished is the length of a character at the end of b that more bytes could complete.
func unfinished(b []byte) int {
	for n := 1; n < utf8.UTFMax && n <= len(b); n++ {
		if tail := b[len(b)-n:]; utf8.RuneStart(tail[0]) {
			if utf8.FullRune(tail) {
				return 0
			}
			return n
		}
	}
	return 0
}

func valid(b []byte) string {
	if utf8.Valid(b) {
		return string(b)
	}
	out := make([]byte, 0, len(b)+8)
	for len(b) > 0 {
		r, size := utf8.DecodeRune(b)
		if r == utf8.RuneError && size == 1 {
			size = broken(b)
		}
		out = utf8.AppendRune(out, r)
		b = b[size:]
	}
	return string(out)
}

// broken is how many bytes of b belong to one broken sequence: the longest that could have begun a
// character (Unicode, "substitution of maximal subparts").
func broken(b []byte) int {
	n := 1
	for n < len(b) && n < utf8.UTFMax && !utf8.RuneStart(b[n]) && !utf8.FullRune(b[:n]) {
		n++
	}
	if n > 1 && utf8.FullRune(b[:n]) { // the last byte is what broke it
		n--
	}
	return n
}
