package limit

import (
	"fmt"
	"testing"
	"time"
)

func TestABurstAndThenARate(t *testing.T) {
	now := time.Unix(0, 0)
	r := New(2, 3, 100, func() time.Time { return now })
	for i := range 3 {
		if ok, _ := r.Allow("a"); !ok {
			t.Fatalf("call %d of the burst was refused", i+1)
		}
	}
	ok, after := r.Allow("a")
	if ok || after != 500*time.Millisecond {
		t.Errorf("beyond the burst: got %v after %s, want refused for 500ms", ok, after)
	}
	if ok, _ := r.Allow("b"); !ok {
		t.Error("somebody else was refused")
	}
	now = now.Add(after)
	if ok, _ := r.Allow("a"); !ok {
		t.Error("refused after the time that was named")
	}
}

func TestWhatIsRememberedIsBounded(t *testing.T) {
	now := time.Unix(0, 0)
	r := New(1, 10, 1000, func() time.Time { return now })
	for i := range 50_000 {
		r.Allow(fmt.Sprint(i))
		now = now.Add(time.Microsecond)
		if n := len(r.seen); n > 1000 {
			t.Fatalf("%d keys are remembered, want at most 1000", n)
		}
	}
}
