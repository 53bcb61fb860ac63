package oidcauth

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
	"golang.org/x/time/rate"
)

// answers caches the answers of the userinfo endpoint by subject and pair of tokens. It is only in memory: after a
// restart the endpoint is asked again.
//
// The subject comes from a verified id token, the access token from the caller. A person who signs in again and again,
// or a caller who invents access tokens for one id token, uses up only the answers and requests of that subject.
type answers struct {
	now    func() time.Time
	flight singleflight.Group

	mu    sync.Mutex // guards what follows
	of    map[string]*subject
	total int // answers of all subjects
	bytes int // of their claims
}

// subject holds the answers and the rate limit of one person.
type subject struct {
	kept     []answered // the least recently used comes first
	bytes    int        // of their claims
	requests *rate.Limiter
}

type answered struct {
	key    [32]byte
	claims claims
	until  time.Time
}

const (
	mostAnswers   = 10_000                // of all subjects: more simultaneous sign-ins than any site has
	mostBytes     = 64 << 20              // of all subjects: one answer may have 512 KiB, and people name groups
	mostOfSubject = 64                    // a browser that is refreshed every five minutes adds 12 in an hour
	requestBurst  = 30                    // requests for one subject at once
	requestRate   = rate.Limit(30.0 / 60) // requests a second for one subject after that
)

// errAskedOften is the cause when a subject has used up its requests.
var errAskedOften = errors.New("userinfo: too many requests for this sub")

func newAnswers(now func() time.Time) *answers {
	return &answers{now: now, of: map[string]*subject{}}
}

// get gives a kept answer that has not expired, and marks it as used.
func (a *answers) get(sub string, key [32]byte) (claims, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := a.of[sub]
	if s == nil {
		return nil, false
	}
	i := slices.IndexFunc(s.kept, func(k answered) bool { return k.key == key })
	if i < 0 || !a.now().Before(s.kept[i].until) {
		return nil, false
	}
	got := s.kept[i]
	s.kept = append(slices.Delete(s.kept, i, i+1), got)
	return got.claims, true
}

// once sends a request, unless the same one is in flight or the subject has used up its requests (errAskedOften).
// Failures are not cached, and evict no answer.
func (a *answers) once(sub string, key [32]byte, until time.Time, ask func() (claims, error)) (claims, error) {
	got, err, _ := a.flight.Do(string(key[:]), func() (any, error) {
		if !a.allow(sub) {
			return nil, errAskedOften
		}
		c, err := ask()
		if err == nil {
			a.put(sub, answered{key, c, until})
		}
		return c, err
	})
	if err != nil {
		return nil, err
	}
	return got.(claims), nil
}

// allow reports whether another request may be made for a subject now, and counts it.
func (a *answers) allow(sub string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.subject(sub).requests.AllowN(a.now(), 1)
}

// subject gives the entry of one person. The caller holds mu.
func (a *answers) subject(sub string) *subject {
	s := a.of[sub]
	if s == nil {
		if len(a.of) >= mostAnswers {
			a.expire()
		}
		s = &subject{requests: rate.NewLimiter(requestRate, requestBurst)}
		a.of[sub] = s
	}
	return s
}

// put stores an answer. If the cache is full, it removes the least recently used answer of the subject that takes most
// space. The caller does not hold mu.
func (a *answers) put(sub string, what answered) {
	a.mu.Lock()
	defer a.mu.Unlock()
	full := func() bool { return a.total >= mostAnswers || a.total > 0 && a.bytes+what.size() > mostBytes }
	if full() {
		a.expire()
	}
	s := a.subject(sub)
	a.drop(s, func(k answered) bool { return k.key == what.key })
	if len(s.kept) >= mostOfSubject {
		a.dropOldest(s)
	}
	for full() {
		a.dropOldest(slices.MaxFunc(slices.Collect(maps.Values(a.of)), func(x, y *subject) int {
			return cmp.Or(x.bytes-y.bytes, len(x.kept)-len(y.kept))
		}))
	}
	a.count(s, -1)
	s.kept = append(s.kept, what)
	a.count(s, 1)
}

// size is that of the claims in memory, in bytes, about.
func (w answered) size() (n int) {
	for name, value := range w.claims {
		n += len(name) + len(value)
	}
	return n
}

// count adds a subject's answers to the sums, or takes them out.
func (a *answers) count(s *subject, sign int) {
	s.bytes = 0
	for _, k := range s.kept {
		s.bytes += k.size()
	}
	a.total += sign * len(s.kept)
	a.bytes += sign * s.bytes
}

func (a *answers) dropOldest(s *subject) {
	oldest := s.kept[0].key
	a.drop(s, func(k answered) bool { return k.key == oldest })
}

func (a *answers) drop(s *subject, which func(answered) bool) {
	a.count(s, -1)
	s.kept = slices.DeleteFunc(s.kept, which)
	a.count(s, 1)
}

// expire removes answers that are too old, and subjects without answers whose rate limit is unused again. The caller
// holds mu.
func (a *answers) expire() {
	now := a.now()
	for sub, s := range a.of {
		a.drop(s, func(k answered) bool { return !now.Before(k.until) })
		if len(s.kept) == 0 && s.requests.TokensAt(now) >= requestBurst {
			delete(a.of, sub)
		}
	}
}
