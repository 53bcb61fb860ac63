package e2e

import (
	"slices"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/internal/testenv"
)

// TestAwkwardArgumentsArriveByteForByte: on their way to the device they pass a command line, JSON, a recording and a
// POSIX shell, which would change each of them if it were not quoted.
func TestAwkwardArgumentsArriveByteForByte(t *testing.T) {
	t.Parallel()
	d := testenv.Start(t, "--devices", "1")
	all := []string{
		"",
		"two  words ",
		"it's",
		`she said "no"`,
		"two\nlines\n",
		"a\ttab\rand a return",
		"-n",
		"--",
		"* ? [a-z]",
		"~root",
		"$HOME ${PATH}",
		"$(echo run) `echo run`",
		`back\slash \n \`,
		"a;b|c&&d>e<f #g",
		"{a,b} !! ^a^b",
		"%s %n \x1b[31m \x7f",
		"żółw 漢字 🙂 e\u0301 \u202e \u200b",
	}
	if len(all) != 17 {
		t.Fatalf("got %d arguments", len(all))
	}
	run := func(t *testing.T, flag string, argv ...string) string {
		t.Helper()
		got := d.Run(t, "technician", append([]string{"shell", "press-1", flag, "--"}, argv...)...)
		if got.Status != 0 || got.Err != "" {
			t.Errorf("%q: got status %d, %q", argv, got.Status, got.Err)
		}
		return got.Out
	}
	// Read from the kernel: a program that prints arguments may have an idea of its own about some of them. After the
	// exit no other program takes the shell's place, and its arguments with it.
	const show = `tr '\0' '\001' </proc/$$/cmdline; exit 0`
	t.Run("all at once", func(t *testing.T) {
		out := run(t, "-T", append([]string{"sh", "-c", show, "sh"}, all...)...)
		got := strings.Split(strings.TrimSuffix(out, "\x01"), "\x01")
		if len(got) != 4+len(all) || !slices.Equal(got[4:], all) {
			t.Errorf("got %q, want %q at the end", got, all)
		}
	})
	t.Run("each as the last one", func(t *testing.T) {
		for _, arg := range all {
			if got := run(t, "-T", "printf", "%s", arg); got != arg {
				t.Errorf("got %q, want %q", got, arg)
			}
		}
	})
}
