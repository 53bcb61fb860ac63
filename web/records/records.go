// Package records reads a session's record for the API. It stores nothing and has no key. The archive has the reading
// key, and the gateway does not have the unsealing key.
//
// # The gateway's answer and an outsider's
//
// Verify tells the compliance officer whether a record is complete and unaltered. It runs the outsider's verifier on
// the evidence that an export would contain. The answer is still the gateway's. An officer who does not trust the
// gateway exports the bundle and runs sallyport-verify. A fault is part of the answer, with file, offset and rule.
//
// Lists and pages show the database's rows, which are not evidence. Differences compares them with the evidence.
//
// This package only reads. Before it is called, package api has decided who may see the record, and has logged the
// access.
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

// Evidence gives access to the evidence of a session: log, passes and recordings. Its methods return a *format.Fault if
// the evidence is not valid.
type Evidence interface {
	// Bundle writes the evidence bundle, which an outsider checks.
	Bundle(ctx context.Context, w io.Writer, s store.Session, parts []store.Part) error
	// Inspect checks the same evidence without writing a bundle.
	Inspect(ctx context.Context, s store.Session, parts []store.Part) (*bundle.Report, error)
	// Outline returns what leaves and passes say. It reads no recording.
	Outline(ctx context.Context, s store.Session, parts []store.Part) (*bundle.Outlined, error)
}

// Records reads the records of sessions for the API. Its methods return the errors of Archive and Evidence.
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

// Timeline returns the input, commands, notes and gaps of a session with their times.
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

// ReplayIndex writes the player's index for channel ch as JSON. Channel 0 is the first. idle is the longest pause
// that the replay shows. The index has the address of each segment, relative to its own, with channel and idle as
// parameters.
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

// ReplaySegment writes segment n of a replay. ch, idle and until are the parameters in its address.
func (r *Records) ReplaySegment(ctx context.Context, _ store.Session, ps []store.Part, ch uint32, n int, idle time.Duration, until uint64, w io.Writer) error {
	return r.Archive.ReplaySegment(ctx, w, parts(ps), n, archive.ReplayOptions{Channel: ch, Idle: idle, Until: until})
}

// Transcript writes the output of channel ch as plain text.
func (r *Records) Transcript(ctx context.Context, _ store.Session, ps []store.Part, ch uint32, w io.Writer) error {
	_, err := r.Archive.Transcript(ctx, w, parts(ps), archive.TranscriptOptions{Channel: ch})
	return err
}

// Output writes the output of channel ch byte for byte, as a sequence of apitype.Written.
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

// Input writes the input of channel ch. Sealed input appears as [hidden].
func (r *Records) Input(ctx context.Context, _ store.Session, ps []store.Part, ch uint32, w io.Writer) error {
	_, err := r.Archive.Transcript(ctx, w, parts(ps), archive.TranscriptOptions{Channel: ch, Input: true})
	return err
}

// Cast writes an asciicast, in the given version, of channel ch.
func (r *Records) Cast(ctx context.Context, _ store.Session, ps []store.Part, ch uint32, version int, w io.Writer) error {
	_, err := r.Archive.Asciicast(ctx, w, parts(ps), archive.CastOptions{Channel: ch, Version: version})
	return err
}

// Export writes the evidence bundle of a session.
func (r *Records) Export(ctx context.Context, s store.Session, ps []store.Part, w io.Writer) error {
	return r.Evidence.Bundle(ctx, w, s, ps)
}
