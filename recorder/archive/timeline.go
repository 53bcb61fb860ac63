package archive

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/sallyport/sallyport/recorder/format"
)

// Limits of a timeline: it is returned whole, and a page cannot show more. Where one is reached, a note
// says so.
const (
	maxEntries = 10_000
	maxText    = 4096    // bytes of text of one stretch of input
	maxTexts   = 8 << 20 // of all entries: it is held in memory for everybody who looks
)

// idleAfter is the pause that counts as idle.
const idleAfter = 3 * time.Second

// Timeline is what a player shows beside the screen. Times are seconds since the session began.
type Timeline struct {
	Started  time.Time
	Duration float64
	Active   float64 // without the idle spans
	Cols     int
	Rows     int
	Input    []Keys
	Commands []Command
	Notes    []Mark
	Gaps     []Mark
	Idle     []Span
	Whole    bool
	Cut      string
}

// Keys is a stretch of input: at most a line, or a stretch that is sealed.
type Keys struct {
	At     float64
	Ch     uint32
	Offset uint64
	Bytes  uint64
	Sealed bool
	Text   string // control characters as ^X; of a sealed stretch "sealed, N keys"
}

// Command is a process that is known to have run.
type Command struct {
	At     float64
	Ch     uint32
	Source string
	Argv   []string
	PID    uint32
	Status *int
	Signal string
	Ended  *float64
}

// Mark is something pinned to a time.
type Mark struct {
	At   float64
	Kind string
	Text string
}

// Span is a stretch of time.
type Span struct{ From, To float64 }

func seconds(us uint64) float64 { return float64(us) / 1e6 }

// timeline gathers one.
type timeline struct {
	Timeline
	typing  *typing
	running map[process]int // its place in Commands
	active  uint64          // time of the last thing that happened
	sized   bool
	full    bool
	texts   int // bytes of text so far
}

type process struct {
	part, ch, pid uint32
}

// Timeline reads a session through.
func (a *Archive) Timeline(ctx context.Context, parts []Part) (*Timeline, error) {
	t := &timeline{Timeline: Timeline{Cols: 80, Rows: 24}, running: map[process]int{}}
	t.typing = newTyping(t.keys)
	end, err := a.Frames(ctx, parts, t.add)
	if err != nil {
		return nil, err
	}
	if err := t.typing.end(); err != nil {
		return nil, err
	}
	t.pause(end.Length)
	t.Started, t.Duration, t.Whole, t.Cut = end.Started, seconds(end.Length), end.Whole, end.Cut
	t.Active = t.Duration
	for _, s := range t.Idle {
		t.Active -= s.To - s.From
	}
	for i := range t.Input {
		if k := &t.Input[i]; k.Sealed {
			k.Text = sealedText(k.Bytes)
		}
	}
	for _, s := range end.Seams {
		t.Gaps = append(t.Gaps, Mark{At: seconds(s.From), Kind: "seam", Text: s.Text})
	}
	return &t.Timeline, nil
}

func sealedText(n uint64) string {
	if n == 1 {
		return "sealed, 1 key"
	}
	return fmt.Sprintf("sealed, %d keys", n)
}

func (t *timeline) add(m Moment) error {
	switch m.Kind {
	case format.KindOutput, format.KindSealed, format.KindCommand, format.KindResize:
		t.pause(m.At)
	}
	switch m.Kind {
	case format.KindSealed, format.KindReveal:
		return t.typing.add(m)
	case format.KindResize:
		t.size(m)
	case format.KindCommand:
		t.command(m)
	case format.KindNote:
		t.note(m)
	case format.KindGap:
		t.gap(m)
	case format.KindExit:
		t.exit(m)
	case format.KindOutput, format.KindAnchor, format.KindNotice, format.KindAttest, format.KindKeyframe:
		// The player shows output. The others serve the clock, the screen and the verifier.
	default:
		t.unknown(m)
	}
	return nil
}

// unknown notes a frame that this release cannot show. Left out, the timeline would read as if nothing had happened.
func (t *timeline) unknown(m Moment) {
	if t.room(len(t.Notes), 0) {
		t.Notes = append(t.Notes, Mark{At: seconds(m.At), Kind: "unknown",
			Text: fmt.Sprintf("a frame of kind %q, %d bytes, which this release cannot show", byte(m.Kind), len(m.Data))})
	}
}

// pause notes what was idle before now.
func (t *timeline) pause(at uint64) {
	if at-t.active >= uint64(idleAfter.Microseconds()) && t.room(len(t.Idle), 0) {
		t.Idle = append(t.Idle, Span{seconds(t.active), seconds(at)})
	}
	t.active = at
}

