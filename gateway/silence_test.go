package gateway

import (
	"testing"
	"time"
)

// A gateway that was stopped for a minute has heard nothing for a minute, which says nothing about its database.
func TestSilenceIsWhatWasLivedThrough(t *testing.T) {
	now := time.Now()
	s := silence{most: 2 * time.Second, last: now}
	step := func(d time.Duration, answered bool, want time.Duration) {
		t.Helper()
		now = now.Add(d)
		if got := s.at(now, answered); got != want {
			t.Errorf("after %s: got a silence of %s, want %s", d, got, want)
		}
	}
	for i := range 3 {
		step(time.Second, false, time.Duration(i+1)*time.Second)
	}
	step(time.Minute, false, 5*time.Second)
	step(time.Millisecond, true, 0)
	step(time.Minute, true, 0)
	step(time.Second, false, time.Second)
}
