package reader

import (
	"errors"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/recorder/format"
	"github.com/sallyport/sallyport/recorder/seal/sealtest"
)

type part = *sealtest.Part

// channelLies break the order of channels in recordings that are well-formed and signed by the record key.
var channelLies = map[string]func(part){
	"output before the start":      func(p part) { p.Out(7, "x"); p.Start(7) },
	"error output without a start": func(p part) { p.Stderr(7, "x") },
	"output after another's start": func(p part) { p.Start(7); p.Out(8, "x") },
	"input before the start":       func(p part) { p.In(7, 1, "x"); p.Start(7) },
	"a terminal size before it":    func(p part) { resize(p, 7); p.Start(7) },
	"an exit without a start":      func(p part) { exit(p, 7) },
	"a start twice":                func(p part) { p.Start(7, 7) },
	"a start after its end":        func(p part) { p.Start(7); inputEnd(p, 7); p.Start(7) },
	"a start without a channel":    func(p part) { note(p, format.Note{Kind: format.NoteStart, Text: "channel 7"}) },
	"a start with a range": func(p part) {
		note(p, format.Note{Kind: format.NoteStart, Ch: new(uint32), N: 1})
	},
	"input after the end of input":  func(p part) { p.Start(7); p.In(7, 1, "x"); inputEnd(p, 7); p.In(7, 1, "y") },
	"an end of input before it":     func(p part) { inputEnd(p, 7); p.Start(7) },
	"an end of input of no channel": func(p part) { note(p, format.Note{Kind: format.NoteInputEnd}) },
}

func note(p part, n format.Note) { p.Encoded(format.KindNote, n) }

func inputEnd(p part, ch uint32) { note(p, format.Note{Kind: format.NoteInputEnd, Ch: &ch}) }

func resize(p part, ch uint32) { p.Event(format.KindResize, format.AppendResize(nil, ch, 80, 24)) }

func exit(p part, ch uint32) { p.Event(format.KindExit, format.AppendExit(nil, format.Exit{Ch: ch})) }

// lying makes a closed part of a version that a lie is in. The lie begins in the second chunk.
func lying(t *testing.T, version uint64, lie func(part)) part {
	hdr := sealtest.Header()
	hdr.V = version
	p := sealtest.New(t, hdr)
	p.Event(format.KindNotice, []byte("x"))
	p.Flush()
	lie(p)
	p.Close("exit")
	return p
}

func TestAChannelIsInTheRecordFromItsStartOn(t *testing.T) {
	for what, lie := range channelLies {
		p := lying(t, format.Version2, lie)
		_, err := verifyBytes(t, p.File, allKeys(p))
		fault, ok := errors.AsType[*format.Fault](err)
		if !ok || fault.Rule != format.RuleChannel || fault.File != "test.srec" || fault.Offset <= format.HeaderAt {
			t.Errorf("%s: got %v, want a fault of rule %s in a chunk of test.srec", what, err, format.RuleChannel)
		}
		p = lying(t, format.Version1, lie)
		if _, err := verifyBytes(t, p.File, allKeys(p)); err != nil {
			t.Errorf("%s, in version 1: got %v, want that it holds", what, err)
		}
	}
}

// TestInputThatIsNotSealed: it goes on where the input before it ended, its channel has no terminal and had no end of
// input, and it hides nothing.
func TestInputThatIsNotSealed(t *testing.T) {
	p := lying(t, format.Version2, func(p part) { p.Start(7); p.Clear(7, 1, "echo 1\n"); p.Clear(7, 1, "exit\n"); inputEnd(p, 7) })
	r, err := verifyBytes(t, p.File, allKeys(p))
	if err != nil || r.Totals.In != 12 || r.Totals.Revealed != 12 || r.Hidden.Bytes != 0 {
		t.Errorf("got %v, %d bytes typed and %d revealed, want 12 of both", err, r.Totals.In, r.Totals.Revealed)
	}
	gone := func(p part) { p.Start(7); p.At[sealtest.Place{Ch: 7}] = 5; p.Clear(7, 1, "x") }
	for _, lie := range []struct {
		what, rule string
		version    uint64
		do         func(part)
	}{
		{"before the start", format.RuleChannel, format.Version2, func(p part) { p.Clear(7, 1, "x"); p.Start(7) }},
		{"after the end of input", format.RuleChannel, format.Version2, func(p part) { p.Start(7); inputEnd(p, 7); p.Clear(7, 1, "x") }},
		{"at a terminal", format.RuleChannel, format.Version2, func(p part) { p.Start(7); resize(p, 7); p.Clear(7, 1, "x") }},
		{"before a terminal", format.RuleChannel, format.Version2, func(p part) { p.Start(7); p.Clear(7, 1, "x"); resize(p, 7) }},
		{"beside sealed input", format.RuleChannel, format.Version2, func(p part) { p.Start(7); p.Clear(7, 1, "x"); p.In(7, 1, "y") }},
		{"behind a hole", format.RuleOffset, format.Version2, gone},
		{"revealed again", format.RuleReveal, format.Version2, func(p part) { p.Start(7); p.Clear(7, 1, "x"); p.Reveal(7, 1, 0, "x") }},
		{"in version 1", format.RuleFrame, format.Version1, func(p part) { p.Clear(7, 1, "x") }},
	} {
		p := lying(t, lie.version, lie.do)
		_, err := verifyBytes(t, p.File, allKeys(p))
		if fault, ok := errors.AsType[*format.Fault](err); !ok || fault.Rule != lie.rule {
			t.Errorf("%s: got %v, want a fault of rule %s", lie.what, err, lie.rule)
		}
	}
}

