package archive

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/recorder/format"
)

const (
	startShell   = "channel 1 as svc; terminal xterm, 100 columns, 30 rows; no environment; a shell"
	startCommand = "channel 2 as svc; no terminal; no environment; command: sh -c 'cat; a shell'"
)

// sideBySide is a session with a shell and, while it runs, a command. Characters of both are cut between frames, with
// frames of the other in between.
func (r *recordings) sideBySide(s id.Session) {
	k := r.begin(s, 0)
	k.must(k.Start(1, 100, 30, startShell))
	k.out(1, "one \xe2\x82")
	k.must(k.Start(2, 0, 0, startCommand))
	k.out(2, "two \xf0\x9f")
	k.out(1, "\xac")
	k.stderr(2, "err \xc5")
	k.out(2, "\x99\x82\n")
	k.stderr(2, "\xbc\n")
	k.out(1, " end\r\n\x1b]0;")
	k.out(2, "channel 1 of 1\x07\n")
	k.out(1, "title\x07after\r\n")
	k.in(1, "l")
	k.in(2, "x")
	k.in(1, "s")
	k.in(2, "y\r")
	k.in(1, "\r")
	k.Verdict(1, 0, 3, false)
	k.Verdict(2, 0, 3, false)
	k.must(k.Command(format.Command{Ch: 1, Source: "agent.exec", Argv: []string{"-sh"}, PID: 1}))
	k.must(k.Command(format.Command{Ch: 2, Source: "agent.exec", Argv: []string{"cat"}, PID: 2}))
	k.must(k.Command(format.Command{Ch: 77, Source: "agent.exec", Argv: []string{"made", "up"}, PID: 3}))
	k.must(k.Resize(1, 120, 40))
	k.must(k.Note(format.Note{Kind: "signal", Text: "USR1 was sent to what runs", Ch: new(uint32(2))}))
	k.must(k.Exit(format.Exit{Ch: 2, Status: 7}))
	k.must(k.Exit(format.Exit{Ch: 1, Signal: "HUP"}))
	k.end()
}

const (
	shownOn1 = "one € end\nafter\n"
	shownOn2 = "two err 🙂\nż\nchannel 1 of 1\n"
)

func (r *recordings) text(s id.Session, opt TranscriptOptions) string {
	r.t.Helper()
	var out bytes.Buffer
	if _, err := r.archive.Transcript(r.t.Context(), &out, r.parts(s), opt); err != nil {
		r.t.Fatal(err)
	}
	return out.String()
}

func TestATranscriptIsOfOneChannel(t *testing.T) {
	r, s := newRecordings(t), id.NewSession()
	r.sideBySide(s)
	for ch, want := range []string{shownOn1, shownOn1, shownOn2} {
		if got := r.text(s, TranscriptOptions{Channel: uint32(ch)}); got != want {
			t.Errorf("channel %d: got %q, want %q", ch, got, want)
		}
	}
	for ch, want := range []string{"ls\n", "ls\n", "xy\n"} {
		if got := r.text(s, TranscriptOptions{Channel: uint32(ch), Input: true}); got != want {
			t.Errorf("channel %d: got the input %q, want %q", ch, got, want)
		}
	}
}

func TestAnAsciicastIsOfOneChannel(t *testing.T) {
	r, s := newRecordings(t), id.NewSession()
	r.sideBySide(s)
	for ch, want := range []struct{ size, out, in, marks, sizes, exit, title string }{
		1: {"100x30", "one € end\r\n\x1b]0;title\x07after\r\n", "ls\r", startShell + "-sh", "100x30120x40", "0",
			s.String()},
		2: {"80x24", "two err 🙂\r\nż\r\nchannel 1 of 1\x07\r\n", "xy\r", startCommand + "cat", "", "7", s.String() +
			" channel 2"},
	} {
		if ch == 0 {
			continue
		}
		var out bytes.Buffer
		if _, err := r.archive.Asciicast(t.Context(), &out, r.parts(s),
			CastOptions{Version: 3, Channel: uint32(ch)}); err != nil {
			t.Fatal(err)
		}
		head, events := castOf(t, out.String())
		term := head["term"].(map[string]any)
		for what, got := range map[string][2]string{
			"size": {fmt.Sprint(term["cols"], "x", term["rows"]), want.size}, "output": {texts(events, "o"), want.out},
			"input": {texts(events, "i"), want.in}, "markers": {texts(events, "m"), want.marks},
			"later sizes": {texts(events, "r"), want.sizes}, "status": {texts(events, "x"), want.exit},
			"title": {fmt.Sprint(head["title"]), want.title},
		} {
			if got[0] != got[1] {
				t.Errorf("channel %d: got the %s %q, want %q", ch, what, got[0], got[1])
			}
		}
	}
}

