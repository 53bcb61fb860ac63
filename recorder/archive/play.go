package archive

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/sallyport/sallyport/recorder/asciicast"
	"github.com/sallyport/sallyport/recorder/format"
)

// event is what a player does at a time.
type event struct {
	at   uint64
	code string
	data string
}

// player turns frames into events: bytes into text, whole characters only.
type player struct {
	streams map[stream]*shownStream
	input   map[stream]*asciicast.Repair
	emit    func(event) error
}

type shownStream struct {
	utf8 asciicast.Repair
	last byte // with no terminal between, LF alone would not go back to the line's beginning
}

// play reads the session and gives its events, in order.
func (a *Archive) play(ctx context.Context, parts []Part, emit func(event) error) (End, error) {
	p := &player{streams: map[stream]*shownStream{}, input: map[stream]*asciicast.Repair{}, emit: emit}
	return a.Frames(ctx, parts, p.add)
}

func (p *player) add(m Moment) error {
	switch m.Kind {
	case format.KindOutput:
		return p.output(m)
	case format.KindReveal:
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
		if c, err := m.Command(); err == nil && !c.Ended {
			return p.marker(m.At, strings.Join(c.Argv, " "))
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

// Asciicast writes the session as an asciicast of version 2 or 3: what was shown, and what was typed in
// the open.
func (a *Archive) Asciicast(ctx context.Context, w io.Writer, parts []Part, version int) (End, error) {
	cols, rows, end, err := a.terminal(ctx, parts)
	if err != nil {
		return end, err
	}
	out, err := asciicast.NewWriter(w, version, asciicast.Header{Cols: cols, Rows: rows, Started: end.Started, Title: parts[0].Session.String()})
	if err != nil {
		return end, err
	}
	end, err = a.play(ctx, parts, func(e event) error { return out.Event(e.at, e.code, e.data) })
	if err != nil {
		return end, err
	}
	return end, out.Close()
}

// ReplayOptions bends the time of a replay.
type ReplayOptions struct {
	Idle  time.Duration // no pause lasts longer; 0: as recorded
	Until uint64        // microseconds, from the index: of a live recording, what came later is not in its segments; 0: all
}

// maxMarkers bounds an index.
const maxMarkers = 2000

// replayed limits pauses and gives events for asciinema-player, whose times they bend alike for index and
// segment.
type replayed struct {
	opt     ReplayOptions
	prev    uint64 // recorded
	shift   uint64
	markers int
	emit    func(event) error
}

func (r *replayed) time(at uint64) uint64 {
	if limit := uint64(r.opt.Idle.Microseconds()); limit > 0 && at-r.prev > limit {
		r.shift += at - r.prev - limit
	}
	r.prev = at
	return at - r.shift
}

func (r *replayed) add(e event) error {
	switch {
	case r.opt.Until > 0 && e.at > r.opt.Until:
		return errEnough
	case e.code == asciicast.Exit:
		return nil // the player knows no such event
	case e.code == asciicast.Marker:
		if r.markers++; r.markers > maxMarkers {
			return nil
		}
	}
	e.at = r.time(e.at)
	return r.emit(e)
}

// replay gives the events of a replay, the last of which is at its end and shows nothing.
func (a *Archive) replay(ctx context.Context, parts []Part, opt ReplayOptions, emit func(event) error) (duration, until uint64, end End, err error) {
	r := &replayed{opt: opt, emit: emit}
	end, err = a.play(ctx, parts, r.add)
	if err != nil && err != errEnough {
		return 0, 0, end, err
	}
	if until = opt.Until; until == 0 {
		until = end.Length
	}
	duration = r.time(until)
	return duration, until, end, emit(event{duration, asciicast.Output, ""})
}

// ReplayIndex gives the index of the session's replay for asciinema-player 3.17. There is one segment, from
// the beginning on: one that began later would need the screen as it was then, which takes a terminal
// emulator. url names a segment, relative to the index, and must carry the options.
func (a *Archive) ReplayIndex(ctx context.Context, parts []Part, opt ReplayOptions, url func(n int, opt ReplayOptions) string) (*asciicast.Index, End, error) {
	cols, rows, _, err := a.terminal(ctx, parts)
	if err != nil {
		return nil, End{}, err
	}
	x := &asciicast.Index{Version: 1, Term: asciicast.Term{Cols: cols, Rows: rows}, Markers: []asciicast.IndexMarker{}}
	duration, until, end, err := a.replay(ctx, parts, opt, func(e event) error {
		if e.code == asciicast.Marker {
			x.Markers = append(x.Markers, asciicast.IndexMarker{At: asciicast.Seconds(e.at), Label: e.data})
		}
		return nil
	})
	if err != nil {
		return nil, end, err
	}
	opt.Until = until
	x.Duration = asciicast.Seconds(duration)
	x.Segments = []asciicast.SegmentAt{{Start: json.RawMessage("0"), URL: url(0, opt)}}
	return x, end, nil
}

// Segments is the number of segments of every replay.
const Segments = 1

// ReplaySegment writes segment n, with the options that the index put into its address.
func (a *Archive) ReplaySegment(ctx context.Context, w io.Writer, parts []Part, n int, opt ReplayOptions) error {
	if n < 0 || n >= Segments {
		return errNoSegment
	}
	cols, rows, _, err := a.terminal(ctx, parts)
	if err != nil {
		return err
	}
	out, err := asciicast.NewSegmentWriter(w, cols, rows)
	if err != nil {
		return err
	}
	if _, _, _, err := a.replay(ctx, parts, opt, func(e event) error { return out.Event(e.at, e.code, e.data) }); err != nil {
		return err
	}
	return out.Close()
}