// TestAFaultOfAChannelNamesItsChunk: an auditor goes to the place.
func TestAFaultOfAChannelNamesItsChunk(t *testing.T) {
	p := sealtest.New(t, sealtest.Header())
	p.Out(1, "first")
	p.Flush()
	at := len(p.File)
	p.Out(7, "second")
	_, err := verifyBytes(t, p.Close("exit"), allKeys(p))
	if fault, ok := errors.AsType[*format.Fault](err); !ok || fault.Offset != int64(at) {
		t.Errorf("got %v, want a fault at offset %d", err, at)
	}
}

func TestWhatFollowsAStartHolds(t *testing.T) {
	p := sealtest.Bare(t, sealtest.Header())
	stray := format.Command{Ch: 9, Source: "agent.exec", Argv: []string{"sh"}}
	p.Encoded(format.KindCommand, stray) // the device's word
	p.Start(0)
	resize(p, 0)
	at := p.In(0, 1, "exit\n")
	inputEnd(p, 0)
	p.Reveal(0, 1, at, "exit\n") // the verdict comes when the device has seen it
	p.Out(0, "bye")
	exit(p, 0)
	inputEnd(p, 0)
	r, err := verifyBytes(t, p.Close("exit"), allKeys(p))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"1 channels, each started before anything of it",
		"1 commands on channels that were not started"} {
		if !says(r, format.RuleChannel, want) {
			t.Errorf("the report does not say %q: %v", want, r.Lines)
		}
	}
}

func TestAReportSaysThatVersion1HasNoStarts(t *testing.T) {
	p := lying(t, format.Version1, func(p part) { p.Out(1, "x") })
	r, err := verifyBytes(t, p.File, allKeys(p))
	if err != nil || r.Version != format.Version1 || !says(r, format.RuleChannel, "not checked") {
		t.Errorf("got %v, %+v, want version 1 and that starts are not checked", err, r)
	}
}

func says(r *Report, rule, text string) bool {
	for _, l := range r.Lines {
		if l.Rule == rule && strings.Contains(l.Text, text) {
			return true
		}
	}
	return false
}

func TestHeaderAndCloseAreOfOneKnownVersion(t *testing.T) {
	for _, v := range []uint64{0, 3} {
		hdr := sealtest.Header()
		hdr.V = v
		p := sealtest.Bare(t, hdr)
		if _, err := verifyBytes(t, p.Close("exit"), allKeys(p)); format.RuleOf(err) != format.RuleHeader {
			t.Errorf("version %d: got %v, want a header fault", v, err)
		}
	}
	p := sealtest.New(t, sealtest.Header())
	p.Flush()
	p.Sealer.Header.V = format.Version1 // for the close alone: the header is written
	if _, err := verifyBytes(t, p.Close("exit"), allKeys(p)); format.RuleOf(err) != format.RuleClose {
		t.Errorf("a close of another version: got %v, want a close fault", err)
	}
}

// TestTheNumberOfChannelsIsBounded: a verifier's memory must not grow with a recording that starts channels without
// end.
func TestTheNumberOfChannelsIsBounded(t *testing.T) {
	c := newChannels()
	for ch := range uint32(format.MaxChannels) {
		if err := c.note(&format.Note{Kind: format.NoteStart, Ch: &ch}); err != nil {
			t.Fatal(err)
		}
	}
	ch := uint32(format.MaxChannels)
	if err := c.note(&format.Note{Kind: format.NoteStart, Ch: &ch}); err == nil {
		t.Errorf("got no error for channel number %d", ch)
	}
}