func TestAReplayIsOfOneChannelAndAsLongAsTheSession(t *testing.T) {
	r, s := newRecordings(t), id.NewSession()
	r.sideBySide(s)
	first, _ := replayOf(t, r, r.parts(s), ReplayOptions{})
	for ch, want := range []string{1: "one €", 2: "two err 🙂"} {
		if ch == 0 {
			continue
		}
		x, events := replayOf(t, r, r.parts(s), ReplayOptions{Channel: uint32(ch)})
		if got := texts(events, "o"); !strings.HasPrefix(got, want) || strings.Contains(got, "one") == (ch == 2) {
			t.Errorf("channel %d: got %q", ch, got)
		}
		if x.Duration != first.Duration {
			t.Errorf("channel %d: got %v s, want %v s as the session", ch, x.Duration, first.Duration)
		}
	}
}

func TestAChannelThatARecordDoesNotHaveIsAnErrorThatNamesThoseThereAre(t *testing.T) {
	r, s, one := newRecordings(t), id.NewSession(), id.NewSession()
	r.sideBySide(s)
	r.sudo(one)
	var out bytes.Buffer
	for of, want := range map[id.Session]string{s: "the record has no channel 77; it has channels 1 and 2",
		one: "the record has no channel 77; it has channel 1"} {
		parts := r.parts(of)
		_, shown := r.archive.Transcript(t.Context(), &out, parts, TranscriptOptions{Channel: 77})
		_, typed := r.archive.Transcript(t.Context(), &out, parts, TranscriptOptions{Channel: 77, Input: true})
		_, cast := r.archive.Asciicast(t.Context(), &out, parts, CastOptions{Version: 2, Channel: 77})
		_, _, index := r.archive.ReplayIndex(t.Context(), parts, ReplayOptions{Channel: 77}, nil)
		segment := r.archive.ReplaySegment(t.Context(), &out, parts, 0, ReplayOptions{Channel: 77})
		for what, err := range map[string]error{"transcript": shown, "input": typed, "cast": cast, "index": index,
			"segment": segment} {
			if errkind.KindOf(err) != errkind.NotFound || err.Error() != want {
				t.Errorf("%s: got %v, want %q", what, err, want)
			}
		}
	}
	if out.Len() > 0 {
		t.Errorf("%q was written", out.String())
	}
}

func TestTheErrorOfAMissingChannelSaysThatTheRecordEndsEarly(t *testing.T) {
	r, s := newRecordings(t), id.NewSession()
	r.sudo(s)
	path := r.path(format.FileName(s, 0))
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, whole[:len(whole)*2/3], 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = r.archive.Transcript(t.Context(), &bytes.Buffer{}, r.parts(s), TranscriptOptions{Channel: 2})
	if err == nil || !strings.Contains(err.Error(), "it has channel 1, and ends early: ") {
		t.Errorf("got %v", err)
	}
}

