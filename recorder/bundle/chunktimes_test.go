package bundle

import (
	"bytes"
	"io"
	"testing"
	"time"

	"github.com/sallyport/sallyport/recorder/seal/sealtest"
)

// TestAMomentFarFromTheBeginningDoesNotWrap: a chunk's time may be longer than a time.Duration, which would wrap around
// to the part's beginning and so into the window of its pass.
func TestAMomentFarFromTheBeginningDoesNotWrap(t *testing.T) {
	for _, us := range []uint64{60_000_000, 1<<63/1000 + 1, 1<<62 - 5000, 1 << 62} {
		hdr := sealtest.Header()
		p := sealtest.New(t, hdr)
		p.T = us
		p.Out(1, "x")
		p.Flush()
		c := must(newChunkTimes(io.NewSectionReader(bytes.NewReader(p.File), 0, int64(len(p.File)))))(t)
		var last time.Time
		for c.next() {
			last = c.moment()
		}
		want := time.Unix(hdr.T0/1e9+int64(us/1_000_000), hdr.T0%1e9+int64(us%1_000_000)*1000)
		if !last.Equal(want) {
			t.Errorf("a chunk %d µs after the beginning: got %s, want %s", us, last, want)
		}
	}
}
