package rendezvous

import (
	"math/rand/v2"
	"net/http"
	"net/netip"
	"strconv"
	"sync"

	"golang.org/x/time/rate"
)

// Limits of what has proven nothing yet.
const (
	maxPending       = 4096 // handshakes at once
	maxPendingSource = 256  // of one source
	failuresBurst    = 50   // failed handshakes of one source, then
	failuresRate     = 5    // a second
	maxSources       = 8192 // that are remembered; the rest share one place
)

// sources counts, by address, lines that have proven nothing yet and handshakes that failed. One that succeeds costs its
// source nothing afterwards: thousands of good devices may stand behind one address.
type sources struct {
	mu      sync.Mutex // guards what follows
	pending int
	by      map[netip.Prefix]*source
	rest    source // of sources that found no room
}

type source struct {
	pending int
	fails   *rate.Limiter
}

func newSources() *sources {
	return &sources{by: map[netip.Prefix]*source{}, rest: source{fails: rate.NewLimiter(failuresRate, failuresBurst)}}
}

// network is what counts as one source: an IPv4 address, an IPv6 /64.
func network(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := 64
	if a.Is4() {
		bits = 32
	}
	p, _ := a.Prefix(bits) // the zero prefix for an address that is none
	return p
}

func (s *sources) of(a netip.Addr) *source {
	key := network(a)
	if e, ok := s.by[key]; ok {
		return e
	}
	if len(s.by) >= maxSources {
		s.forget()
	}
	if len(s.by) >= maxSources {
		return &s.rest
	}
	e := &source{fails: rate.NewLimiter(failuresRate, failuresBurst)}
	s.by[key] = e
	return e
}

// forget drops sources that have nothing against them.
func (s *sources) forget() {
	for k, e := range s.by {
		if e.pending == 0 && e.fails.Tokens() >= failuresBurst {
			delete(s.by, k)
		}
	}
}

// begin takes a place for a line that has proven nothing, or reports that there is none. done gives it back and says
// whether the line proved itself.
func (s *sources) begin(a netip.Addr) (done func(proven bool), ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.of(a)
	if s.pending >= maxPending || e.pending >= maxPendingSource || e.fails.Tokens() < 1 {
		return nil, false
	}
	s.pending++
	e.pending++
	return func(proven bool) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.pending--
		e.pending--
		if !proven {
			e.fails.Allow()
		}
	}, true
}

func remoteAddr(r *http.Request) netip.Addr {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap()
}

// Seconds in which devices come back. A core of a small server takes about 900 new lines a second, so half of that
// leaves room for what else starts with it.
const (
	leastSpread  = 3
	mostSpread   = 30
	comeBackRate = 500 // devices a second
	busySpread   = 15  // for connections that are turned away because too many handshakes are under way
)

// spread gives the seconds in which a fleet of so many devices reconnects.
func spread(fleet int) int { return min(max(leastSpread, fleet/comeBackRate), mostSpread) }

// retryAfter draws a number of seconds, at least 1 and at most within, for one connection that is turned away.
func retryAfter(within int) int { return 1 + rand.IntN(within) }

// busy turns away a connection for which there is no capacity.
func busy(w http.ResponseWriter) { sendAway(w, busySpread) }

// away turns away a connection while the gateway stops or starts.
func (r *Registry) away(w http.ResponseWriter) {
	r.mu.Lock()
	within := spread(r.fleet)
	r.mu.Unlock()
	sendAway(w, within)
}

func sendAway(w http.ResponseWriter, within int) {
	w.Header().Set("Retry-After", strconv.Itoa(retryAfter(within)))
	w.Header().Set("Connection", "close") // or whoever is turned away keeps a connection for the idle time
	http.Error(w, "too busy", http.StatusServiceUnavailable)
}
