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
	Cols     int     // of the first channel's terminal
	Rows     int
	Input    []Keys
	Commands []Command
	Notes    []Mark
	Gaps     []Mark
	Idle     []Span
	Channels []Channel // by number
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
	Ch   uint32 // the channel that it is about; 0: the session
}

// Span is a stretch of time.
type Span struct{ From, To float64 }

func seconds(us uint64) float64 { return float64(us) / 1e6 }

// timeline gathers one.
type timeline struct {
	Timeline
	typing  *typing
	census  census
	typed   map[uint32]int  // the place in Input of a channel's newest stretch
	running map[process]int // its place in Commands
	active  uint64          // time of the last thing that happened
	sized   bool
	full    bool
	texts   int // bytes of text so far
}

type process struct {
	part, ch, pid uint32
}

func newTimeline() *timeline {
	t := &timeline{Timeline: Timeline{Cols: 80, Rows: 24}, running: map[process]int{}, typed: map[uint32]int{},
		census: census{place: map[uint32]int{}}}
	t.typing = newTyping(t.keys)
	return t
}

// Timeline reads a session through, with all its channels.
func (a *Archive) Timeline(ctx context.Context, parts []Part) (*Timeline, error) {
	t := newTimeline()
	end, err := a.Frames(ctx, parts, t.add)
	if err != nil {
		return nil, err
	}
	if err := t.typing.end(); err != nil {
		return nil, err
	}
	t.pause(end.Length)
	t.Channels = t.census.end(end.Length)
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
	if ch, ok := channelOf(m); ok {
		t.census.add(ch, m, t.text)
	}
	switch m.Kind {
	case format.KindOutput, format.KindSealed, format.KindClear, format.KindCommand, format.KindResize:
		t.pause(m.At)
	}
	switch m.Kind {
	case format.KindSealed, format.KindReveal, format.KindClear:
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

// text is text of the record as people may see it, as far as there is room.
func (t *timeline) text(s string) string {
	s = short(caret([]byte(s)))
	if !t.room(0, len(s)) {
		return ""
	}
	return s
}

// short cuts a long text, such as a command line; the record has all of it.
func short(text string) string {
	if len(text) > maxText {
		return strings.ToValidUTF8(text[:maxText], "") + "…"
	}
	return text
}

func (t *timeline) size(m Moment) {
	ch, cols, rows, err := m.Resize()
	if err == nil && ch == FirstChannel && !t.sized && cols > 0 && rows > 0 {
		t.Cols, t.Rows, t.sized = int(cols), int(rows), true
	}
}

// sameLine is the pause after which typing is another entry.
const sameLine = 30.0

// keys takes in a stretch of input; keystrokes of one line on one channel are one entry.
func (t *timeline) keys(k Typed) error {
	at := seconds(k.At)
	text := ""
	if !k.Sealed {
		text = caret(k.Text[:min(len(k.Text), maxText)])
	}
	if i, ok := t.typed[k.Ch]; ok {
		last := &t.Input[i]
		ends := len(last.Text) >= 2 && (last.Text[len(last.Text)-2:] == "^M" || last.Text[len(last.Text)-2:] == "^J")
		if last.Sealed == k.Sealed && last.Offset+last.Bytes == k.Offset && !ends && at-last.At < sameLine && len(last.Text) < maxText {
			last.Bytes += k.Bytes
			if t.room(0, len(text)) {
				last.Text += text
			}
			return nil
		}
	}
	if t.room(len(t.Input), len(text)) {
		t.typed[k.Ch] = len(t.Input)
		t.Input = append(t.Input, Keys{At: at, Ch: k.Ch, Offset: k.Offset, Bytes: k.Bytes, Sealed: k.Sealed, Text: text})
	}
	return nil
}
