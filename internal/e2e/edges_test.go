package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

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
	t.Run("a program that reads to the end of its input, then writes", func(t *testing.T) { halfClosed(t, d) })
	t.Run("a terminal whose input ends in the middle of a line", func(t *testing.T) {
		cmd := d.Command(t.Context(), "technician", "shell", "-t", "press-1", "--", "cat")
		cmd.Stdin = strings.NewReader("abc")
		got := make(chan string, 1)
		go func() { out, err := cmd.Output(); got <- fmt.Sprintf("%q, %v", out, err) }()
		select {
		case out := <-got:
			if out != `"abcabc", <nil>` {
				t.Errorf("got %s, want the echo and the line", out)
			}
		case <-time.After(time.Minute):
			cmd.Process.Kill()
			t.Error("cat waits for more")
		}
	})
	t.Run("a character that is cut across two writes", func(t *testing.T) { cutCharacters(t, d) })
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

// halfClosed sends more than all windows and buffers on the way hold, and gets it back after its end alone: a
// connection that is closed both ways at the end of input would lose it.
func halfClosed(t *testing.T, d *testenv.Demo) {
	lines := make([]string, 600_000)
	for i := range lines {
		lines[i] = fmt.Sprintf("%07d", len(lines)-i)
	}
	in := strings.Join(lines, "\n") + "\n"
	slices.Sort(lines)
	want := strings.Join(lines, "\n") + "\n"
	got := withInput(t, d, []byte(in), "sh", "-c", "LC_ALL=C sort; echo sorted >&2; exit 3")
	if got.code != 3 || got.errs != "sorted\n" || got.out != want {
		t.Errorf("got status %d, %q and %d bytes, want 3, sorted and %d bytes", got.code, got.errs, len(got.out), len(want))
	}
}

// cutCharacters lets a program write the first bytes of a character, and the rest only when the client has shown them:
// they are two writes, and two frames of the record.
func cutCharacters(t *testing.T, d *testenv.Demo) {
	const script = `printf 'a\303'; read x; printf '\274 b\360\237'; read x; printf '\231\202 c\n'`
	const whole = "aü b🙂 c\n"
	cmd := d.Command(t.Context(), "technician", "shell", "press-1", "-T", "--", "sh", "-c", script)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var live screen
	cmd.Stdout, cmd.Stderr = &live, &live
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for _, shown := range []string{"a\xc3", "aü b\xf0\x9f"} {
		live.wait(t, shown)
		io.WriteString(in, "\n")
	}
	cmd.Wait()
	if got := live.text(); got != whole {
		t.Errorf("live: got %q, want %q", got, whole)
	}
	sid := last(t, d)
	for form, args := range map[string][]string{
		"replay": {"replay", sid}, "transcript": {"export", sid, "--transcript", "-o", "-"},
	} {
		if got := d.Run(t, "officer", append([]string{"sessions"}, args...)...); got.Out != whole {
			t.Errorf("%s: got %+v, want %q", form, got, whole)
		}
	}
	var output []string
	events := strings.Split(d.Run(t, "officer", "sessions", "export", sid, "--cast", "-o", "-").Out, "\n")
	for _, line := range events[1:] {
		var e [3]any
		if json.Unmarshal([]byte(line), &e) == nil && e[1] == "o" {
			output = append(output, e[2].(string))
		}
	}
	if got := strings.Join(output, ""); got != strings.ReplaceAll(whole, "\n", "\r\n") || len(output) < 3 {
		t.Errorf("asciicast: got the events %q, want %q in three", output, whole)
	}
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
