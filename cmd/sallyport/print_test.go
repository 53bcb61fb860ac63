package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/web/apitype"
)

func TestNothingThatDrivesATerminalIsPrinted(t *testing.T) {
	for in, want := range map[string]string{
		"plain\tand\n": "plain\tand\n", "\x1b]0;title\x07x": "]0;titlex", "\u009b31mred": "31mred", "a\rb": "ab", "\u202eevil\u2066": "evil", "a\x00b\x7f": "ab", "Größe ✓": "Größe ✓",
	} {
		if got := safe(in); got != want {
			t.Errorf("safe(%q): got %q, want %q", in, got, want)
		}
	}
}

func TestARowOfSomebodyElsesTextIsOneRow(t *testing.T) {
	text := "true\nrecord\tcomplete\u200b\u009b31m\U000e0041"
	var table, fields, values bytes.Buffer
	for out, write := range map[*bytes.Buffer]func(*app) error{
		&table: func(a *app) error {
			return show(a, listing{}, []string{text}, "", "WHAT", func(s string) []string { return []string{s} })
		},
		&fields: func(a *app) error { return page(a.stdout, []field{{"command", text}}) },
		&values: func(a *app) error { return a.json([]string{text}) },
	} {
		if err := write(&app{stdout: out}); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := table.String(), "WHAT\ntrue\\nrecord\\tcomplete31m\n"; got != want {
		t.Errorf("in a table: got %q, want %q", got, want)
	}
	if got, want := fields.String(), "command  true\\nrecord\\tcomplete31m\n"; got != want {
		t.Errorf("on a page: got %q, want %q", got, want)
	}
	var back []string
	if err := json.Unmarshal(values.Bytes(), &back); err != nil || len(back) != 1 || back[0] != text {
		t.Errorf("as JSON: got %q, %v", back, err)
	}
	if got := values.String(); strings.ContainsFunc(got, func(r rune) bool { return r > 0x7e }) {
		t.Errorf("as JSON: got %q, want nothing unescaped", got)
	}
}

// TestLongNamesAreCutOnATerminalAlone: a pipe, a file and JSON get them in full, and so does a page about one thing.
func TestLongNamesAreCutOnATerminalAlone(t *testing.T) {
	tty, screen, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer tty.Close()
	defer screen.Close()
	name := "Wolfeschlegelsteinhausen e\u0301e\u0301e\u0301e\u0301e\u0301 the Elder"
	show := func(out io.Writer, l listing) {
		t.Helper()
		err := show(&app{stdout: out}, l, []string{name, "Tess"}, "", "DEVICE USER STATE",
			func(s string) []string { return []string{strings.Repeat("d", 63), s, "closed"} })
		if err != nil {
			t.Fatal(err)
		}
	}
	show(screen, listing{})
	lines := bufio.NewReader(tty)
	var got []string
	for range 3 {
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, strings.TrimRight(line, "\r\n"))
	}
	device := strings.Repeat("d", 63)
	want := []string{"DEVICE" + strings.Repeat(" ", 59) + "USER" + strings.Repeat(" ", 30) + "STATE",
		device + "  Wolfeschlegelsteinhausen e\u0301e\u0301e\u0301…  closed",
		device + "  Tess" + strings.Repeat(" ", 30) + "closed"}
	if !slices.Equal(got, want) {
		t.Errorf("on a terminal: got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	var pipe, values bytes.Buffer
	show(&pipe, listing{})
	show(&values, listing{JSON: true})
	if !strings.Contains(pipe.String(), "  "+name+"  closed\n") {
		t.Errorf("into a pipe: got %q", pipe.String())
	}
	var back []string
	if err := json.Unmarshal(values.Bytes(), &back); err != nil || back[0] != name {
		t.Errorf("as JSON: got %q, %v", back, err)
	}
}

func TestATranscriptIsSafeHoweverItIsCut(t *testing.T) {
	in := "Größe ✓ \x1b[31m\u202e€\U0001F600\xff\u009b end\n"
	want := safe(strings.ToValidUTF8(in, ""))
	for size := 1; size < len(in); size++ {
		var out bytes.Buffer
		s := &sanitizer{w: &out}
		for rest := []byte(in); len(rest) > 0; {
			n := min(size, len(rest))
			if _, err := s.Write(rest[:n]); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		if out.String() != want {
			t.Errorf("in pieces of %d: got %q, want %q", size, out.String(), want)
		}
	}
}

func TestAShellExitsAsItsCommandDid(t *testing.T) {
	n := func(i int) *int { return &i }
	for name, c := range map[string]struct {
		end  apitype.TerminalControl
		want int
	}{
		"0":                       {apitype.TerminalControl{Status: n(0)}, 0},
		"a status":                {apitype.TerminalControl{Status: n(42)}, 42},
		"a signal":                {apitype.TerminalControl{Signal: "KILL"}, 137},
		"a signal without number": {apitype.TerminalControl{Signal: "STRANGE"}, 255},
		"ended by oneself":        {apitype.TerminalControl{Reason: "technician"}, 255},
	} {
		got := 0
		if code, ok := outcome(c.end, "").(exitStatus); ok {
			got = int(code)
		}
		if got != c.want {
			t.Errorf("%s: got %d, want %d", name, got, c.want)
		}
	}
	if err := outcome(apitype.TerminalControl{Reason: "ended by officer"}, ""); errkind.KindOf(err) != errkind.Unavailable || !strings.Contains(err.Error(), "ended by officer") {
		t.Errorf("ended by somebody: got %v, want why", err)
	}
}

func TestTheEscapeEndsTheSessionAtTheBeginningOfALineOnly(t *testing.T) {
	for in, want := range map[string]struct {
		out   string
		ended bool
		more  int
	}{
		"ls\r": {"ls\r", false, 0}, "~.": {"", true, 0}, "ls\r~.rest": {"ls\r", true, 0}, "a~.": {"a~.", false, 0}, "~~.": {"~.", false, 0}, "~x": {"~x", false, 0},
		"\r~\r": {"\r~\r", false, 0}, "~+": {"", false, 1}, "a~+": {"a~+", false, 0}, "ls\r~+~+x": {"ls\rx", false, 2}, "~+~.": {"", true, 1}, "~~+": {"~+", false, 0},
	} {
		for _, size := range []int{1, len(in)} { // also key by key
			var out bytes.Buffer
			ended, more := false, 0
			e := &escape{to: &out, end: func() { ended = true }, more: func() { more++ }}
			for i := 0; i < len(in) && !ended; i += size {
				if _, err := e.Write([]byte(in[i:min(i+size, len(in))])); err != nil {
					t.Fatal(err)
				}
			}
			if out.String() != want.out || ended != want.ended || more != want.more {
				t.Errorf("%q by %d: got %q ended %v, more time %d times, want %+v", in, size, out.String(), ended, more, want)
			}
		}
	}
}

func TestAMomentIsReadAsPeopleWriteIt(t *testing.T) {
	now := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	for in, want := range map[string]time.Time{"24h": now.Add(-24 * time.Hour), "2026-03-01T10:00:00Z": time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC),
		"2026-03-01": time.Date(2026, 3, 1, 0, 0, 0, 0, time.Local)} {
		if got, err := since(in, now); err != nil || !got.Equal(want) {
			t.Errorf("%s: got %v %v, want %v", in, got, err, want)
		}
	}
	if _, err := since("yesterday", now); errkind.KindOf(err) != errkind.Usage {
		t.Errorf("yesterday: got %v, want a usage error", err)
	}
}

func TestARecordIsPlayedAtItsPace(t *testing.T) {
	var out bytes.Buffer
	began := time.Now()
	record := stretches(apitype.Written{At: 10_000, Stream: 1, Data: []byte("a")},
		apitype.Written{At: 900e6, Stream: 1, Data: []byte("b")})
	p := pace{speed: 1, idle: 50 * time.Millisecond}
	if err := play(t.Context(), bytes.NewReader(record), &out, io.Discard, p); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); out.String() != "ab" || took < 50*time.Millisecond || took > time.Minute {
		t.Errorf("got %q in %s, want ab with the pause cut to 50 ms", out.String(), took)
	}
}
