package writer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/recorder"
	"github.com/sallyport/sallyport/recorder/format"
)

// noise gives bytes that do not compress.
func noise(seed uint64, n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)}).Read(b)
	return b
}

func TestWhatIsRecordedIsReadBack(t *testing.T) {
	dir := t.TempDir()
	n, _ := openNode(t, nodeConfig(dir))
	s := id.NewSession()
	r := create(t, n, recorder.PartConfig{Session: s, DeviceFP: [32]byte{5}})
	ctx := t.Context()
	big := noise(1, 300<<10)
	must(t, r.Notice([]byte("leaf")))
	must(t, r.Resize(0, 80, 24))
	must(t, r.Output(ctx, 0, format.StreamOut, []byte("login: \xff\xfe")))
	must(t, r.Input(ctx, 0, 3, []byte("root\r")))
	r.Verdict(0, 0, 5, false)
	must(t, r.Input(ctx, 0, 3, []byte("secret")))
	r.Verdict(0, 5, 6, true)
	must(t, r.Output(ctx, 0, format.StreamErr, []byte("err")))
	must(t, r.Output(ctx, 1, format.StreamOut, big))
	must(t, r.Command(format.Command{Ch: 0, Source: "agent.exec", Argv: []string{"ls", "\xff"}}))
	must(t, r.Note(format.Note{Kind: format.NoteMarker, Text: "here"}))
	must(t, r.Gap(format.Gap{Reason: "bounded"}))
	must(t, r.Statement([]byte("body"), []byte("sig")))
	must(t, r.Attest(format.Attest{Key: make([]byte, 32)}))
	must(t, r.Attest(format.Attest{Hidden: true, Key: noise(2, 32)}))
	must(t, r.Exit(format.Exit{Signal: "not a signal"}))
	closed, err := r.Close(ctx, "exit")
	must(t, err)

	c := readBack(t, dir, s, 0)
	for name, want := range map[streamID][]byte{{0, format.StreamOut}: []byte("login: \xff\xfe"),
		{0, format.StreamErr}: []byte("err"), {1, format.StreamOut}: big} {
		if !bytes.Equal(c.out[name], want) {
			t.Errorf("channel %d stream %d: got %d bytes, want %d", name.ch, name.stream, len(c.out[name]), len(want))
		}
	}
	if got := string(c.typed[0]); got != "root\rsecret" {
		t.Errorf("typed: got %q", got)
	}
	if got := string(c.shown[0]); got != "root\r\x00\x00\x00\x00\x00\x00" {
		t.Errorf("shown to readers: got %q, want the password to stay sealed", got)
	}
	if c.close == nil || c.close.Reason != "exit" || c.close.Seq != closed.Seq {
		t.Fatalf("close: got %+v, want reason exit and seq %d", c.close, closed.Seq)
	}
	if diff := cmp.Diff(closed.Totals, c.close.Totals); diff != "" {
		t.Error(diff)
	}
	if closed.Hidden != 1 {
		t.Errorf("hidden stretches: got %d, want 1", closed.Hidden)
	}
	if want := (format.Totals{Out: uint64(len(big)) + 12, In: 11, Revealed: 5, Gaps: 1,
		Statements: 1}); closed.Totals.Out != want.Out || closed.Totals.In != want.In ||
		closed.Totals.Revealed != want.Revealed || closed.Totals.Gaps != want.Gaps ||
		closed.Totals.Statements != want.Statements {
		t.Errorf("totals: got %+v, want %+v", closed.Totals, want)
	}
	info, err := os.Stat(filepath.Join(dir, r.File()))
	must(t, err)
	if info.Size() != closed.Bytes {
		t.Errorf("bytes: got %d, the file has %d", closed.Bytes, info.Size())
	}
}

func TestARecordingThatIsClosedTakesNothingMore(t *testing.T) {
	n, _ := openNode(t, nodeConfig(t.TempDir()))
	r := create(t, n, recorder.PartConfig{})
	first, err := r.Close(t.Context(), "exit")
	must(t, err)
	if err := r.Output(t.Context(), 0, format.StreamOut, []byte("x")); errkind.KindOf(err) != errkind.Conflict {
		t.Errorf("Output: got %v, want a conflict", err)
	}
	if err := r.Input(t.Context(), 0, 0, []byte("x")); errkind.KindOf(err) != errkind.Conflict {
		t.Errorf("Input: got %v, want a conflict", err)
	}
	again, err := r.Close(t.Context(), "other")
	if err != nil || again != first {
		t.Errorf("second Close: got %+v %v, want %+v", again, err, first)
	}
}

func TestOutputOnTheInputStreamIsRefused(t *testing.T) {
	n, _ := openNode(t, nodeConfig(t.TempDir()))
	r := create(t, n, recorder.PartConfig{})
	if err := r.Output(t.Context(), 0, format.StreamIn, []byte("x")); err == nil {
		t.Error("recorded")
	}
}

