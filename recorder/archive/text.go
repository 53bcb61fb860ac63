package archive

import (
	"unicode"
	"unicode/utf8"

	"github.com/sallyport/sallyport/recorder/asciicast"
)

// plain turns terminal output into text: CR LF becomes LF, escape sequences and control characters go,
// C1 and bidirectional ones too, and nothing is added. Recorded output attacks whoever reads it, so what
// is left can neither move a cursor nor reorder a line. It carries its state over the frames of one stream.
type plain struct {
	utf8  asciicast.Repair
	state escape
	n     int // characters of the string that is skipped
}

type escape uint8

const (
	ground escape = iota
	esc           // after ESC
	middle        // ESC and intermediate bytes
	csi           // until a final byte
	str           // OSC, DCS, SOS, PM, APC: until ST
)

// maxString ends a string that does not end: an OSC that is left open must not hide what follows.
const maxString = 4096

func (p *plain) add(dst []byte, b []byte) []byte { return p.text(dst, p.utf8.Add(b)) }

func (p *plain) end(dst []byte) []byte { return p.text(dst, p.utf8.Flush()) }

func (p *plain) text(dst []byte, s string) []byte {
	for _, r := range s {
		if p.keeps(r) {
			dst = utf8.AppendRune(dst, r)
		}
	}
	return dst
}

// keeps steps the state machine (ECMA-48, as terminals read it) and says whether r is text.
func (p *plain) keeps(r rune) bool {
	switch {
	case r == 0x1b:
		p.state = esc
		return false
	case r == '\n':
		if p.state == str || p.state == esc { // no string that is meant goes over a line
			p.state = ground
		}
		return true
	case r == 0x18 || r == 0x1a: // CAN, SUB
		p.state = ground
		return false
	case r >= 0x80 && r < 0xa0:
		p.c1(r)
		return false
	}
	switch p.state {
	case esc:
		p.escape(r)
		return false
	case middle:
		if r >= 0x30 {
			p.state = ground
		}
		return false
	case csi:
		if r >= 0x40 && r != 0x7f {
			p.state = ground
		}
		return false
	case str:
		p.n++
		if r == 0x07 || p.n > maxString {
			p.state = ground
		}
		return false
	}
	return r == '\t' || r >= ' ' && r != 0x7f && !unicode.Is(unicode.Bidi_Control, r)
}

func (p *plain) escape(r rune) {
	switch {
	case r == '[':
		p.state = csi
	case r == ']' || r == 'P' || r == 'X' || r == '^' || r == '_':
		p.state, p.n = str, 0
	case r >= 0x20 && r < 0x30:
		p.state = middle
	case r < 0x20: // a control character inside a sequence acts and does not end it
	default:
		p.state = ground
	}
}

// c1 acts on a control character that stands for ESC and a letter.
func (p *plain) c1(r rune) {
	switch r {
	case 0x9b:
		p.state = csi
	case 0x90, 0x98, 0x9d, 0x9e, 0x9f:
		p.state, p.n = str, 0
	default:
		p.state = ground
	}
}

// caret shows typed text: control characters as ^X, so that they are seen and do nothing.
func caret(b []byte) string {
	var out []byte
	for len(b) > 0 {
		r, size := utf8.DecodeRune(b)
		switch {
		case r < 0x20:
			out = append(out, '^', byte(r)+'@')
		case r == 0x7f:
			out = append(out, "^?"...)
		case r >= 0x80 && r < 0xa0 || unicode.Is(unicode.Bidi_Control, r):
		default:
			out = utf8.AppendRune(out, r)
		}
		b = b[size:]
	}
	return string(out)
}
