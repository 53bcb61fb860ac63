package writer

import (
	"context"
	"fmt"
	"unicode/utf8"

	"github.com/sallyport/sallyport/recorder/format"
	"github.com/sallyport/sallyport/recorder/seal"
)

// piece is how many stream bytes go into one frame at most.
const piece = 32 << 10

// Output records bytes of a channel's output. When it returns nil they are durable, and may be shown.
func (r *Recording) Output(ctx context.Context, ch uint32, stream format.Stream, p []byte) error {
	if stream != format.StreamOut && stream != format.StreamErr {
		return fmt.Errorf("output on stream %d", stream)
	}
	return r.streams(ctx, item{kind: format.KindOutput, ch: ch, stream: stream}, p, true)
}

// Input records bytes of a channel's input. When it returns nil they are durable, and may be sent to the device. They
// are sealed until a Verdict says that the terminal showed them. Input of a channel without a terminal is not sealed,
// because nothing can hide it.
func (r *Recording) Input(ctx context.Context, ch uint32, actor uint64, p []byte) error {
	return r.streams(ctx, item{kind: r.inputKind(ch), ch: ch, stream: format.StreamIn, actor: actor}, p,
		len(p) > keystroke)
}

func (r *Recording) inputKind(ch uint32) format.Kind {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c, started := r.channels[ch]; started && !c.terminal {
		return format.KindClear
	}
	return format.KindSealed
}

// streams records p in pieces and waits for the last of them.
func (r *Recording) streams(ctx context.Context, it item, p []byte, patient bool) error {
	if len(p) == 0 {
		return r.Err()
	}
	if it.kind == format.KindSealed {
		if err := r.awaitVerdicts(ctx, len(p)); err != nil {
			return err
		}
		defer r.arm() // the device cannot judge input that was not sent yet
	}
	var last receipt
	for len(p) > 0 {
		it.body = p[:min(len(p), piece)]
		p = p[len(it.body):]
		if err := r.spare(); err != nil {
			return err
		}
		if err := r.afford(ctx, len(it.body), patient); err != nil {
			return err
		}
		at, err := r.take(ctx, it)
		if err != nil {
			return err
		}
		last = at
	}
	return r.wait(ctx, last)
}

// spare ends the session if a full disk has only enough space left for its end.
func (r *Recording) spare() error {
	if !r.n.vol.full.Load() || !r.n.vol.tight(r.n.count()) {
		return nil
	}
	return r.end(errFull("the disk that keeps the recordings is full, so the session ends"))
}

// Resize records a new size of the terminal.
func (r *Recording) Resize(ch uint32, cols, rows uint16) error {
	return r.record(item{kind: format.KindResize, ch: ch, body: format.AppendResize(nil, ch, cols, rows)})
}

// Exit records the end of a channel's program.
func (r *Recording) Exit(e format.Exit) error {
	if !format.SignalName(e.Signal) {
		e.Signal = "UNKNOWN" // a device can send any text
	}
	return r.record(item{kind: format.KindExit, ch: e.Ch, body: format.AppendExit(nil, e)})
}

// maxText bounds what a device can put into one event.
const maxText = 4 << 10

// Command records that a program started or ended.
func (r *Recording) Command(c format.Command) error {
	argv, left := make([]string, 0, len(c.Argv)), 32<<10
	for _, a := range c.Argv {
		short := format.Clip(a, min(left, maxText))
		c.Truncated = c.Truncated || short != a
		left -= len(short) + 8
		if argv = append(argv, short); left <= 8 || len(argv) == maxArgs {
			c.Truncated = c.Truncated || len(argv) < len(c.Argv)
			break
		}
	}
	c.Argv = argv
	c.Source, c.Exe, c.Signal = format.Clip(c.Source, 64), format.Clip(c.Exe, maxText), format.Clip(c.Signal, 16)
	return r.encoded(format.KindCommand, c)
}

// maxArgs is well below the longest array that the readers' CBOR decoder accepts.
const maxArgs = 1024

