package archive

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/id"
)

func cast(t *testing.T, r *recordings, s id.Session, version int) (head map[string]any, events [][]any) {
	t.Helper()
	var out bytes.Buffer
	if _, err := r.archive.Asciicast(t.Context(), &out, r.parts(s), CastOptions{Version: version}); err != nil {
		t.Fatal(err)
	}
	return castOf(t, out.String())
}

// texts joins what events of a code show.
func texts(events [][]any, code string) (out string) {
	for _, e := range events {
		if e[1] == code {
			out += e[2].(string)
		}
	}
	return out
}

func TestAsciicastsHoldHeaderOutputInputAndMarkers(t *testing.T) {
	r, s := newRecordings(t), id.NewSession()
	r.sudo(s)
	for version, size := range map[int]string{2: "100x30", 3: "100x30"} {
		head, events := cast(t, r, s, version)
		got := fmt.Sprint(head["width"], "x", head["height"])
		if term, ok := head["term"].(map[string]any); ok {
			got = fmt.Sprint(term["cols"], "x", term["rows"])
		}
		if head["version"] != float64(version) || got != size {
			t.Errorf("version %d: got header %v, want size %s", version, head, size)
		}
		if out := texts(events, "o"); !strings.Contains(out, "\x1b[1muid=0\x1b[0m\r\n") ||
			strings.Contains(out, "hunter2") {
			t.Errorf("version %d: got output %q", version, out)
		}
		if in := texts(events, "i"); in != "sudo id\rexit\r" {
			t.Errorf("version %d: got input %q", version, in)
		}
		if m := texts(events, "m"); m != "a shellsudo idlook here" {
			t.Errorf("version %d: got markers %q", version, m)
		}
		if x := texts(events, "x"); (x == "0") != (version == 3) {
			t.Errorf("version %d: got exit %q", version, x)
		}
	}
	if _, err := r.archive.Asciicast(t.Context(), &bytes.Buffer{}, r.parts(s), CastOptions{Version: 4}); err == nil {
		t.Error("version 4: got no error")
	}
}

