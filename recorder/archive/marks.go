package archive

import (
	"fmt"

	"github.com/sallyport/sallyport/recorder/format"
)

// unknown notes a frame that this release cannot show. Left out, the timeline would read as if nothing had happened.
func (t *timeline) unknown(m Moment) {
	if t.room(len(t.Notes), 0) {
		t.Notes = append(t.Notes, Mark{At: seconds(m.At), Kind: "unknown",
			Text: fmt.Sprintf("a frame of kind %q, %d bytes, which this release cannot show", byte(m.Kind), len(m.Data))})
	}
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
	t.Notes = append(t.Notes, Mark{At: seconds(m.At), Kind: "exit", Text: text, Ch: e.Ch})
}

func (t *timeline) note(m Moment) {
	n, err := m.Note()
	text := short(caret([]byte(n.Text)))
	if err != nil || !t.room(len(t.Notes), len(text)) {
		return
	}
	if n.Kind == format.NoteNoVerdict && text == "" {
		text = fmt.Sprintf("no verdict on %d bytes of input, which stay sealed", n.N)
		if n.N == 1 {
			text = "no verdict on a byte of input, which stays sealed"
		}
	}
	t.Notes = append(t.Notes, Mark{At: seconds(m.At), Kind: caret([]byte(n.Kind)), Text: text, Ch: channelOfNote(n)})
}

func (t *timeline) gap(m Moment) {
	g, err := m.Gap()
	if err != nil || !t.room(len(t.Gaps), len(g.Reason)) {
		return
	}
	at := seconds(m.At - m.T + g.From) // g's times are its part's
	t.Gaps = append(t.Gaps, Mark{At: at, Kind: "gap", Text: fmt.Sprintf("%s: %d bytes in %.1f s are not recorded", caret([]byte(g.Reason)), g.Bytes, float64(g.To-min(g.From, g.To))/1e6)})
}
