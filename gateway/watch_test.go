package gateway_test

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/recorder/archive"
	"github.com/sallyport/sallyport/recorder/format"
)

// TestAWatcherSeesWhatTheRecordHas watches a flood from its beginning to its end.
func TestAWatcherSeesWhatTheRecordHas(t *testing.T) {
	h := newHouse(t)
	arch := must(archive.Open(archive.Config{Dir: filepath.Join(h.dir, "rec"), Identity: []age.Identity{h.reader}}))(t)
	c, screen := h.open(h.ask("press-1"))
	w := must(h.Watch(c.ID(), 1))(t)
	if n, more := w.Confirmed(); n != 0 || !more {
		t.Errorf("before anything is shown: got %d bytes and more %v", n, more)
	}
	var seen bytes.Buffer
	ended := make(chan error, 1)
	go func() {
		ended <- arch.Follow(t.Context(), archive.Part{Session: c.ID(), Live: true}, archive.FollowOptions{Channel: 1},
			w.Confirmed, func(_ uint64, _ format.Stream, p []byte) error {
				seen.Write(p)
				return nil
			})
	}()
	for range 200 {
		must(c.Write([]byte(strings.Repeat("x", 1000) + "\n")))(t)
	}
	must(c.Write([]byte("exit\n")))(t)
	c.Wait()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if got, want := seen.String(), screen.shown(); got != want {
		t.Errorf("the watcher saw %d bytes, the technician %d, or others", len(got), len(want))
	}
	n, more := w.Confirmed()
	if row := h.row(c.ID()); n != row.BytesOut || more {
		t.Errorf("at the end: got %d bytes and more %v, want the row's %d", n, more, row.BytesOut)
	}
}

func TestOnlyARunningChannelIsWatched(t *testing.T) {
	h := newHouse(t)
	c, _ := h.open(h.ask("press-1"))
	for _, n := range []uint32{0, 2, 1 << 31} {
		if _, err := h.Watch(c.ID(), n); errkind.KindOf(err) != errkind.Conflict {
			t.Errorf("channel %d: got %v, want a conflict", n, err)
		}
	}
	c.End("done")
	c.Wait()
	within(t, time.Minute, "the session to be gone", func() bool {
		_, err := h.Watch(c.ID(), 1)
		return errkind.KindOf(err) == errkind.Conflict
	})
}
