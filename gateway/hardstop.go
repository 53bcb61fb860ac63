package gateway

import (
	"fmt"
	"sync"
	"time"
)

// grantIsUp is what the technician reads at the hard stop.
const grantIsUp = "the time of your grant is up"

// warnings are the times before the hard stop at which the technician is warned.
var warnings = []time.Duration{15 * time.Minute, 5 * time.Minute, time.Minute}

// hardStop ends a session when its pass ends, and warns the technician before. A renewal moves it.
type hardStop struct {
	mu     sync.Mutex // guards what follows
	timers []*time.Timer
	off    bool // disarmed for good
}

// arm sets the timers of warnings and end by the session's current hard stop.
func (h *hardStop) arm(s *Session) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stopAll()
	if h.off {
		return
	}
	until := s.Until()
	left := until.Sub(s.b.cfg.Now())
	h.timers = []*time.Timer{time.AfterFunc(left, func() { h.reached(s, until) })}
	for _, w := range warnings {
		if left > w {
			h.timers = append(h.timers, time.AfterFunc(left-w, func() {
				s.notice("time", fmt.Sprintf("%d min left, until %s", int(w.Minutes()), until.UTC().Format("15:04 UTC")))
			}))
		}
	}
}

// reached ends the session, unless a renewal has moved its hard stop meanwhile.
func (h *hardStop) reached(s *Session, until time.Time) {
	if s.Until().Equal(until) {
		s.cancel(ended(ByGrantEnd, grantIsUp))
	}
}

// disarm stops everything for good.
func (h *hardStop) disarm() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.off = true
	h.stopAll()
}

func (h *hardStop) stopAll() {
	for _, t := range h.timers {
		t.Stop()
	}
	h.timers = nil
}
