package gateway

import (
	"context"
	"sync/atomic"
	"testing"
	"time"
)

// TestWhatIsOpenedAtTheMomentOfAnEndIsClosed: of a channel that opens at the very moment when nobody waits for it any
// more, nobody would read the output, and the program would run until the session ends.
func TestWhatIsOpenedAtTheMomentOfAnEndIsClosed(t *testing.T) {
	const tries = 100_000
	var dropped atomic.Int32
	taken := 0
	for range tries {
		ctx, cancel := context.WithCancel(t.Context())
		go cancel()
		if _, err := orEnd(ctx, func() (int, error) { return 1, nil }, func(int) { dropped.Add(1) }); err == nil {
			taken++
		}
		cancel()
	}
	for end := time.Now().Add(time.Minute); taken+int(dropped.Load()) < tries && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	if got := int(dropped.Load()); taken+got != tries {
		t.Errorf("of %d that were opened, %d were taken and %d closed", tries, taken, got)
	}
}
