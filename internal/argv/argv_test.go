package argv

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// TestAShellReadsTheWordsThatWereWritten asks a real one.
func TestAShellReadsTheWordsThatWereWritten(t *testing.T) {
	words := []string{"/bin/x", "", " ", "a b", "it's", `back\slash`, "$HOME", "`id`", "*", "~", "a\nb", "-n", "{word}", "ü", "'", "a=b", "#", "!"}
	out, err := exec.Command("sh", "-c", "printf '%s\\0' "+Line(words)).Output()
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00"); !slices.Equal(got, words) {
		t.Errorf("got %q, want %q", got, words)
	}
	if got := Line([]string{"/bin/cat", "/var/log/a.log", "a b"}); got != "/bin/cat /var/log/a.log 'a b'" {
		t.Errorf("got %s", got)
	}
}
