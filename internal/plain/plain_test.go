package plain

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("full") }

func TestTextKeepsLinesAndLosesWhatSteers(t *testing.T) {
	var out bytes.Buffer
	const said = "a\tb\n\x1b[2J\x07\u0085\u202e\u200bc\u2028é\r\n"
	if n, err := Text(&out).Write([]byte(said)); err != nil || n != len(said) {
		t.Fatalf("got %d %v", n, err)
	}
	if got := out.String(); got != "a\tb\n[2Jcé\n" {
		t.Errorf("got %q", got)
	}
	if _, err := Text(full{}).Write([]byte("a")); err == nil {
		t.Error("a write that failed is not reported")
	}
}

func TestWhatSteersIsEscapedAndReadAgainAsItWas(t *testing.T) {
	text := "b\x1b[2J\x7f\u009b1m\u2028\u2029\u202e\u200d\U000e0001\n\té<ü>"
	var out bytes.Buffer
	e := json.NewEncoder(JSON(&out))
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	if err := e.Encode([]string{text}); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsFunc(out.String(), func(r rune) bool { return r != '\n' && Steers(r) }) || !strings.Contains(out.String(), `\udb40\udc01`) || !strings.Contains(out.String(), "é<ü>") {
		t.Errorf("got %q", out.String())
	}
	var again []string
	if err := json.Unmarshal(out.Bytes(), &again); err != nil || len(again) != 1 || again[0] != text {
		t.Errorf("read again: got %q, %v", again, err)
	}
	if err := json.NewEncoder(JSON(full{})).Encode("x"); err == nil {
		t.Error("what could not be written was taken for written")
	}
}
