package gateway

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// notices are what a technician reads, with the time since the beginning.
type notices struct {
	Sink
	mu   sync.Mutex
	from time.Time
	said map[time.Duration]string
}

func (s *notices) Notice(_, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.said[time.Since(s.from)] = text
}

// underClock is a session with a hard stop so far away, of which nothing else exists.
func underClock(left time.Duration) (*Session, *notices) {
	sink := &notices{from: time.Now(), said: map[time.Duration]string{}}
	s := &Session{b: &Broker{cfg: Config{Now: time.Now}}, until: time.Now().Add(left)}
	s.ctx, s.cancel = context.WithCancelCause(context.Background())
	s.channels = map[uint32]*Channel{firstChannel: {sink: sink}}
	return s, sink
}

func TestTheHardStopIsExactAndIsToldBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, sink := underClock(10 * time.Minute)
		s.clock.arm(s)
		<-s.ctx.Done()
		if took := time.Since(sink.from); took != 10*time.Minute {
			t.Errorf("ended after %s, want 10 min", took)
		}
		if why, ok := context.Cause(s.ctx).(*ending); !ok || why.reason != ByGrantEnd {
			t.Errorf("ended by %v", context.Cause(s.ctx))
		}
		if len(sink.said) != 2 || sink.said[5*time.Minute][:6] != "5 min " || sink.said[9*time.Minute][:6] != "1 min " {
			t.Errorf("said %q, want a word 5 min and 1 min before the end", sink.said)
		}
	})
}

// TestAMovedHardStopReplacesTheOneBefore: neither the end nor the warnings of the first pass are left.
func TestAMovedHardStopReplacesTheOneBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, sink := underClock(2 * time.Minute)
		s.clock.arm(s)
		time.Sleep(30 * time.Second)
		s.until = s.until.Add(4 * time.Minute)
		s.clock.arm(s)
		<-s.ctx.Done()
		if took := time.Since(sink.from); took != 6*time.Minute {
			t.Errorf("ended after %s, want 6 min", took)
		}
		var when []time.Duration
		for at := range sink.said {
			when = append(when, at)
		}
		slices.Sort(when)
		if !slices.Equal(when, []time.Duration{time.Minute, 5 * time.Minute}) {
			t.Errorf("said %q, want a word 5 min and 1 min before the second end alone", sink.said)
		}
	})
}

// TestADisarmedHardStopStaysSo: a renewal that comes while the session ends sets no timer that nobody stops.
func TestADisarmedHardStopStaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, sink := underClock(time.Minute)
		s.clock.arm(s)
		s.clock.disarm()
		s.clock.arm(s)
		time.Sleep(time.Hour)
		if s.ctx.Err() != nil || len(sink.said) != 0 {
			t.Errorf("ended by %v, said %q", context.Cause(s.ctx), sink.said)
		}
	})
}
