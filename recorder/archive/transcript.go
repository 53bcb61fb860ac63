package archive

import (
	"bufio"
	"bytes"
	"context"
	"io"

	"github.com/sallyport/sallyport/recorder/format"
)

// TranscriptOptions chooses what a transcript holds.
type TranscriptOptions struct {
	Input   bool   // what was typed in place of what was shown
	Channel uint32 // of this channel alone; 0: the first
}

// Transcript writes what was shown on one channel as text: standard output and error in recorded order, CR LF as LF,
// control characters and escape sequences removed, nothing added. With Input it writes what was typed in the
// open, with [hidden] for what is sealed. End says whether the record was whole. A channel that the record does not have
// is an errkind.NotFound that names those there are, and nothing is written.
func (a *Archive) Transcript(ctx context.Context, w io.Writer, parts []Part, opt TranscriptOptions) (End, error) {
	out := bufio.NewWriterSize(w, 64<<10)
	run := a.shown
	if opt.Input {
		run = a.typed
	}
	ch := choose(opt.Channel)
	end, err := run(ctx, out, parts, ch)
	if err == nil {
		err = ch.missing(end)
	}
	if err != nil {
		return end, err
	}
	return end, out.Flush()
}

// Output gives what was shown on one channel, byte for byte, in recorded order: at is in microseconds since the session
// began. End and errors are those of Transcript.
func (a *Archive) Output(ctx context.Context, parts []Part, channel uint32, emit func(at uint64, s format.Stream, p []byte) error) (End, error) {
	ch := choose(channel)
	end, err := a.Frames(ctx, parts, func(m Moment) error {
		if ch.hides(m) || m.Kind != format.KindOutput {
			return nil
		}
		return emit(m.At, m.Stream, m.Data)
	})
	if err == nil {
		err = ch.missing(end)
	}
	return end, err
}

// stream names a stream of a session.
type stream struct {
	part uint32
	ch   uint32
	dir  format.Stream
}

func (a *Archive) shown(ctx context.Context, w *bufio.Writer, parts []Part, ch *chosen) (End, error) {
	streams := map[stream]*plain{}
	var buf []byte
	end, err := a.Frames(ctx, parts, func(m Moment) error {
		if ch.hides(m) || m.Kind != format.KindOutput {
			return nil
		}
		id := stream{m.Part, m.Ch, m.Stream}
		p := streams[id]
		if p == nil {
			p = &plain{}
			streams[id] = p
		}
		buf = p.add(buf[:0], m.Data)
		_, err := w.Write(buf)
		return err
	})
	for _, p := range streams { // half a character at the very end
		w.Write(p.end(nil))
	}
	return end, err
}

// typed writes the input. Enter is LF, other control characters are ^X, a sealed stretch is a line.
func (a *Archive) typed(ctx context.Context, w *bufio.Writer, parts []Part, ch *chosen) (End, error) {
	t := typedText{w: w}
	ty := newTyping(t.add)
	end, err := a.Frames(ctx, parts, func(m Moment) error {
		if ch.hides(m) {
			return nil
		}
		return ty.add(m)
	})
	if err != nil {
		return end, err
	}
	if err := ty.end(); err != nil {
		return end, err
	}
	t.seal(false)
	return end, t.err
}

type typedText struct {
	w      *bufio.Writer
	err    error
	hidden bool
	last   byte
}

func (t *typedText) add(k Typed) error {
	t.seal(k.Sealed)
	if !k.Sealed {
		t.text(k.Text)
	}
	return t.err
}

// seal writes [hidden] once for neighbouring sealed stretches.
func (t *typedText) seal(hidden bool) {
	if t.hidden && !hidden {
		t.put("[hidden]\n")
	}
	t.hidden = hidden
}

func (t *typedText) text(b []byte) {
	for len(b) > 0 {
		i := bytes.IndexAny(b, "\r\n")
		if i < 0 {
			t.put(caret(b))
			t.last = 0
			return
		}
		t.put(caret(b[:i]))
		if i > 0 {
			t.last = 0
		}
		if b[i] != '\n' || t.last != '\r' {
			t.put("\n")
		}
		t.last = b[i]
		b = b[i+1:]
	}
}

func (t *typedText) put(s string) {
	if s == "" {
		return
	}
	if _, err := t.w.WriteString(s); err != nil {
		t.err = err
	}
}
