// Package records reads a session's record for the API: it asks the archive for what was recorded and the log for what was
// announced. It keeps nothing but where in the log it has found things, and holds no key: the archive has the reading key, nobody here has the unsealing one.
//
// # Its word and an outsider's
//
// Verify answers the officer's question whether a record is whole, with the recorder's own verifier and the log's proofs. It is still this gateway
// that says so; who does not want to believe it exports the bundle and asks sallyport-verify. A fault is an answer, with file,
// offset and rule, and never an error that hides behind another.
//
// Who may ask was decided before, and the look is in the log before: package api does both. This one only reads.
package records

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"time"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/signer"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/internal/wire"
	"github.com/sallyport/sallyport/recorder/archive"
	"github.com/sallyport/sallyport/recorder/format"
	"github.com/sallyport/sallyport/web/apitype"
)

// Log is the part of the signer that reads the log.
type Log interface {
	Head(ctx context.Context) ([]byte, error)
	Prove(ctx context.Context, index, size uint64) ([]wire.Hash, error)
	Entry(ctx context.Context, index uint64) (signer.Entry, error)
	Keys(ctx context.Context) (signer.PublicKeys, error)
}

// Bundler writes the file an outsider checks.
type Bundler interface {
	Bundle(ctx context.Context, w io.Writer, s store.Session, parts []store.Part) error
}

// Records answers what the API asks of records. Bundler may be nil: then there is no export.
type Records struct {
	Archive *archive.Archive
	Log     Log
	Bundler Bundler

	passed passed
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
	if r.Bundler == nil {
		return errkind.New(errkind.Unavailable, "this gateway cannot make bundles").WithHint("Its operator names an archive in the configuration.")
	}
	return r.Bundler.Bundle(ctx, w, s, ps)
}
