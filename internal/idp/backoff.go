package idp

import (
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/sallyport/sallyport/internal/pending"
)

// backoff slows guessing. A few slips are free; then each failure doubles the wait. What counts most is a name from one
// address: there the wait grows long, and nobody else feels it, not even who sits behind the same address. A name from
// anywhere, and an address with any names, wait for a minute at most: enough against many guessers and against one who tries
// many names.
//
// An attempt during a wait is refused and costs nothing. So whoever asks without a pause takes each moment in which an attempt
// is free, and people who come only now and then find none for as long as that lasts. Therefore a name has a lane of its own
// where it has signed in lately: there only what was tried with that name from that address counts. Who is new at an address,
// who comes after a restart, and who shares an address with one who guesses at that very name, may be kept out.
type backoff struct {
	now func() time.Time

	mu    sync.Mutex // guards what follows
	all   map[tried]slips
	lanes map[string][]lane // by name; only of people who are known, so there are few
}

// lane is where a name has signed in.
type lane struct {
	from string
	last time.Time
}

// tried is what attempts are counted of: a name from an address, or of either any.
type tried struct{ addr, user string }

type slips struct {
	n     int
	until time.Time // no attempt before
	was   time.Time // until, before the last attempt: one with a lane may be made while others wait
	last  time.Time
}

const (
	freeSlips   = 3
	freeAtAddr  = 30               // an address, whatever the names
	longestFor  = time.Minute      // a name, or an address
	longestHere = 15 * time.Minute // a name from one address
	slipsFade   = time.Hour
	mostSlips   = 20_000
	laneTime    = 30 * 24 * time.Hour
	mostLanes   = 8 // of a name; the newest
)

func newBackoff(now func() time.Time) *backoff {
	return &backoff{now: now, all: map[tried]slips{}, lanes: map[string][]lane{}}
}

func keysOf(addr netip.Addr, user string) [3]tried {
	from := pending.Network(addr)
	return [3]tried{{from, user}, {user: user}, {addr: from}}
}

func (k tried) limits() (free int, longest time.Duration) {
	switch {
	case k.user == "":
		return freeAtAddr, longestFor
	case k.addr == "":
		return freeSlips, longestFor
	}
	return freeSlips, longestHere
}

// attempt counts an attempt as failed before it is judged, so that many at once gain nothing; forgive takes it back. A
// wait above zero means that it may not be made.
func (b *backoff) attempt(addr netip.Addr, user string) (wait time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	keys := keysOf(addr, user)
	felt := keys[:]
	if b.hasLane(keys[0], now) {
		felt = keys[:1]
	}
	for _, k := range felt {
		wait = max(wait, b.all[k].until.Sub(now))
	}
	if wait > 0 {
		return wait
	}
	if len(b.all)+len(keys) > mostSlips {
		b.fade(now)
	}
	for _, k := range keys {
		s := b.all[k]
		if now.Sub(s.last) > slipsFade {
			s.n = 0
		}
		s.n, s.last, s.was = s.n+1, now, s.until
		if free, longest := k.limits(); s.n > free {
			s.until = now.Add(min(longest, time.Second<<min(s.n-free-1, 20)))
		}
		b.all[k] = s
	}
	return 0
}

// forgive takes a successful attempt back. The name starts anew; the address keeps what it did to other names.
func (b *backoff) forgive(addr netip.Addr, user string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	keys := keysOf(addr, user)
	here, name, from := keys[0], keys[1], keys[2]
	delete(b.all, here)
	delete(b.all, name)
	if s := b.all[from]; s.n > 1 {
		s.n, s.until = s.n-1, s.was
		b.all[from] = s
	} else {
		delete(b.all, from)
	}
}

// remember gives a name its lane at an address. It is for a whole sign-in: half of one would let a guesser push others' out.
func (b *backoff) remember(addr netip.Addr, user string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	from := pending.Network(addr)
	all := slices.DeleteFunc(b.lanes[user], func(l lane) bool { return l.from == from })
	all = append(all, lane{from, b.now()})
	b.lanes[user] = all[max(0, len(all)-mostLanes):]
}

func (b *backoff) hasLane(here tried, now time.Time) bool {
	return slices.ContainsFunc(b.lanes[here.user], func(l lane) bool { return l.from == here.addr && now.Sub(l.last) <= laneTime })
}

// fade makes room: what is old first, then all that waits for nothing.
func (b *backoff) fade(now time.Time) {
	for _, old := range []time.Duration{slipsFade, 0} {
		for k, s := range b.all {
			if now.Sub(s.last) > old && !now.Before(s.until) {
				delete(b.all, k)
			}
		}
		if len(b.all)+3 <= mostSlips {
			return
		}
	}
}
