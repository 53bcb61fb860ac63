package asciicast

import (
	"bytes"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestCharactersCutBetweenFramesAreRepaired(t *testing.T) {
	const text = "aż漢🙂z"
	for i := range len(text) {
		for j := i; j < len(text); j++ {
			var r Repair
			if got := r.Add([]byte(text[:i])) + r.Add([]byte(text[i:j])) + r.Add([]byte(text[j:])) +
				r.Flush(); got != text {
				t.Fatalf("cut at %d and %d: got %q, want %q", i, j, got, text)
			}
		}
	}
}

func TestBrokenSequencesBecomeOneReplacementEach(t *testing.T) {
	for in, want := range map[string]string{
		"a\xffb":             "a\ufffdb",
		"\xe2\x82":           "\ufffd",
		"\xe2\x82A":          "\ufffdA",
		"\xf0\x9f\x99\xe2":   "\ufffd\ufffd",
		"\xe0\x80\x80":       "\ufffd\ufffd\ufffd",
		"\xc0\xaf":           "\ufffd\ufffd",
		"\xed\xa0\x80":       "\ufffd\ufffd\ufffd",
		"\x80\x80":           "\ufffd\ufffd",
		"\xf4\x90\x80\x80ok": "\ufffd\ufffd\ufffd\ufffdok",
	} {
		var r Repair
		if got := r.Add([]byte(in)) + r.Flush(); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestVersionsDifferInHeaderTimesAndExit(t *testing.T) {
	h := Header{Cols: 80, Rows: 24, Started: time.Unix(1_700_000_000, 0), Title: "<t>"}
	want := map[int]string{
		2: `{"version":2,"width":80,"height":24,"timestamp":1700000000,"title":"<t>"}
[1.500000,"o","a\u001b[m"]
[2.000001,"r","100x30"]
`,
		3: `{"version":3,"term":{"cols":80,"rows":24},"timestamp":1700000000,"title":"<t>"}
[1.500000,"o","a\u001b[m"]
[0.500001,"r","100x30"]
[0.000000,"x","3"]
`}
	for version, text := range want {
		var out bytes.Buffer
		w, err := NewWriter(&out, version, h)
		if err != nil {
			t.Fatal(err)
		}
		w.Event(1_500_000, Output, "a\x1b[m")
		w.Event(2_000_001, Resize, Size(100, 30))
		w.Event(2_000_001, Exit, "3")
		if err := w.Close(); err != nil || out.String() != text {
			t.Errorf("version %d: got %s, %v, want %s", version, out.String(), err, text)
		}
	}
}

// FuzzRepair demands valid UTF-8 that does not depend on where the bytes are cut.
func FuzzRepair(f *testing.F) {
	for _, s := range []string{"aż漢🙂", "\xe2\x82", "\xf0\x9f\xff\x80", "\xed\xa0\x80"} {
		f.Add([]byte(s), uint(2))
	}
	f.Fuzz(func(t *testing.T, b []byte, at uint) {
		i := int(at % uint(len(b)+1))
		var one, two Repair
		whole := one.Add(b) + one.Flush()
		parts := two.Add(b[:i]) + two.Add(b[i:]) + two.Flush()
		if whole != parts || !utf8.ValidString(whole) {
			t.Errorf("%q cut at %d: got %q, want %q", b, i, parts, whole)
		}
		if utf8.Valid(b) && whole != string(b) {
			t.Errorf("%q: got %q", b, whole)
		}
		if strings.Count(whole, "\ufffd") > len(b) {
			t.Errorf("%q: got %q", b, whole)
		}
	})
}
