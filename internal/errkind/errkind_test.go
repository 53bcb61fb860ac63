package errkind

import (
	"errors"
	"fmt"
	"testing"
)

// TestEveryErrorSaysWhatToDo: a problem document has a hint, wherever the error comes from.
func TestEveryErrorSaysWhatToDo(t *testing.T) {
	for kind := range Kind(len(words)) {
		text, hint, reference := ForPeople(fmt.Errorf("while asking: %w", New(kind, "it was refused")))
		if text == "" || hint == "" || (reference != "") != (kind == Internal) {
			t.Errorf("%s: got text %q, hint %q, reference %q", kind.Word(), text, hint, reference)
		}
		if _, own, _ := ForPeople(New(kind, "it was refused").WithHint("Ask its owner.")); kind != Internal && own != "Ask its owner." {
			t.Errorf("%s: got the hint %q, want its own", kind.Word(), own)
		}
	}
	if text, hint, reference := ForPeople(errors.New("/etc/secret")); text != "internal fault, reference "+reference || hint == "" {
		t.Errorf("of nobody's kind: got %q, %q", text, hint)
	}
}