func TestATimelineListsTheChannels(t *testing.T) {
	r, s := newRecordings(t), id.NewSession()
	r.sideBySide(s)
	tl, err := r.archive.Timeline(t.Context(), r.parts(s))
	if err != nil {
		t.Fatal(err)
	}
	if len(tl.Channels) != 2 {
		t.Fatalf("got %+v, want the two that the gateway opened", tl.Channels)
	}
	shell, command := tl.Channels[0], tl.Channels[1]
	if shell.Ch != 1 || shell.Program != "shell" || shell.Command != "" || shell.Login != "svc" || !shell.Terminal ||
		shell.Status != nil ||
		shell.Signal != "HUP" || shell.BytesOut != uint64(len("one € end\r\n\x1b]0;title\x07after\r\n")) {
		t.Errorf("the shell: got %+v", shell)
	}
	if command.Ch != 2 || command.Program != "command" || command.Command != "sh -c 'cat; a shell'" ||
		command.Terminal ||
		command.Status == nil || *command.Status != 7 ||
		command.BytesOut != uint64(len("two err 🙂\nż\nchannel 1 of 1\x07\n")) {
		t.Errorf("the command: got %+v", command)
	}
	if command.Began <= shell.Began || command.Ended == nil || shell.Ended == nil || *command.Ended >= *shell.Ended {
		t.Errorf("the command ran from %v to %v, the shell from %v to %v", command.Began, command.Ended, shell.Began,
			shell.Ended)
	}
	if tl.Cols != 100 || tl.Rows != 30 {
		t.Errorf("got the size %dx%d, want the first channel's", tl.Cols, tl.Rows)
	}
}

func TestATimelineSaysOnWhichChannelAThingHappened(t *testing.T) {
	r, s := newRecordings(t), id.NewSession()
	r.sideBySide(s)
	tl, err := r.archive.Timeline(t.Context(), r.parts(s))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, k := range tl.Input {
		got = append(got, fmt.Sprint(k.Ch, " ", k.Text))
	}
	for _, n := range tl.Notes {
		got = append(got, fmt.Sprint(n.Ch, " ", n.Kind))
	}
	want := "1 ls^M|2 xy^M|1 start|2 start|2 signal|2 exit|1 exit"
	if all := strings.Join(got, "|"); all != want {
		t.Errorf("got %s, want %s", all, want)
	}
}

// TestAChannelHasIdleStretchesOfItsOwn: to a player that shows one of them, another that is busy is no reason to wait.
func TestAChannelHasIdleStretchesOfItsOwn(t *testing.T) {
	tl := newTimeline()
	show := func(ch uint32, second uint64) {
		f := &format.Frame{Kind: format.KindOutput, Ch: ch, Stream: format.StreamOut, Data: []byte("x")}
		if err := tl.add(Moment{Frame: f, At: second * 1e6}); err != nil {
			t.Fatal(err)
		}
	}
	for second := range uint64(20) {
		show(1, second)
		if second == 10 || second == 14 {
			show(2, second)
		}
	}
	tl.pause(20e6)
	got := tl.census.end(20e6)
	if want := []Span{{0, 10}, {10, 14}, {14, 20}}; len(tl.Idle) != 0 || len(got[0].Idle) != 0 ||
		fmt.Sprint(got[1].Idle) != fmt.Sprint(want) {
		t.Errorf("got %v, and %v and %v; want none in the session, none and %v", tl.Idle, got[0].Idle, got[1].Idle,
			want)
	}
}

// TestAnOldRecordHasOneChannelOfWhichLittleIsKnown: its recorder wrote no start.
func TestAnOldRecordHasOneChannelOfWhichLittleIsKnown(t *testing.T) {
	r, s := newRecordings(t), id.NewSession()
	r.sudo(s)
	tl, err := r.archive.Timeline(t.Context(), r.parts(s))
	if err != nil || len(tl.Channels) != 1 {
		t.Fatalf("got %+v, %v", tl, err)
	}
	c := tl.Channels[0]
	if c.Ch != 1 || c.Program != "" || c.Login != "" || !c.Terminal || c.Status == nil || *c.Status != 0 ||
		c.Idle != nil {
		t.Errorf("got %+v", c)
	}
}

func castOf(t *testing.T, text string) (head map[string]any, events [][]any) {
	t.Helper()
	for i, line := range strings.Split(strings.TrimSpace(text), "\n") {
		if i == 0 {
			if err := json.Unmarshal([]byte(line), &head); err != nil {
				t.Fatal(err)
			}
			continue
		}
		var e []any
		if err := json.Unmarshal([]byte(line), &e); err != nil || len(e) != 3 {
			t.Fatalf("line %d: %q: %v", i, line, err)
		}
		events = append(events, e)
	}
	return head, events
}
