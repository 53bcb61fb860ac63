package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/sallyport/sallyport/recorder/format"
)

// Moment is a frame in its place in the session. It is good until the next one is asked for.
type Moment struct {
	*format.Frame
	At   uint64 // microseconds since the session's first part began
	Part uint32
}

// End says how the reading of a session ended.
type End struct {
	Started time.Time
	Length  uint64 // microseconds, to the last thing known
	Whole   bool   // every part is closed, none is missing
	Cut     string // else where and why the record ends early; empty when it is live
	Seams   []Seam // between parts
}

// Seam is where a session goes on in another part.
type Seam struct {
	From, To uint64 // microseconds
	Text     string
}

// Frames calls fn with every frame of the parts, in order. A cut or damaged part ends what is known of
// that part, and End says so; the parts after it are still read. An error of fn ends it, and is returned.
func (a *Archive) Frames(ctx context.Context, parts []Part, fn func(Moment) error) (End, error) {
	if len(parts) == 0 {
		return End{}, errNoRecord
	}
	end := End{Whole: true}
	for i, p := range parts {
		run := partRun{end: &end, first: i == 0, live: p.Live, fn: fn}
		if err := a.part(ctx, p, &run); err != nil {
			return end, err
		}
		if p.Part != uint32(i) {
			end.broken(fmt.Sprintf("part %d of the session is missing", i))
		}
	}
	return end, nil
}

// broken says that a record is not whole; the first reason stays.
func (e *End) broken(why string) {
	e.Whole = false
	if e.Cut == "" {
		e.Cut = why
	}
}

// partRun is the reading of one part.
type partRun struct {
	end   *End
	base  uint64 // of the part in the session, microseconds
	first bool
	live  bool
	fn    func(Moment) error
}

func (a *Archive) part(ctx context.Context, p Part, run *partRun) error {
	o, err := a.open(p)
	if err != nil {
		return run.outcome(err)
	}
	defer o.Close()
	h := o.rd.Header()
	run.begin(p, h)
	for n := 0; ; n++ {
		if n%256 == 0 && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		f, err := o.rd.Next()
		if err == io.EOF {
			run.end.Length = max(run.end.Length, run.base+o.rd.Closed().T)
			return nil
		}
		if err != nil {
			return run.outcome(err)
		}
		at := run.base + f.T
		run.end.Length = max(run.end.Length, at)
		if err := run.fn(Moment{Frame: f, At: at, Part: p.Part}); err != nil {
			return err
		}
	}
}

// begin puts the part behind the one before, by the wall clock where that goes forward.
func (r *partRun) begin(p Part, h format.Header) {
	began := time.Unix(0, h.T0).UTC()
	if r.first {
		r.end.Started = began
		return
	}
	r.base = r.end.Length
	if d := began.Sub(r.end.Started).Microseconds(); d > 0 {
		r.base = max(r.base, uint64(d))
	}
	text := fmt.Sprintf("the session goes on in part %d", p.Part)
	if r.end.Cut != "" { // a crash between them is told here, and is no end
		text += ": " + r.end.Cut
		r.end.Cut = ""
	}
	r.end.Seams = append(r.end.Seams, Seam{From: r.end.Length, To: r.base, Text: text})
}

// outcome sorts what ended a part: a cut or a fault is said, everything else is an error.
func (r *partRun) outcome(err error) error {
	var fault *format.Fault
	switch {
	case errors.Is(err, format.ErrCut) && r.live:
		r.end.Whole = false
	case errors.Is(err, format.ErrCut), errors.As(err, &fault):
		r.end.broken(err.Error())
	default:
		return err
	}
	return nil
}

// terminal gives the size of a channel's terminal as the channel began: the first that is said before anything is shown
// on it. The error of a channel that is nowhere in the record is that of chosen.missing.
func (a *Archive) terminal(ctx context.Context, parts []Part, ch *chosen) (cols, rows int, end End, err error) {
	cols, rows = 80, 24
	end, err = a.Frames(ctx, parts, func(m Moment) error {
		if ch.hides(m) {
			return nil
		}
		switch m.Kind {
		case format.KindResize:
			if _, c, r, err := m.Resize(); err == nil && c > 0 && r > 0 {
				cols, rows = int(c), int(r)
			}
			return errEnough
		case format.KindOutput:
			return errEnough
		}
		return nil
	})
	switch {
	case errors.Is(err, errEnough):
		err = nil
	case err == nil:
		err = ch.missing(end)
	}
	return cols, rows, end, err
}

// errEnough ends a reading early.
var errEnough = errors.New("enough")