// room keeps a list within its limit, and all text within that of all.
func (t *timeline) room(n, text int) bool {
	if n < maxEntries && t.texts+text <= maxTexts {
		t.texts += text
		return true
	}
	if !t.full {
		t.full = true
		t.Notes = append(t.Notes, Mark{At: seconds(t.active), Kind: "limit",
			Text: fmt.Sprintf("the timeline shows at most %d entries of a kind and %d MiB of text; the record has more", maxEntries, maxTexts>>20)})
	}
	return false
}

func (t *timeline) size(m Moment) {
	if _, cols, rows, err := m.Resize(); err == nil && !t.sized && cols > 0 && rows > 0 {
		t.Cols, t.Rows, t.sized = int(cols), int(rows), true
	}
}

// sameLine is the pause after which typing is another entry.
const sameLine = 30.0

// keys takes in a stretch of input; keystrokes of one line are one entry.
func (t *timeline) keys(k Typed) error {
	at := seconds(k.At)
	text := ""
	if !k.Sealed {
		text = caret(k.Text[:min(len(k.Text), maxText)])
	}
	if n := len(t.Input); n > 0 {
		last := &t.Input[n-1]
		ends := len(last.Text) >= 2 && (last.Text[len(last.Text)-2:] == "^M" || last.Text[len(last.Text)-2:] == "^J")
		if last.Ch == k.Ch && last.Sealed == k.Sealed && last.Offset+last.Bytes == k.Offset && !ends && at-last.At < sameLine && len(last.Text) < maxText {
			last.Bytes += k.Bytes
			if t.room(0, len(text)) {
				last.Text += text
			}
			return nil
		}
	}
	if t.room(len(t.Input), len(text)) {
		t.Input = append(t.Input, Keys{At: at, Ch: k.Ch, Offset: k.Offset, Bytes: k.Bytes, Sealed: k.Sealed, Text: text})
	}
	return nil
}

// wordSize is what a word takes beside its text.
const wordSize = 16

func (t *timeline) command(m Moment) {
	c, err := m.Command()
	if err != nil {
		return
	}
	id := process{m.Part, c.Ch, c.PID}
	if c.Ended {
		if i, ok := t.running[id]; ok {
			t.ended(i, m.At, int(c.Status), c.Signal)
			delete(t.running, id)
		}
		return
	}
	argv, text := make([]string, len(c.Argv)), 0
	for i, a := range c.Argv {
		argv[i] = caret([]byte(a))
		text += len(argv[i]) + wordSize
	}
	if !t.room(len(t.Commands), text) {
		return
	}
	t.running[id] = len(t.Commands)
	t.Commands = append(t.Commands, Command{At: seconds(m.At), Ch: c.Ch, Source: c.Source, Argv: argv, PID: c.PID})
}

func (t *timeline) ended(i int, at uint64, status int, signal string) {
	when := seconds(at)
	t.Commands[i].Status, t.Commands[i].Signal, t.Commands[i].Ended = &status, signal, &when
}

// exit ends a channel, and notes how.
func (t *timeline) exit(m Moment) {
	e, err := m.Exit()
	if err != nil || !t.room(len(t.Notes), 0) {
		return
	}
	text := fmt.Sprintf("channel %d ended with status %d", e.Ch, e.Status)
	if e.Signal != "" {
		text = fmt.Sprintf("channel %d was ended by signal %s", e.Ch, e.Signal)
	}
	t.Notes = append(t.Notes, Mark{At: seconds(m.At), Kind: "exit", Text: text})
}

func (t *timeline) note(m Moment) {
	n, err := m.Note()
	text := caret([]byte(n.Text))
	if len(text) > maxText { // a long command line; the record has all of it
		text = strings.ToValidUTF8(text[:maxText], "") + "…"
	}
	if err != nil || !t.room(len(t.Notes), len(text)) {
		return
	}
	if n.Kind == format.NoteNoVerdict && text == "" {
		text = fmt.Sprintf("no verdict on %d bytes of input, which stay sealed", n.N)
		if n.N == 1 {
			text = "no verdict on a byte of input, which stays sealed"
		}
	}
	t.Notes = append(t.Notes, Mark{At: seconds(m.At), Kind: caret([]byte(n.Kind)), Text: text})
}

func (t *timeline) gap(m Moment) {
	g, err := m.Gap()
	if err != nil || !t.room(len(t.Gaps), len(g.Reason)) {
		return
	}
	at := seconds(m.At - m.T + g.From) // g's times are its part's
	t.Gaps = append(t.Gaps, Mark{At: at, Kind: "gap", Text: fmt.Sprintf("%s: %d bytes in %.1f s are not recorded", caret([]byte(g.Reason)), g.Bytes, float64(g.To-min(g.From, g.To))/1e6)})
}
