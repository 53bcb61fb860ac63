// Package limit keeps one caller from taking what all share: a rate for each address, account or token. What it remembers is
// bounded: the callers seen longest ago are forgotten first, and forgetting only ever gives somebody a full burst again.
//
// It is against a caller who is loud, not against one who comes from everywhere: what costs much is bounded where it
// is done as well. It knows no HTTP; whoever uses it says what a key is, and must never take it from a header that the
// caller can write.
package limit

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Rates are one rate for each key.
type Rates struct {
	every rate.Limit
	burst int
	most  int
	now   func() time.Time

	mu   sync.Mutex // guards seen
	seen map[string]*caller
}

type caller struct {
	limiter *rate.Limiter
	last    time.Time
}

// New gives each key burst calls at once and perSecond after that; it remembers at most most keys.
func New(perSecond float64, burst, most int, now func() time.Time) *Rates {
	if now == nil {
		now = time.Now
	}
	return &Rates{every: rate.Limit(perSecond), burst: burst, most: max(most, 16), now: now, seen: map[string]*caller{}}
}

// Allow counts one call and reports whether it is within the rate; if not, after what time to try again.
func (r *Rates) Allow(key string) (ok bool, after time.Duration) {
	now := r.now()
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.seen[key]
	if c == nil {
		if len(r.seen) >= r.most {
			r.forget(now)
		}
		c = &caller{limiter: rate.NewLimiter(r.every, r.burst)}
		r.seen[key] = c
	}
	c.last = now
	if c.limiter.AllowN(now, 1) {
		return true, 0
	}
	want := c.limiter.ReserveN(now, 1)
	after = want.DelayFrom(now)
	want.CancelAt(now)
	return false, after
}

// forget drops those whose burst is whole again, and the quietest of the rest until a quarter is free.
func (r *Rates) forget(now time.Time) {
	full := time.Duration(float64(r.burst) / float64(r.every) * float64(time.Second))
	for k, c := range r.seen {
		if now.Sub(c.last) > full {
			delete(r.seen, k)
		}
	}
	for old := full / 2; len(r.seen) > r.most*3/4; old /= 2 {
		for k, c := range r.seen {
			if now.Sub(c.last) >= old && len(r.seen) > r.most*3/4 {
				delete(r.seen, k)
			}
		}
	}
}
