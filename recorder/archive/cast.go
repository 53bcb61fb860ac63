package archive

import (
	"context"
	"fmt"
	"io"

	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/recorder/asciicast"
)

// CastOptions chooses what an asciicast holds.
type CastOptions struct {
	Version int    // 2 or 3
	Channel uint32 // of this channel alone; 0: the first
}

// title names a session, and which of its channels is shown if it is not the first.
func title(s id.Session, ch *chosen) string {
	if ch.n == FirstChannel {
		return s.String()
	}
	return fmt.Sprintf("%s channel %d", s, ch.n)
}

// Asciicast writes one channel of the session as an asciicast: what was shown, and what was typed in the open. A channel
// that the record does not have is an errkind.NotFound that names those there are, and nothing is written.
func (a *Archive) Asciicast(ctx context.Context, w io.Writer, parts []Part, opt CastOptions) (End, error) {
	ch := choose(opt.Channel)
	cols, rows, end, err := a.terminal(ctx, parts, ch)
	if err != nil {
		return end, err
	}
	out, err := asciicast.NewWriter(w, opt.Version,
		asciicast.Header{Cols: cols, Rows: rows, Started: end.Started, Title: title(parts[0].Session, ch)})
	if err != nil {
		return end, err
	}
	end, err = a.play(ctx, parts, ch, func(e event) error { return out.Event(e.at, e.code, e.data) })
	if err != nil {
		return end, err
	}
	return end, out.Close()
}
