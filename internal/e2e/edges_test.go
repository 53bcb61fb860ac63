package e2e

import (
	"bytes"
	"context"
	"errors"
	"os/exec"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/internal/testenv"
)

// TestCommandsEndAsWithSSH: what a script sees of a command's end.
func TestCommandsEndAsWithSSH(t *testing.T) {
	d := testenv.Start(t)
	t.Run("a program that does not read its input", func(t *testing.T) {
		for _, size := range []int{1000, 300_000, 5_000_000} {
			for _, script := range []string{"exit 7", "head -c 10 >/dev/null; exit 7", "exec <&-; sleep 0.3; exit 7"} {
				got := withInput(t, d, make([]byte, size), "sh", "-c", script)
				if got.code != 7 || got.out != "" || got.errs != "" {
					t.Errorf("%q with %d bytes of input: got %+v, want status 7 and no word", script, size, got)
				}
			}
		}
	})
	t.Run("a record of bytes, byte for byte", func(t *testing.T) {
		script := `printf 'a\n\377\000b\r\n\303'; printf 'e\n\200' >&2`
		live := withInput(t, d, nil, "sh", "-c", script)
		got := d.Run(t, "officer", "sessions", "replay", last(t, d), "--raw")
		errs := strings.TrimPrefix(got.Err, "sallyport: these are the recorded bytes, unfiltered; they can drive your terminal. Ctrl-C stops.\n")
		if live.out != "a\n\xff\x00b\r\n\xc3" || got.Out != live.out || errs != live.errs || live.errs != "e\n\x80" {
			t.Errorf("live %q and %q, replayed %q and %q", live.out, live.errs, got.Out, errs)
		}
	})
	t.Run("words that are not UTF-8", func(t *testing.T) {
		for _, argv := range [][]string{{"rm", "report\xff"}, {"rm", "report\uFFFD"}} {
			got := withInput(t, d, nil, argv...)
			if got.code != 2 || got.out != "" || !strings.Contains(got.errs, "is not UTF-8") {
				t.Errorf("%q: got %+v, want status 2 and which word it is", argv, got)
			}
		}
	})
	t.Run("output after the main process", func(t *testing.T) {
		const held = "sallyport: the program has ended, and something that it left behind still held its output; " +
			"what comes after 10 s is not shown\n"
		for script, want := range map[string]ran{
			"(sleep 2; echo late) & echo early":                    {out: "early\nlate\n"},
			"(for i in 1 2 3; do sleep 2; echo $i; done) & exit 3": {out: "1\n2\n3\n", code: 3},
			"(sleep 2; echo late >&2) & exit 4":                    {errs: "late\n", code: 4},
			"sleep 1000 & exit 5":                                  {errs: held, code: 5},
			"sleep 1000 >/dev/null 2>&1 & echo ready":              {out: "ready\n"},
			"exec 2>/dev/null; sleep 1000 & echo ready":            {out: "ready\n", errs: held},
		} {
			t.Run(script, func(t *testing.T) {
				t.Parallel()
				if got := withInput(t, d, nil, "sh", "-c", script); got != want {
					t.Errorf("got %+v, want %+v", got, want)
				}
			})
		}
	})
}

type ran struct {
	out, errs string
	code      int
}

func withInput(t *testing.T, d *testenv.Demo, in []byte, argv ...string) ran {
	t.Helper()
	cmd := d.Command(context.Background(), "technician", append([]string{"shell", "press-1", "-T", "--"}, argv...)...)
	var out, errs strings.Builder
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(in), &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return ran{out.String(), errs.String(), cmd.ProcessState.ExitCode()}
}
