package gateway_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/recorder"
	"github.com/sallyport/sallyport/recorder/format"
)

// counting counts the bytes of output that its recordings have made durable.
type counting struct {
	recorder.Recorder
	durable atomic.Int64
}

func (c *counting) Create(ctx context.Context, part recorder.PartConfig) (recorder.Recording, error) {
	r, err := c.Recorder.Create(ctx, part)
	return countingRecording{r, c}, err
}

type countingRecording struct {
	recorder.Recording
	to *counting
}

func (r countingRecording) Output(ctx context.Context, ch uint32, stream format.Stream, p []byte) error {
	err := r.Recording.Output(ctx, ch, stream, p)
	if err == nil {
		r.to.durable.Add(int64(len(p)))
	}
	return err
}

// taken is how many bytes of output a stalled door takes: the first pieces, which are small.
const taken = 100 << 10

// stalled is a door that takes no more before it is opened.
type stalled struct {
	screen
	open  chan struct{}
	given atomic.Int64 // bytes that it was asked to take
}

func (s *stalled) Output(stream format.Stream, p []byte) error {
	if s.given.Add(int64(len(p))) > taken {
		<-s.open
	}
	return s.screen.Output(stream, p)
}

// flooded is a session with a flood of output, at a door that stalls, once the next piece is recorded.
func flooded(t *testing.T) (*gateway.Channel, *stalled, *counting) {
	t.Helper()
	h := newHouse(t)
	all := &counting{Recorder: h.node}
	b := h.newBrokerWith(func(c *gateway.Config) { c.Recorder = all })
	row := must(b.Ask(context.Background(), h.ask("press-1", "flood", "5000000")))(t)
	door := &stalled{open: make(chan struct{})}
	s := must(b.Open(context.Background(), row.ID, door))(t)
	within(t, time.Minute, "the door stalls and the next piece is recorded", func() bool {
		return door.given.Load() > taken && all.durable.Load() > door.given.Load()
	})
	return s, door, all
}

func TestTheNextOutputIsRecordedWhileOneIsShownAndNoMore(t *testing.T) {
	const most = 128 << 10 // read at once
	s, door, all := flooded(t)
	time.Sleep(100 * time.Millisecond) // what must not come needs a while in which it could
	if given, durable := door.given.Load(), all.durable.Load(); durable > given+2*most {
		t.Errorf("%d bytes were given to the door and %d recorded, want one piece more", given, durable)
	}
	close(door.open)
	if got := s.Wait(); got.Status == nil || *got.Status != 0 {
		t.Errorf("got %+v", got)
	}
	if n := len(door.shown()); n != 5_000_000 {
		t.Errorf("%d bytes were shown", n)
	}
}

func TestOutputThatWaitedIsNotShownAfterTheEnd(t *testing.T) {
	s, door, _ := flooded(t)
	given := door.given.Load()
	s.End("enough")
	<-s.Done()
	close(door.open)
	s.Wait()
	if now := door.given.Load(); now != given {
		t.Errorf("%d bytes were given to the door after the end", now-given)
	}
}
