package proc

import (
	"strings"
	"testing"
)

func TestANameCannotBeTakenForAnotherProcess(t *testing.T) {
	for name, want := range map[string]string{
		"sleep":           "sleep (7)",
		"kworker/0:1":     "kworker/0:1 (7)",
		"sshd (812), ls":  `"sshd (812), ls" (7)`,
		"x; SIGKILL did":  `"x; SIGKILL did" (7)`,
		"\x1b[2J\u202esl": `"\x1b[2J\u202esl" (7)`,
		"\xff":            `"\xff" (7)`,
		"":                `"" (7)`,
		"\u0455\u0455hd":  `"\u0455\u0455hd" (7)`,
	} {
		if got := (Survivor{PID: 7, Name: name}).String(); got != want {
			t.Errorf("%q: got %s, want %s", name, got, want)
		}
	}
}

// TestTwoListsFitIntoAReport uses names of 15 bytes that are not text. The kernel escapes some of them with two bytes.
func TestTwoListsFitIntoAReport(t *testing.T) {
	var all []Survivor
	for pid := range 5000 {
		all = append(all, Survivor{PID: 4190000 + pid, Name: strings.Repeat("\\", 30)})
	}
	if n := len(List(all)); n > 210 {
		t.Errorf("a list has %d bytes", n)
	}
}
