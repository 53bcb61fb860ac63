package archive

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/internal/argv"
	"github.com/sallyport/sallyport/recorder/asciicast"
	"github.com/sallyport/sallyport/recorder/format"
)

// event is what a player does at a time.
type event struct {
	at   uint64
	code string
	data string
}

// player turns the frames of one channel into events: bytes into text, whole characters only.
type player struct {
	ch      *chosen
	streams map[stream]*shownStream
	input   map[stream]*asciicast.Repair
	emit    func(event) error
}

type shownStream struct {
	utf8 asciicast.Repair
	last byte // with no terminal between, LF alone would not go back to the line's beginning
}

// play reads the session and gives the events of one channel, in order. Their times are the session's.
func (a *Archive) play(ctx context.Context, parts []Part, ch *chosen, emit func(event) error) (End, error) {
	p := &player{ch: ch, streams: map[stream]*shownStream{}, input: map[stream]*asciicast.Repair{}, emit: emit}
	end, err := a.Frames(ctx, parts, p.add)
	if err != nil {
		return end, err
	}
	return end, p.finish(end.Length)
}

// finish shows the beginnings of characters whose rest never came.
func (p *player) finish(at uint64) error {
	byKey := func(x, y stream) int {
		return cmp.Or(cmp.Compare(x.part, y.part), cmp.Compare(x.ch, y.ch), cmp.Compare(x.dir, y.dir))
	}
	for _, id := range slices.SortedFunc(maps.Keys(p.streams), byKey) {
		if err := p.text(at, asciicast.Output, p.streams[id].utf8.Flush()); err != nil {
			return err
		}
	}
	for _, id := range slices.SortedFunc(maps.Keys(p.input), byKey) {
		if err := p.text(at, asciicast.Input, p.input[id].Flush()); err != nil {
			return err
		}
	}
	return nil
}

func (p *player) add(m Moment) error {
	if p.ch.hides(m) {
		return nil
	}
	switch m.Kind {
	case format.KindOutput:
		return p.output(m)
	case format.KindReveal, format.KindClear:
		id := stream{m.Part, m.Ch, m.Stream}
		if p.input[id] == nil {
			p.input[id] = &asciicast.Repair{}
		}
		return p.text(m.At, asciicast.Input, p.input[id].Add(m.Data))
	case format.KindResize:
		_, cols, rows, err := m.Resize()
		if err != nil || cols == 0 || rows == 0 {
			return nil
		}
		return p.emit(event{m.At, asciicast.Resize, asciicast.Size(int(cols), int(rows))})
	case format.KindCommand:
		if c, err := m.Command(); err == nil && !c.Ended && c.Ch == p.ch.n {
			return p.marker(m.At, argv.Line(c.Argv))
		}
	case format.KindNote:
		if n, err := m.Note(); err == nil && (n.Kind == format.NoteMarker || n.Kind == format.NoteStart) {
			return p.marker(m.At, n.Text)
		}
	case format.KindExit:
		if e, err := m.Exit(); err == nil {
			return p.emit(event{m.At, asciicast.Exit, fmt.Sprint(e.Status)})
		}
	}
	return nil
}

func (p *player) output(m Moment) error {
	id := stream{m.Part, m.Ch, m.Stream}
	s := p.streams[id]
	if s == nil {
		s = &shownStream{}
		p.streams[id] = s
	}
	return p.text(m.At, asciicast.Output, s.utf8.Add(s.returns(m.Data)))
}

// returns puts CR before each LF that has none: output that came without a terminal would run off in
// steps. A terminal wrote CR LF already.
func (s *shownStream) returns(b []byte) []byte {
	out := b[:0:0]
	from := 0
	for i, c := range b {
		if c == '\n' && s.last != '\r' {
			out = append(append(out, b[from:i]...), '\r')
			from = i
		}
		s.last = c
	}
	if from == 0 && len(out) == 0 {
		return b
	}
	return append(out, b[from:]...)
}

func (p *player) text(at uint64, code, s string) error {
	if s == "" {
		return nil
	}
	return p.emit(event{at, code, s})
}

// maxLabel bounds a marker's label.
const maxLabel = 200

func (p *player) marker(at uint64, label string) error {
	label = caret([]byte(label))
	if len(label) > maxLabel {
		label = strings.ToValidUTF8(label[:maxLabel], "") + "…"
	}
	return p.emit(event{at, asciicast.Marker, label})
}
