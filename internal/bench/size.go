package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/recorder/asciicast"
	"github.com/sallyport/sallyport/recorder/format"
	"github.com/sallyport/sallyport/recorder/writer"
)

// sizes records the corpus on its own clock and compares what lies on the disk.
func sizes(b *bench) ([]row, error) {
	events, err := b.corpus()
	if err != nil {
		return nil, err
	}
	if err := b.disk.sync(100); err != nil {
		return nil, err
	}
	commit := b.disk.took.p50()
	events = pumped(events, commit)
	srec, err := b.recorded(events)
	if err != nil {
		return nil, err
	}
	var raw, cast bytes.Buffer
	keys := 0
	w, err := asciicast.NewWriter(&cast, 2, asciicast.Header{Cols: 120, Rows: 40})
	if err != nil {
		return nil, err
	}
	for _, e := range events {
		raw.Write(e.data)
		code := asciicast.Output
		if e.typed {
			keys++
			code = "i"
		}
		if err := w.Event(uint64(e.at.Microseconds()), code, string(e.data)); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	length := events[len(events)-1].at
	size, whole := float64(srec), float64(raw.Len())
	hour := size / 1e6 / length.Hours()
	return []row{
		{"Size of mixed work", "<= 0.30x raw", fmt.Sprintf("%.0f KB for %.0f min, %d keys typed and %d stretches of output, read every %s at most", size/1e3, length.Minutes(), keys, len(events)-keys, ms(commit)),
			fmt.Sprintf("raw %.0f KB; asciicast %.0f KB; gzip of the raw bytes %.0f KB, of the asciicast %.0f KB", whole/1e3, float64(cast.Len())/1e3, zipped(raw.Bytes())/1e3, zipped(cast.Bytes())/1e3),
			fmt.Sprintf("%.2fx raw, %.2fx asciicast", size/whole, size/float64(cast.Len())), met(size <= 0.3*whole)},
		{"The same by the hour", "<= 2 MB/h", fmt.Sprintf("%.2f MB/h", hour), "-", "", met(hour <= 2)},
	}, nil
}

// pumped joins output that comes while the output before it is made durable: the gateway takes it in one read then.
func pumped(events []event, commit time.Duration) []event {
	var out []event
	var read time.Duration // when the output that came last is read
	for _, e := range events {
		last := len(out) - 1
		switch {
		case e.typed:
		case last >= 0 && !out[last].typed && e.at <= read:
			out[last].data = append(out[last].data, e.data...)
			continue
		default:
			read = max(e.at, read+commit)
		}
		out = append(out, e)
	}
	return out
}

// recorded gives the size of the recording of the events, each judged and made durable as it is in a session.
func (b *bench) recorded(events []event) (int64, error) {
	began := time.Now()
	var clock atomic.Int64
	n, err := b.node("sizes", func(c *writer.NodeConfig) {
		c.Now = func() time.Time { return began.Add(time.Duration(clock.Load())) }
	})
	if err != nil {
		return 0, err
	}
	ctx := context.Background()
	defer n.Close(ctx)
	session := newSession()
	r, err := beginPart(ctx, n, session)
	if err != nil {
		return 0, err
	}
	at := uint64(0)
	for _, e := range events {
		clock.Store(int64(e.at))
		if !e.typed {
			err = r.Output(ctx, 1, format.StreamOut, e.data)
		} else if err = r.Input(ctx, 1, 0, e.data); err == nil {
			r.Verdict(1, at, uint64(len(e.data)), false)
			at += uint64(len(e.data))
		}
		if err != nil {
			return 0, err
		}
	}
	if _, err := r.Close(ctx, "exit"); err != nil {
		return 0, err
	}
	info, err := os.Stat(filepath.Join(b.dir, "sizes", format.Place(session, 0, r.Started())))
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

func zipped(p []byte) float64 {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, _ = w.Write(p) // into memory
	w.Close()
	return float64(out.Len())
}
