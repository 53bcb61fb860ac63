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
