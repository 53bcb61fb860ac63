// Package records reads a session's record for the API. It keeps nothing, and holds no key: the archive has the reading
// key, and nobody here has the unsealing one.
//
// # Its word and an outsider's
//
// Verify answers the officer's question whether a record is whole. It runs the outsider's verifier on the evidence that
// an export would contain. It is still this gateway that gives the answer; whoever does not want to believe it exports
// the bundle and runs sallyport-verify. A fault is an answer, with file, offset and rule, and never an error that hides
// behind another.
//
// Lists and pages show the database's rows, which are not evidence. Differences compares them with it.
//
// Package api has decided who may ask, and has logged the look, before it calls this package, which only reads.
package records

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"time"

	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/recorder/archive"
	"github.com/sallyport/sallyport/recorder/bundle"
	"github.com/sallyport/sallyport/recorder/format"
	"github.com/sallyport/sallyport/web/apitype"
)

// Evidence is what log, passes and recordings say of a session. Its methods return a *format.Fault if the evidence does
// not hold.
type Evidence interface {
	// Bundle writes the file that an outsider checks.
	Bundle(ctx context.Context, w io.Writer, s store.Session, parts []store.Part) error
	// Inspect checks that file without writing it.
	Inspect(ctx context.Context, s store.Session, parts []store.Part) (*bundle.Report, error)
	// Outline gives what leaves and passes say. It reads no recording.
	Outline(ctx context.Context, s store.Session, parts []store.Part) (*bundle.Outlined, error)
}

// Records answers what the API asks of records.
type Records struct {
	Archive  *archive.Archive
	Evidence Evidence
}

func parts(in []store.Part) []archive.Part {
	out := make([]archive.Part, len(in))
	for i, p := range in {
		out[i] = archive.Part{Session: p.Session, Part: p.Part, Started: p.Started,
			Live: p.State == store.RecordRunning}
	}
	return out
}

// Timeline says what happened when.
func (r *Records) Timeline(ctx context.Context, _ store.Session, ps []store.Part) (apitype.Timeline, error) {
	t, err := r.Archive.Timeline(ctx, parts(ps))
	if err != nil {
		return apitype.Timeline{}, err
	}
	out := apitype.Timeline{Duration: t.Duration, Active: t.Active, Started: t.Started, Cols: t.Cols, Rows: t.Rows, Whole: t.Whole, Cut: t.Cut}
	for _, k := range t.Input {
		out.Input = append(out.Input, apitype.Typed{At: k.At, Ch: k.Ch, Offset: k.Offset, Bytes: k.Bytes, Sealed: k.Sealed, Text: k.Text})
	}
	for _, c := range t.Commands {
		out.Commands = append(out.Commands, apitype.Command{At: c.At, Ch: c.Ch, Source: c.Source, Argv: c.Argv, Status: c.Status, Signal: c.Signal, Ended: c.Ended})
	}
	out.Notes, out.Gaps, out.Idle = marks(t.Notes), marks(t.Gaps), spans(t.Idle)
	for _, c := range t.Channels {
		out.Channels = append(out.Channels, apitype.Channel{Ch: c.Ch, Program: c.Program, Command: c.Command, Login: c.Login, Terminal: c.Terminal,
			Began: c.Began, Ended: c.Ended, Status: c.Status, Signal: c.Signal, BytesOut: c.BytesOut, Idle: spans(c.Idle)})
	}
	return out, nil
}

func spans(in []archive.Span) (out []apitype.Span) {
	for _, s := range in {
		out = append(out, apitype.Span(s))
	}
	return out
}

func marks(in []archive.Mark) (out []apitype.Mark) {
	for _, m := range in {
		out = append(out, apitype.Mark(m))
	}
	return out
}

// ReplayIndex writes the player's index for one channel; 0 is the first. A segment's address carries the channel and
// what bends its time, relative to the index.
func (r *Records) ReplayIndex(ctx context.Context, _ store.Session, ps []store.Part, ch uint32, idle time.Duration, w io.Writer) error {
	index, _, err := r.Archive.ReplayIndex(ctx, parts(ps), archive.ReplayOptions{Channel: ch, Idle: idle}, func(n int, opt archive.ReplayOptions) string {
		q := url.Values{"until": {fmt.Sprint(opt.Until)}}
		if opt.Idle > 0 {
			q.Set("idle", fmt.Sprint(opt.Idle.Seconds()))
		}
		if opt.Channel > 0 {
			q.Set("channel", fmt.Sprint(opt.Channel))
		}
		return fmt.Sprintf("%d.json?%s", n, q.Encode())
	})
	if err != nil {
		return err
	}
	return json.NewEncoder(w).Encode(index)
}

// ReplaySegment writes one of its segments.
func (r *Records) ReplaySegment(ctx context.Context, _ store.Session, ps []store.Part, ch uint32, n int, idle time.Duration, until uint64, w io.Writer) error {
	return r.Archive.ReplaySegment(ctx, w, parts(ps), n, archive.ReplayOptions{Channel: ch, Idle: idle, Until: until})
}

// Transcript writes what was shown on one channel, as plain text.
func (r *Records) Transcript(ctx context.Context, _ store.Session, ps []store.Part, ch uint32, w io.Writer) error {
	_, err := r.Archive.Transcript(ctx, w, parts(ps), archive.TranscriptOptions{Channel: ch})
	return err
}

// Output writes what was shown on one channel, byte for byte, as stretches of apitype.Written.
func (r *Records) Output(ctx context.Context, _ store.Session, ps []store.Part, ch uint32, w io.Writer) error {
	_, err := r.Archive.Output(ctx, parts(ps), ch, func(at uint64, s format.Stream, p []byte) error {
		return apitype.WriteWritten(w, apitype.Written{At: at, Stream: uint8(s), Data: p})
	})
	return err
}

// Watch gives what is shown on one channel of a running session, from its beginning and then as it becomes durable,
// until the channel ends.
func (r *Records) Watch(ctx context.Context, ps []store.Part, opt archive.FollowOptions, confirmed archive.Confirmed,
	emit func(apitype.Written) error) error {
	all := parts(ps)
	return r.Archive.Follow(ctx, all[len(all)-1], opt, confirmed, func(at uint64, s format.Stream, p []byte) error {
		return emit(apitype.Written{At: at, Stream: uint8(s), Data: p})
	})
}

// Input writes what was typed on one channel; sealed stretches read [hidden].
func (r *Records) Input(ctx context.Context, _ store.Session, ps []store.Part, ch uint32, w io.Writer) error {
	_, err := r.Archive.Transcript(ctx, w, parts(ps), archive.TranscriptOptions{Channel: ch, Input: true})
	return err
}

// Cast writes an asciicast of one channel.
func (r *Records) Cast(ctx context.Context, _ store.Session, ps []store.Part, ch uint32, version int, w io.Writer) error {
	_, err := r.Archive.Asciicast(ctx, w, parts(ps), archive.CastOptions{Channel: ch, Version: version})
	return err
}

// Export writes the evidence as one file.
func (r *Records) Export(ctx context.Context, s store.Session, ps []store.Part, w io.Writer) error {
	return r.Evidence.Bundle(ctx, w, s, ps)
}