// Note records a marker, or a remark about the record. A note input-end must name its channel, and no input of the
// channel is accepted after it. A start has a method of its own.
func (r *Recording) Note(n format.Note) error {
	it := item{kind: format.KindNote, ends: n.Kind == format.NoteInputEnd}
	switch {
	case n.Kind == format.NoteStart, it.ends && (n.Ch == nil || n.At != 0 || n.N != 0):
		return fmt.Errorf("a note %s must name its channel", n.Kind)
	case it.ends:
		it.ch = *n.Ch
	}
	n.Kind, n.Text = format.Clip(n.Kind, 64), format.Clip(n.Text, maxText)
	var err error
	if it.body, err = format.Encode(n); err != nil {
		return fmt.Errorf("encode frame %q: %w", byte(format.KindNote), err)
	}
	return r.record(it)
}

// maxStart bounds the text of a start: a command line of 32 KiB and the words before it.
const maxStart = 40 << 10

// Start records the start of a channel before the device is asked for it. It records a note with the channel's number
// and the whole request in one line, and then the size of the channel's terminal in columns and rows, 0 without one.
// Both are durable when Start returns nil. Nothing else of the channel is accepted before. Start does not shorten the
// text: if it is too long, Start returns an error, and nothing is sent.
func (r *Recording) Start(ch uint32, cols, rows uint16, text string) error {
	if len(text) > maxStart || !utf8.ValidString(text) {
		return fmt.Errorf("start of %d bytes: it is not UTF-8 or longer than %d", len(text), maxStart)
	}
	note, err := format.Encode(format.Note{Kind: format.NoteStart, Text: text, Ch: &ch})
	if err != nil {
		return fmt.Errorf("encode frame %q: %w", byte(format.KindNote), err)
	}
	start := item{kind: format.KindNote, ch: ch, begins: true, screen: cols != 0, body: note}
	if cols == 0 {
		return r.record(start)
	}
	if _, err := r.taken(start); err != nil {
		return err
	}
	return r.Resize(ch, cols, rows) // once it is durable, the note before it is durable too
}

// Gap records that something is missing, and what is known about it.
func (r *Recording) Gap(g format.Gap) error {
	g.Reason = format.Clip(g.Reason, maxText)
	return r.encoded(format.KindGap, g)
}

// Notice records the log's answer to the open leaf.
func (r *Recording) Notice(b []byte) error { return r.event(format.KindNotice, b) }

// Attest records one of the device's statement keys. The one for hidden ranges is sealed.
func (r *Recording) Attest(a format.Attest) error {
	if len(a.Key) != 32 {
		return fmt.Errorf("statement key of %d bytes, want 32", len(a.Key))
	}
	if !a.Hidden {
		return r.event(format.KindAttest, append([]byte{0}, a.Key...))
	}
	return r.record(item{kind: format.KindAttest, fields: []byte{1}, body: a.Key})
}

// Statement records a device statement with its signature, readable without a key.
func (r *Recording) Statement(body, sig []byte) error {
	b := format.AppendLP(format.AppendLP(nil, body), sig)
	if len(b) > format.MaxStatement {
		return fmt.Errorf("statement of %d bytes, at most %d", len(b), format.MaxStatement)
	}
	return r.event(seal.KindStatement, b)
}

func (r *Recording) encoded(k format.Kind, v any) error {
	b, err := format.Encode(v)
	if err != nil {
		return fmt.Errorf("encode frame %q: %w", byte(k), err)
	}
	return r.event(k, b)
}

func (r *Recording) event(k format.Kind, data []byte) error {
	if len(data) > format.MaxFrame {
		return fmt.Errorf("frame %q of %d bytes, at most %d", byte(k), len(data), format.MaxFrame)
	}
	return r.record(item{kind: k, body: data})
}

// record queues an event and waits until it is durable. Commands and notes wait for the budget, so a device that
// reports them without end is slowed down like one that prints without end.
func (r *Recording) record(it item) error {
	at, err := r.taken(it)
	if err != nil {
		return err
	}
	return r.wait(context.Background(), at)
}

// taken queues an event without waiting until it is durable.
func (r *Recording) taken(it item) (receipt, error) {
	ctx := context.Background()
	if err := r.afford(ctx, len(it.body),
		it.kind == format.KindCommand || it.kind == format.KindNote); err != nil && !it.late() {
		return receipt{}, err
	}
	return r.take(ctx, it)
}
