package archive

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/recorder"
	"github.com/sallyport/sallyport/recorder/files"
	"github.com/sallyport/sallyport/recorder/format"
	"github.com/sallyport/sallyport/recorder/writer"
)

// recordings is a directory with a recorder that writes into it, and an archive that reads from it.
type recordings struct {
	t        *testing.T
	dir      string
	node     *writer.Node
	archive  *Archive
	unsealer *age.X25519Identity
}

func newIdentity(t *testing.T) *age.X25519Identity {
	t.Helper()
	k, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func newRecordings(t *testing.T) *recordings {
	t.Helper()
	reader, unsealer := newIdentity(t), newIdentity(t)
	_, key, _ := ed25519.GenerateKey(nil)
	r := &recordings{t: t, dir: t.TempDir(), unsealer: unsealer}
	var err error
	r.node, _, err = writer.OpenNode(t.Context(), writer.NodeConfig{Dir: r.dir, Key: key,
		LogOrigin: "log.example/test", JournalBytes: 8 << 20,
		Readers: []age.Recipient{reader.Recipient()}, Unsealers: []age.Recipient{unsealer.Recipient()},
		Rate: -1, Most: -1, VerdictWait: time.Minute, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.node.Close(t.Context()) })
	if r.archive, err = Open(Config{Dir: r.dir, Identity: []age.Identity{reader}}); err != nil {
		t.Fatal(err)
	}
	return r
}

// take is a recording whose methods fail the test.
type take struct {
	recorder.Recording
	t *testing.T
}

func (r *recordings) begin(s id.Session, part uint32) take {
	r.t.Helper()
	rec, err := r.node.Create(r.t.Context(), recorder.PartConfig{Session: s, Part: part})
	if err != nil {
		r.t.Fatal(err)
	}
	return take{rec, r.t}
}

// beginShell begins a recording in which channel 1 is started.
func (r *recordings) beginShell(s id.Session, part uint32) take {
	r.t.Helper()
	k := r.begin(s, part)
	k.must(k.Start(1, 0, 0, "a shell"))
	return k
}

func (k take) must(err error) {
	k.t.Helper()
	if err != nil {
		k.t.Fatal(err)
	}
}

func (k take) out(ch uint32, s string) {
	k.t.Helper()
	k.must(k.Output(k.t.Context(), ch, format.StreamOut, []byte(s)))
}

func (k take) stderr(ch uint32, s string) {
	k.t.Helper()
	k.must(k.Output(k.t.Context(), ch, format.StreamErr, []byte(s)))
}

func (k take) in(ch uint32, s string) {
	k.t.Helper()
	k.must(k.Input(k.t.Context(), ch, 1, []byte(s)))
}

func (k take) end() {
	k.t.Helper()
	_, err := k.Close(k.t.Context(), "exit")
	k.must(err)
}

// sudo is a session in which a password is typed.
func (r *recordings) sudo(s id.Session) {
	k := r.begin(s, 0)
	k.must(k.Start(1, 100, 30, "a shell"))
	k.out(1, "$ ")
	for _, key := range "sudo id\r" {
		k.in(1, string(key))
		k.out(1, string(key))
	}
	k.Verdict(1, 0, 8, false)
	k.must(k.Command(format.Command{Ch: 1, Source: "agent.exec", Argv: []string{"sudo", "id"}, PID: 7}))
	k.out(1, "\nPassword: ")
	for _, key := range "hunter2\r" {
		k.in(1, string(key))
	}
	k.Verdict(1, 8, 8, true)
	k.out(1, "\r\n\x1b[1muid=0\x1b[0m\r\n")
	k.must(k.Command(format.Command{Ch: 1, Source: "agent.exec", PID: 7, Ended: true, Status: 3}))
	k.must(k.Note(format.Note{Kind: format.NoteMarker, Text: "look here"}))
	k.in(1, "exit\r")
	k.Verdict(1, 16, 5, false)
	k.must(k.Exit(format.Exit{Ch: 1, Status: 0}))
	k.end()
}

// path finds a file of a part, or says where it would lie today.
func (r *recordings) path(name string) string {
	path, err := files.Locate(r.dir, name, time.Time{})
	if err != nil {
		return filepath.Join(r.dir, format.Day(time.Now()), name)
	}
	return path
}

func (r *recordings) parts(s id.Session) []Part {
	r.t.Helper()
	parts, err := r.archive.Parts(s)
	if err != nil {
		r.t.Fatal(err)
	}
	return parts
}

func TestATimelineShowsInputCommandsAndNotesButNoPassword(t *testing.T) {
	r, s := newRecordings(t), id.NewSession()
	r.sudo(s)
	tl, err := r.archive.Timeline(t.Context(), r.parts(s))
	if err != nil {
		t.Fatal(err)
	}
	var typed []string
	for _, k := range tl.Input {
		typed = append(typed, k.Text)
	}
	if got, want := strings.Join(typed, "|"), "sudo id^M|sealed, 8 keys|exit^M"; got != want {
		t.Errorf("got input %q, want %q", got, want)
	}
	if len(tl.Commands) != 1 || tl.Commands[0].Status == nil || *tl.Commands[0].Status != 3 ||
		tl.Commands[0].Ended == nil {
		t.Errorf("got commands %+v, want sudo id, ended with 3", tl.Commands)
	}
	if tl.Cols != 100 || tl.Rows != 30 || !tl.Whole || tl.Cut != "" || len(tl.Gaps) != 0 {
		t.Errorf("got %dx%d whole %v cut %q gaps %v, want 100x30, whole", tl.Cols, tl.Rows, tl.Whole, tl.Cut, tl.Gaps)
	}
	if len(tl.Notes) != 3 || tl.Notes[0].Kind != "start" || tl.Notes[1].Text != "look here" ||
		tl.Notes[2].Kind != "exit" {
		t.Errorf("got notes %+v, want the start, the marker and the exit", tl.Notes)
	}
}

// TestAStartIsOneLine: of the timeline and of a replay, however long the command is and whatever is in it.
func TestAStartIsOneLine(t *testing.T) {
	r, s := newRecordings(t), id.NewSession()
	k := r.begin(s, 0)
	k.must(k.Start(1, 90, 33, "command: echo 'two\nlines' "+strings.Repeat("é", 10_000)))
	k.end()
	tl, err := r.archive.Timeline(t.Context(), r.parts(s))
	if err != nil {
		t.Fatal(err)
	}
	got := tl.Notes[0]
	if got.Kind != "start" || !strings.HasPrefix(got.Text, "command: echo 'two^Jlines' éé") ||
		!strings.HasSuffix(got.Text, "é…") || len(got.Text) > maxText+len("…") {
		t.Errorf("got the note %s of %d bytes, %.60q", got.Kind, len(got.Text), got.Text)
	}
	if tl.Cols != 90 || tl.Rows != 33 {
		t.Errorf("got %dx%d, want 90x33", tl.Cols, tl.Rows)
	}
	if _, events := cast(t, r, s, 3); !strings.HasPrefix(texts(events, "m"), "command: echo 'two^Jlines' é") {
		t.Errorf("the replay has the markers %.60q", texts(events, "m"))
	}
}

func TestATranscriptIsWhatWasShown(t *testing.T) {
	r, s := newRecordings(t), id.NewSession()
	r.sudo(s)
	if got, want := transcript(t, r.archive, r.parts(s), false), "$ sudo id\nPassword: \nuid=0\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func transcript(t *testing.T, a *Archive, parts []Part, input bool) string {
	t.Helper()
	var out bytes.Buffer
	if _, err := a.Transcript(t.Context(), &out, parts, TranscriptOptions{Input: input}); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestTypedInputShowsSealedRangesAsHidden(t *testing.T) {
	r, s := newRecordings(t), id.NewSession()
	r.sudo(s)
	if got, want := transcript(t, r.archive, r.parts(s), true), "sudo id\n[hidden]\nexit\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestOutputAndErrorsKeepTheirRecordedOrder(t *testing.T) {
	r, s := newRecordings(t), id.NewSession()
	k := r.beginShell(s, 0)
	k.out(1, "one\n")
	k.stderr(1, "two\n")
	k.out(1, "thr\xe2\x82")
	k.stderr(1, "four\n")
	k.out(1, "\xac\n")
	k.end()
	if got, want := transcript(t, r.archive, r.parts(s), false), "one\ntwo\nthrfour\n€\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestPartsAreJoinedAndTheSeamIsShown(t *testing.T) {
	r, s := newRecordings(t), id.NewSession()
	k := r.beginShell(s, 0)
	k.out(1, "before\n")
	k.end()
	k = r.beginShell(s, 1)
	k.out(1, "after\n")
	k.end()
	parts := r.parts(s)
	if len(parts) != 2 || parts[1].Part != 1 {
		t.Fatalf("got parts %+v, want two", parts)
	}
	if got := transcript(t, r.archive, parts, false); got != "before\nafter\n" {
		t.Errorf("got %q", got)
	}
	tl, err := r.archive.Timeline(t.Context(), parts)
	if err != nil || !tl.Whole || len(tl.Gaps) != 1 || tl.Gaps[0].Kind != "seam" {
		t.Errorf("got %+v, %v, want a whole record with one seam", tl, err)
	}
	if tl, err = r.archive.Timeline(t.Context(), parts[1:]); err != nil || tl.Whole ||
		!strings.Contains(tl.Cut, "part 0") {
		t.Errorf("part 1 alone: got whole %v cut %q, %v, want part 0 missing", tl.Whole, tl.Cut, err)
	}
}

func TestACutAndADamagedRecordAreReadUpToThere(t *testing.T) {
	r, s := newRecordings(t), id.NewSession()
	r.sudo(s)
	path := r.path(format.FileName(s, 0))
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	damaged := bytes.Clone(whole)
	damaged[len(damaged)*2/3] ^= 1
	for what, file := range map[string][]byte{"cut": whole[:len(whole)*2/3], "damaged": damaged} {
		if err := os.WriteFile(path, file, 0o600); err != nil {
			t.Fatal(err)
		}
		tl, err := r.archive.Timeline(t.Context(), r.parts(s))
		if err != nil || tl.Whole || !strings.Contains(tl.Cut, "offset") || len(tl.Input) == 0 {
			t.Errorf("%s: got %+v, %v, want what is there, and where it ends", what, tl, err)
		}
		if got := transcript(t, r.archive, r.parts(s), false); !strings.HasPrefix(got, "$ sudo") {
			t.Errorf("%s: got %q, want the beginning", what, got)
		}
	}
	live := r.parts(s)
	live[0].Live = true
	if err := os.WriteFile(path, whole[:len(whole)*2/3], 0o600); err != nil {
		t.Fatal(err)
	}
	if tl, err := r.archive.Timeline(t.Context(), live); err != nil || tl.Whole || tl.Cut != "" {
		t.Errorf("live: got whole %v cut %q, %v, want neither", tl.Whole, tl.Cut, err)
	}
}

func TestWhoHasNoKeyReadsNothing(t *testing.T) {
	r, s := newRecordings(t), id.NewSession()
	r.sudo(s)
	for what, c := range map[string]struct {
		who  age.Identity
		kind errkind.Kind
	}{"a stranger": {newIdentity(t), errkind.Denied}, "an unsealing officer": {r.unsealer, errkind.Denied}} {
		a, err := Open(Config{Dir: r.dir, Identity: []age.Identity{c.who}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := a.Transcript(t.Context(), io.Discard, r.parts(s),
			TranscriptOptions{}); errkind.KindOf(err) != c.kind {
			t.Errorf("%s: got %v, want denied", what, err)
		}
	}
	slot, _ := format.SlotNames(s, 0)
	if err := os.Remove(r.path(slot)); err != nil {
		t.Fatal(err)
	}
	if _, err := r.archive.Timeline(t.Context(), r.parts(s)); errkind.KindOf(err) != errkind.NotFound {
		t.Errorf("shredded: got %v, want not found", err)
	}
}

func TestAFileOfAnotherNameIsNotOpened(t *testing.T) {
	r, s, other := newRecordings(t), id.NewSession(), id.NewSession()
	r.sudo(s)
	for _, names := range [][2]string{{format.FileName(s, 0), format.FileName(other, 0)}} {
		b, _ := os.ReadFile(r.path(names[0]))
		os.WriteFile(r.path(names[1]), b, 0o600)
	}
	a, _ := format.SlotNames(s, 0)
	b, _ := format.SlotNames(other, 0)
	os.Link(r.path(a), r.path(b))
	tl, err := r.archive.Timeline(t.Context(), r.parts(other))
	if err != nil || tl.Whole || !strings.Contains(tl.Cut, "another session") {
		t.Errorf("a renamed record: got %+v, %v, want that it is another session's", tl, err)
	}
}

func TestAllListsContainersOnly(t *testing.T) {
	r, s := newRecordings(t), id.NewSession()
	r.sudo(s)
	os.WriteFile(filepath.Join(r.dir, s.String()+".00.srec"), nil, 0o600)
	parts, err := r.archive.All()
	if err != nil || len(parts) != 1 || parts[0].Session != s {
		t.Errorf("got %+v, %v, want one", parts, err)
	}
	if _, err := r.archive.Frames(t.Context(), nil, nil); !errors.Is(err, errNoRecord) {
		t.Errorf("no parts: got %v", err)
	}
}