func TestACastRepairsCharactersAndLineEnds(t *testing.T) {
	r, s := newRecordings(t), id.NewSession()
	k := r.beginShell(s, 0)
	k.out(1, "a\nb\r\nc\xf0\x9f")
	k.out(1, "\x99\x82\xff\r")
	k.out(1, "\n")
	k.end()
	_, events := cast(t, r, s, 2)
	if got, want := texts(events, "o"), "a\r\nb\r\nc🙂\ufffd\r\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestACastEndsWithWhatWasCutInACharacter: nothing of the end is left out.
func TestACastEndsWithWhatWasCutInACharacter(t *testing.T) {
	r, s := newRecordings(t), id.NewSession()
	k := r.beginShell(s, 0)
	k.out(1, "end \xf0\x9f")
	k.end()
	_, events := cast(t, r, s, 2)
	if got, want := texts(events, "o"), "end \ufffd"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// index and segment are read by the rules of asciinema-player 3.17.0 (validateIndex, normalizeSegment).
type playerIndex struct {
	Version  int
	Duration float64
	Term     struct{ Cols, Rows int }
	Segments []struct {
		Start float64
		URL   string
	}
	Markers [][]any
}

func replayOf(t *testing.T, r *recordings, parts []Part, opt ReplayOptions) (playerIndex, [][]any) {
	t.Helper()
	var asked ReplayOptions
	x, _, err := r.archive.ReplayIndex(t.Context(), parts, opt, func(n int, o ReplayOptions) string {
		asked = o
		return fmt.Sprintf("%d.json", n)
	})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(x)
	if err != nil {
		t.Fatal(err)
	}
	var index playerIndex
	if err := json.Unmarshal(raw, &index); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := r.archive.ReplaySegment(t.Context(), &out, parts, 0, asked); err != nil {
		t.Fatal(err)
	}
	var segment struct {
		Snapshot struct {
			Cols, Rows int
			Init       *string
		}
		Events [][]any
	}
	if err := json.Unmarshal(out.Bytes(), &segment); err != nil {
		t.Fatalf("%v in %q", err, out.String())
	}
	if s := segment.Snapshot; s.Cols != index.Term.Cols || s.Rows != index.Term.Rows || s.Init == nil {
		t.Errorf("got snapshot %+v, want the index's size and an init", s)
	}
	checkReplay(t, index, segment.Events)
	return index, segment.Events
}

func checkReplay(t *testing.T, x playerIndex, events [][]any) {
	t.Helper()
	if x.Version != 1 || len(x.Segments) != 1 || x.Segments[0].Start != 0 || x.Term.Cols <= 0 || x.Term.Rows <= 0 {
		t.Errorf("got index %+v", x)
	}
	last, markers := 0.0, 0
	for i, e := range events {
		at := e[0].(float64)
		if at < last || at > x.Duration {
			t.Errorf("event %d at %v, after %v, in %v", i, at, last, x.Duration)
		}
		last = at
		if e[1] == "m" {
			if markers >= len(x.Markers) || x.Markers[markers][0] != e[0] || x.Markers[markers][1] != e[2] {
				t.Errorf("marker %v is not in the index %v", e, x.Markers)
			}
			markers++
		}
	}
	if last != x.Duration || markers != len(x.Markers) {
		t.Errorf("got the last event at %v and %d markers, want %v and %d", last, markers, x.Duration, len(x.Markers))
	}
}

func TestAReplayIsWhatThePlayerTakes(t *testing.T) {
	r, s := newRecordings(t), id.NewSession()
	r.sudo(s)
	x, events := replayOf(t, r, r.parts(s), ReplayOptions{})
	if len(x.Markers) != 3 || !strings.Contains(texts(events, "o"), "uid=0") || texts(events, "x") != "" {
		t.Errorf("got markers %v, output %q", x.Markers, texts(events, "o"))
	}
	if err := r.archive.ReplaySegment(t.Context(), &bytes.Buffer{}, r.parts(s), 1, ReplayOptions{}); err == nil {
		t.Error("segment 1: got no error")
	}
}

func TestAnIdleLimitShortensPausesInIndexAndSegmentAlike(t *testing.T) {
	r, s := newRecordings(t), id.NewSession()
	k := r.beginShell(s, 0)
	k.out(1, "a")
	time.Sleep(300 * time.Millisecond)
	k.out(1, "b")
	k.end()
	full, _ := replayOf(t, r, r.parts(s), ReplayOptions{})
	short, _ := replayOf(t, r, r.parts(s), ReplayOptions{Idle: 50 * time.Millisecond})
	if full.Duration < 0.3 || short.Duration > full.Duration-0.2 {
		t.Errorf("got %v s, and %v s with the limit, want a pause of 0.3 s cut to 0.05", full.Duration, short.Duration)
	}
}

func TestALiveReplayEndsWhereItsIndexSays(t *testing.T) {
	r, s := newRecordings(t), id.NewSession()
	k := r.beginShell(s, 0)
	k.out(1, "before")
	parts := []Part{{Session: s, Live: true}}
	var asked ReplayOptions
	if _, _, err := r.archive.ReplayIndex(t.Context(), parts, ReplayOptions{},
		func(_ int, o ReplayOptions) string { asked = o; return "0.json" }); err != nil {
		t.Fatal(err)
	}
	time.Sleep(5 * time.Millisecond)
	k.out(1, "after")
	var out bytes.Buffer
	if err := r.archive.ReplaySegment(t.Context(), &out, parts, 0, asked); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "before") || strings.Contains(out.String(), "after") {
		t.Errorf("got %s, want what the index knew", out.String())
	}
	k.end()
}

func TestAnEmptySessionReplays(t *testing.T) {
	r, s := newRecordings(t), id.NewSession()
	r.begin(s, 0).end()
	if _, events := replayOf(t, r, r.parts(s), ReplayOptions{}); len(events) != 1 {
		t.Errorf("got %v, want one event", events)
	}
}
