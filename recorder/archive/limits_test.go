package archive

import (
	"strings"
	"testing"

	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/recorder/format"
)

// A hostile machine says what ran as often and as long as it likes. A timeline is held in memory, as often as
// somebody asks.
func TestATimelineOfLongCommandsIsBounded(t *testing.T) {
	r, s := newRecordings(t), id.NewSession()
	k := r.beginShell(s, 0)
	argv := []string{"/bin/x"}
	for range 7 {
		argv = append(argv, strings.Repeat("\x01", 4<<10))
	}
	for i := range 600 {
		k.must(k.Command(format.Command{Ch: 1, Source: "agent.exec", Argv: argv, PID: uint32(i)}))
	}
	k.must(k.Command(format.Command{Ch: 1, Source: "agent.exec", Argv: []string{"/bin/last"}, PID: 7000}))
	k.end()
	tl, err := r.archive.Timeline(t.Context(), r.parts(s))
	if err != nil {
		t.Fatal(err)
	}
	held := 0
	for _, c := range tl.Commands {
		held += len(strings.Join(c.Argv, " "))
	}
	if held > 9<<20 || len(tl.Commands) < 100 {
		t.Errorf("%d commands with %d MiB of text", len(tl.Commands), held>>20)
	}
	if last := tl.Commands[len(tl.Commands)-1]; last.Argv[0] != "/bin/last" {
		t.Errorf("what there is room for is not shown after what there is not: %.40q", last.Argv)
	}
	if len(tl.Notes) != 2 || tl.Notes[1].Kind != "limit" {
		t.Errorf("nothing says that some is missing: %+v", tl.Notes)
	}
}

// And it judges every second byte as hidden, so that no stretch of input is ever revealed whole.
func TestInputInManyPiecesIsReadInBoundedMemoryAndCountedOnce(t *testing.T) {
	ty := newTyping(func(Typed) error { return nil })
	data := []byte{'x'}
	most := 0
	for i := range uint64(300) {
		sealed := &format.Frame{Kind: format.KindSealed, Ch: 1, At: i * 8192, Data: make([]byte, 8192), Opened: true}
		if err := ty.add(Moment{Frame: sealed}); err != nil {
			t.Fatal(err)
		}
		for j := range uint64(4096) {
			if err := ty.add(Moment{Frame: &format.Frame{Kind: format.KindReveal, Ch: 1, At: sealed.At + 2*j,
				Data: data}}); err != nil {
				t.Fatal(err)
			}
		}
		pieces := 0
		for _, k := range ty.win {
			// counted as they come: adding them up each time takes the square
			if pieces += len(k.shown); k.open != uint64(len(k.shown)) {
				t.Fatalf("%d pieces of a byte, and %d bytes are counted", len(k.shown), k.open)
			}
		}
		most = max(most, pieces)
	}
	if most > 2*typingPieces {
		t.Errorf("%d pieces are held at once", most)
	}
	if k := (keys{n: 2, open: 2}); !k.whole() {
		t.Error("whether all is revealed is not seen by the count")
	}
}

// A gateway that was taken over can record a size for channels that nobody opened.
func TestTheChannelsOfARecordAreBounded(t *testing.T) {
	tl, ch := newTimeline(), choose(1<<20)
	for n := range uint32(maxNumbers + 500) {
		m := Moment{Frame: &format.Frame{Kind: format.KindResize, Data: format.AppendResize(nil, n+1, 80, 24)}}
		if err := tl.add(m); err != nil {
			t.Fatal(err)
		}
		ch.hides(m)
	}
	if got := len(tl.census.end(0)); got != maxNumbers || len(ch.seen) != maxNumbers {
		t.Errorf("%d channels are listed and %d remembered, want %d", got, len(ch.seen), maxNumbers)
	}
	if err := ch.missing(End{}); err == nil || len(err.Error()) > 200 ||
		!strings.Contains(err.Error(), "19, 20 and 9980 more") {
		t.Errorf("got %v, want an error with the first 20", err)
	}
}
