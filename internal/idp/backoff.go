package idp

import (
	"net/netip"
	"sync"
	"time"

	"github.com/sallyport/sallyport/internal/pending"
)

// backoff slows guessing, by address and by user name. A few slips are free; then each failure doubles the wait. It
// never locks anybody out for good: the longest wait is short enough that a flood of guesses at somebody's name only
// delays them.
type backoff struct {
	now func() time.Time

	mu  sync.Mutex // guards all
	all map[string]slips
}

type slips struct {
	n     int
	until time.Time // no attempt before
	last  time.Time
}

const (
	freeSlips  = 3
	longestFor = time.Minute      // a name
	longestIP  = 15 * time.Minute // an address
	slipsFade  = time.Hour
	mostSlips  = 20_000
)

func newBackoff(now func() time.Time) *backoff {
	return &backoff{now: now, all: map[string]slips{}}
}

// attempt counts an attempt as failed before it is judged, so that many at once gain nothing; forgive takes it back. A
// wait above zero means that it may not be made.
func (b *backoff) attempt(addr netip.Addr, user string) (wait time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	keys := [2]string{"a " + pending.Network(addr), "u " + user}
	for _, k := range keys {
		wait = max(wait, b.all[k].until.Sub(now))
	}
	if wait > 0 {
		return wait
	}
	if len(b.all)+2 > mostSlips {
		b.fade(now)
	}
	for i, k := range keys {
		s := b.all[k]
		if now.Sub(s.last) > slipsFade {
			s.n = 0
		}
		s.n, s.last = s.n+1, now
		if s.n > freeSlips {
			longest := longestFor
			if i == 0 {
				longest = longestIP
			}
			s.until = now.Add(min(longest, time.Second<<min(s.n-freeSlips-1, 20)))
		}
		b.all[k] = s
	}
	return 0
}

// forgive takes a successful attempt back. The name starts anew; the address keeps what it did to other names.
func (b *backoff) forgive(addr netip.Addr, user string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.all, "u "+user)
	k := "a " + pending.Network(addr)
	if s := b.all[k]; s.n > 1 {
		s.n, s.until = s.n-1, time.Time{}
		b.all[k] = s
	} else {
		delete(b.all, k)
	}
}

// fade makes room: what is old first, then all that waits for nothing.
func (b *backoff) fade(now time.Time) {
	for _, old := range []time.Duration{slipsFade, 0} {
		for k, s := range b.all {
			if now.Sub(s.last) > old && !now.Before(s.until) {
				delete(b.all, k)
			}
		}
		if len(b.all)+2 <= mostSlips {
			return
		}
	}
}
