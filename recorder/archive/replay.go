package archive

import (
	"context"
	"encoding/json"
	"io"
	"time"

	"github.com/sallyport/sallyport/recorder/asciicast"
)

// ReplayOptions chooses the channel of a replay and bends its time.
type ReplayOptions struct {
	Channel uint32        // of this channel alone; 0: the first
	Idle    time.Duration // no pause lasts longer; 0: as recorded
	Until   uint64        // microseconds, from the index: of a live recording, what came later is not in its segments; 0: all
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
	end, err = a.play(ctx, parts, choose(opt.Channel), r.add)
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
// emulator. url names a segment, relative to the index, and must carry the options. The replay is of one channel, and of
// the length of the session: the lanes beside it are of all channels.
func (a *Archive) ReplayIndex(ctx context.Context, parts []Part, opt ReplayOptions, url func(n int, opt ReplayOptions) string) (*asciicast.Index, End, error) {
	cols, rows, _, err := a.terminal(ctx, parts, choose(opt.Channel))
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
	cols, rows, _, err := a.terminal(ctx, parts, choose(opt.Channel))
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