func TestHugeEventsFromADeviceAreCutAndStillRecorded(t *testing.T) {
	dir := t.TempDir()
	n, _ := openNode(t, nodeConfig(dir))
	s := id.NewSession()
	r := create(t, n, recorder.PartConfig{Session: s})
	argv := make([]string, 20_000)
	for i := range argv {
		argv[i] = string(bytes.Repeat([]byte("a"), i%7000))
	}
	must(t, r.Command(format.Command{Source: "agent.exec", Argv: argv}))
	must(t, r.Note(format.Note{Kind: format.NoteMarker, Text: string(noise(3, 1<<20))}))
	if err := r.Notice(make([]byte, format.MaxFrame+1)); err == nil {
		t.Error("a notice beyond the format's limit was taken")
	}
	if err := r.Statement(make([]byte, format.MaxStatement), nil); err == nil {
		t.Error("a statement beyond the format's limit was taken")
	}
	_, err := r.Close(t.Context(), "exit")
	must(t, err)
	c := readBack(t, dir, s, 0)
	cmd, err := c.frames[1+starts].Command()
	must(t, err)
	if !cmd.Truncated {
		t.Error("the command does not say that it was cut")
	}
}

func TestFiveHundredSessionsRecordAtOnce(t *testing.T) {
	dir := t.TempDir()
	n, _ := openNode(t, nodeConfig(dir))
	const sessions = 500
	ids := make([]id.Session, sessions)
	var all sync.WaitGroup
	errs := make(chan error, sessions)
	for i := range sessions {
		ids[i] = id.NewSession()
		all.Go(func() { errs <- oneOfMany(n, ids[i], i) })
	}
	all.Wait()
	for range sessions {
		must(t, <-errs)
	}
	for i, s := range ids {
		c := readBack(t, dir, s, 0)
		if want := manyOutput(i); c.close == nil || !bytes.Equal(c.out[streamID{0, format.StreamOut}], want) ||
			string(c.shown[0]) != "ls\r" {
			t.Fatalf("session %d: %d bytes, shown %q, closed %v; want %d bytes", i,
				len(c.out[streamID{0, format.StreamOut}]), c.shown[0], c.close != nil, len(want))
		}
	}
}

func manyOutput(i int) []byte { return bytes.Repeat(fmt.Appendf(nil, "line of session %d\r\n", i), 60) }

func oneOfMany(n *Node, s id.Session, i int) error {
	ctx := context.Background()
	r, err := n.Create(ctx, recorder.PartConfig{Session: s})
	if err != nil {
		return err
	}
	if err = r.Start(0, 80, 24, "a shell"); err == nil {
		err = r.Input(ctx, 0, 0, []byte("ls\r"))
	}
	r.Verdict(0, 0, 3, false)
	for p := manyOutput(i); len(p) > 0 && err == nil; p = p[len(p)/4+1:] {
		err = r.Output(ctx, 0, format.StreamOut, p[:len(p)/4+1])
	}
	_, cerr := r.Close(ctx, "exit")
	return errors.Join(err, cerr)
}

