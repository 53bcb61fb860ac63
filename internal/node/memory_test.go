package node

import (
	"context"
	"runtime/metrics"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func percent() int {
	s := []metrics.Sample{{Name: "/gc/gogc:percent"}}
	metrics.Read(s)
	return int(s[0].Value.Uint64())
}

func TestManyLiveSessionsLeaveLessRoomForGarbage(t *testing.T) {
	if got := garbage(0, manyLive-1); got != usual {
		t.Errorf("%d sessions: got %d %%, want %d", manyLive-1, got, usual)
	}
	if got := garbage(0, manyLive); got != leanGarbage {
		t.Errorf("%d sessions: got %d %%, want %d", manyLive, got, leanGarbage)
	}
}

// TestManyLinesLeaveLessRoomForGarbage: and few, or the end, give it back.
func TestManyLinesLeaveLessRoomForGarbage(t *testing.T) {
	t.Setenv("GOGC", "")
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var n atomic.Int32
		done := make(chan error, 1)
		go func() { done <- lean(ctx, func() int { return int(n.Load()) }, func() int { return 0 }) }()
		for _, step := range []struct{ lines, want int }{{0, usual}, {manyLines, leanGarbage}, {manyLines - 1, usual}, {3 * manyLines, leanGarbage}} {
			n.Store(int32(step.lines))
			time.Sleep(leanEvery)
			synctest.Wait()
			if got := percent(); got != step.want {
				t.Errorf("%d lines: got %d %%, want %d", step.lines, got, step.want)
			}
		}
		cancel()
		if err := <-done; err != nil || percent() != usual {
			t.Errorf("after it: got %v and %d %%, want %d", err, percent(), usual)
		}
	})
}

func TestAnOperatorsGOGCStands(t *testing.T) {
	t.Setenv("GOGC", "200")
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		before := percent()
		done := make(chan error, 1)
		go func() { done <- lean(ctx, func() int { return manyLines }, func() int { return 0 }) }()
		time.Sleep(2 * leanEvery)
		synctest.Wait()
		if got := percent(); got != before {
			t.Errorf("got %d %%, want %d", got, before)
		}
		cancel()
		<-done
	})
}
