package archive

import (
	"testing"
	"unicode"
	"unicode/utf8"
)

func plainText(pieces ...string) string {
	var p plain
	var out []byte
	for _, s := range pieces {
		out = p.add(out, []byte(s))
	}
	return string(p.end(out))
}

func TestTextLosesControlsAndKeepsEverythingElse(t *testing.T) {
	for what, c := range map[string]struct{ in, want string }{
		"line ends":                     {"a\r\nb\r\r\nc\n", "a\nb\nc\n"},
		"tabs":                          {"a\tb", "a\tb"},
		"colours":                       {"\x1b[1;31mred\x1b[0m", "red"},
		"a title":                       {"\x1b]0;evil\x07shown", "shown"},
		"a title that ends with ST":     {"\x1b]0;evil\x1b\\shown", "shown"},
		"a title with a C1 ST":          {"\u009d0;evil\u009cshown", "shown"},
		"a device control string":       {"\x1bPq#0\x1b\\shown", "shown"},
		"an open string and a line":     {"\x1b]0;open\nshown", "\nshown"},
		"a character set":               {"\x1b(Bshown", "shown"},
		"a C1 CSI":                      {"\u009b31mshown", "shown"},
		"a line end in a sequence":      {"\x1b[3\n1mshown", "\nshown"},
		"a cancelled sequence":          {"\x1b[3\x18shown", "shown"},
		"bells and backspaces":          {"a\x07\x08b\x7fc\x00", "abc"},
		"right-to-left override":        {"a\u202eb\u2066c\u200fd", "abcd"},
		"letters of any script":         {"żółw 漢字 🙂", "żółw 漢字 🙂"},
		"bytes that are no characters":  {"a\xff\xfeb", "a\ufffd\ufffdb"},
		"an 8-bit C1 that is no UTF-8":  {"a\x9b31mb", "a\ufffd31mb"},
		"a broken character":            {"a\xe2\x82b", "a\ufffdb"},
		"an escape that ends the input": {"a\x1b", "a"},
	} {
		if got := plainText(c.in); got != c.want {
			t.Errorf("%s: got %q, want %q", what, got, c.want)
		}
	}
}

func TestSequencesAndCharactersMayBeCutAnywhere(t *testing.T) {
	const in, want = "ż\x1b[1;31m漢\x1b]0;t\x07🙂\r\n", "ż漢🙂\n"
	for i := range len(in) {
		for j := i; j < len(in); j++ {
			if got := plainText(in[:i], in[i:j], in[j:]); got != want {
				t.Fatalf("cut at %d and %d: got %q, want %q", i, j, got, want)
			}
		}
	}
}

func TestAnOpenStringCannotHideWhatFollows(t *testing.T) {
	long := make([]byte, maxString+10)
	for i := range long {
		long[i] = 'x'
	}
	if got := plainText("\x1b]0;" + string(long) + "shown"); len(got) < 5 || got[len(got)-5:] != "shown" {
		t.Errorf("got %q, want it to end with shown", got)
	}
}

// FuzzText demands that nothing is left that a terminal would act on.
func FuzzText(f *testing.F) {
	for _, s := range []string{"\x1b[1mx", "\u009b31m", "\x1b]0;\x07", "a\xe2\x82", "\x1b\x1b[", "\u202e\n"} {
		f.Add([]byte(s), uint(3))
	}
	f.Fuzz(func(t *testing.T, b []byte, cut uint) {
		i := int(cut % uint(len(b)+1))
		got := plainText(string(b[:i]), string(b[i:]))
		if !utf8.ValidString(got) {
			t.Fatalf("got %q, which is no UTF-8", got)
		}
		for _, r := range got + caret(b) {
			if r != '\n' && r != '\t' && unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
				t.Fatalf("got %q", got)
			}
		}
	})
}