func TestAWriterThatOutrunsTheDiskIsBlockedAndNothingIsDropped(t *testing.T) {
	disk := &trouble{}
	dir := t.TempDir()
	cfg := nodeConfig(dir)
	cfg.layer, cfg.PendingSession, cfg.PendingAll = disk, 256<<10, 512<<10
	n, _ := openNode(t, cfg)
	s := id.NewSession()
	rec := create(t, n, recorder.PartConfig{Session: s})
	hold := make(chan struct{})
	disk.set(func() {
		disk.sync = func(string) error { <-hold; return nil }
	})
	p := noise(4, 4<<20)
	r := make(chan error, 1)
	go func() { r <- rec.Output(context.Background(), 0, format.StreamOut, p) }()
	blocked := false
	for range 2000 {
		got := n.Progress().Pending
		if got > cfg.PendingAll {
			t.Fatalf("%d bytes wait for the disk, at most %d may", got, cfg.PendingAll)
		}
		if blocked = got > cfg.PendingSession-2*piece; blocked {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if !blocked {
		t.Fatal("the writer never filled what may wait")
	}
	close(hold)
	must(t, <-r)
	_, err := rec.Close(t.Context(), "exit")
	must(t, err)
	if got := readBack(t, dir, s, 0).out[streamID{0, format.StreamOut}]; !bytes.Equal(got, p) {
		t.Errorf("read %d bytes back, want %d", len(got), len(p))
	}
}

// TestAStartIsRecordedWholeOrNotAtAll: it is what will be sent, so nothing of it is shortened.
func TestAStartIsRecordedWholeOrNotAtAll(t *testing.T) {
	dir := t.TempDir()
	n, _ := openNode(t, nodeConfig(dir))
	s := id.NewSession()
	r := create(t, n, recorder.PartConfig{Session: s})
	whole := strings.Repeat("x", maxStart)
	must(t, r.Start(7, 90, 33, whole))
	for what, text := range map[string]string{"one byte too many": whole + "x", "what is not UTF-8": "\xff"} {
		if err := r.Start(8, 80, 24, text); err == nil {
			t.Errorf("%s was taken", what)
		}
	}
	must(t, r.Start(8, 0, 0, "no terminal"))
	_, err := r.Close(t.Context(), "exit")
	must(t, err)
	c := readBack(t, dir, s, 0)
	if c.kinds != "tmmmrm" {
		t.Fatalf("got the frames %s, want three starts, a size after its start, and a start", c.kinds)
	}
	for i, want := range map[int]format.Note{starts: {Text: whole}, starts + 1: {Text: "no terminal"}} {
		got := c.notes[i]
		if got.Kind != format.NoteStart || got.Text != want.Text || got.Ch == nil || *got.Ch != uint32(7+i-starts) {
			t.Errorf("note %d: got %.40v, want the start as it was, with its channel", i, got)
		}
	}
}

// TestNothingOfAChannelIsRecordedBeforeItsStart: the recording would not verify.
func TestNothingOfAChannelIsRecordedBeforeItsStart(t *testing.T) {
	dir := t.TempDir()
	n, _ := openNode(t, nodeConfig(dir))
	s := id.NewSession()
	r, ctx, other := create(t, n, recorder.PartConfig{Session: s}), t.Context(), uint32(9)
	end := func(ch *uint32) error { return r.Note(format.Note{Kind: format.NoteInputEnd, Ch: ch}) }
	for what, err := range map[string]error{
		"output":                       r.Output(ctx, other, format.StreamOut, []byte("x")),
		"input":                        r.Input(ctx, other, 0, []byte("x")),
		"a size":                       r.Resize(other, 80, 24),
		"an exit":                      r.Exit(format.Exit{Ch: other}),
		"the end of its input":         end(&other),
		"an end of input of nothing":   end(nil),
		"a second start":               r.Start(1, 80, 24, "a shell"),
		"a start that is a plain note": r.Note(format.Note{Kind: format.NoteStart, Ch: &other}),
	} {
		if err == nil {
			t.Errorf("%s was taken", what)
		}
	}
	one := uint32(1)
	must(t, r.Command(format.Command{Ch: other, Source: "agent.exec", Argv: []string{"sh"}})) // the device's word
	must(t, r.Input(ctx, one, 0, []byte("exit\n")))
	must(t, end(&one))
	must(t, end(&one)) // a second time says nothing new
	if err := r.Input(ctx, one, 0, []byte("more")); err == nil {
		t.Error("input was taken after its end")
	}
	must(t, r.Output(ctx, one, format.StreamOut, []byte("bye")))
	must(t, r.Exit(format.Exit{Ch: one}))
	_, err := r.Close(ctx, "exit")
	must(t, err)
	readBack(t, dir, s, 0) // verifies it
}

// TestInputWithoutATerminalIsRecordedOnce: nothing can hide it, so it needs no verdict, and a device that gives one all the
// same changes nothing. That the device got more than the record has is still noted.
func TestInputWithoutATerminalIsRecordedOnce(t *testing.T) {
	dir := t.TempDir()
	n, _ := openNode(t, nodeConfig(dir))
	s := id.NewSession()
	r, ctx := create(t, n, recorder.PartConfig{Session: s}), t.Context()
	must(t, r.Start(7, 0, 0, "channel 7 as svc; no terminal; no environment; command: cat"))
	text := noise(3, 3*judgeBytes) // more than may wait for a verdict
	for piece := range slices.Chunk(text, 100<<10) {
		must(t, r.Input(ctx, 7, 0, piece))
	}
	r.Verdict(7, 0, 10, true)
	r.Verdict(7, 10, uint64(len(text))-10, false)
	if err := r.Resize(7, 80, 24); err == nil {
		t.Error("a size was taken for a channel without a terminal")
	}
	r.Verdict(7, uint64(len(text)), 1, false)
	end, err := r.Close(ctx, "exit")
	must(t, err)
	c := readBack(t, dir, s, 0)
	if !bytes.Equal(c.typed[7], text) || strings.ContainsAny(c.kinds, "si") || c.note(format.NoteNoVerdict) != nil || c.note(format.NoteDiffers) == nil {
		t.Errorf("got %d of %d bytes in frames %.40s…, and the notes %v", len(c.typed[7]), len(text), c.kinds, c.notes)
	}
	if end.Totals.In != uint64(len(text)) || end.Totals.Revealed != end.Totals.In || end.Hidden != 0 {
		t.Errorf("got totals %+v, %d hidden", end.Totals, end.Hidden)
	}
}
