package plain

import (
	"io"
	"strings"
)

// Text passes text on to w without what steers a terminal; line ends and tabs stay. It takes whole runes in each write.
func Text(w io.Writer) io.Writer { return text{w} }

type text struct{ w io.Writer }

func (t text) Write(p []byte) (int, error) {
	kept := strings.Map(func(r rune) rune {
		if r != '\n' && r != '\t' && Steers(r) {
			return -1
		}
		return r
	}, string(p))
	if _, err := io.WriteString(t.w, kept); err != nil {
		return 0, err
	}
	return len(p), nil
}
