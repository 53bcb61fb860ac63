// Package connlimit bounds the connections of a listener that have not been authenticated: in their number for each
// peer, in their number in all, and in time. A peer is an IPv4 address or an IPv6 /64.
//
// # Against whom
//
// A connection costs the gateway a descriptor, a goroutine and 12 KB before anything is known about its other end, and
// up to 80 KB while its headers arrive. Without a bound, one address can take all descriptors with handshakes that do
// not go on, headers that never end, or connections that stay idle after one request without a sign-in. So a connection
// counts from the moment it is accepted until a request or a device's line on it has been authenticated. It may count
// for Time at most, whatever is sent on it meanwhile. An authenticated connection no longer counts, because hundreds of
// devices may share one address.
//
// # What it cannot do
//
// It cannot tell apart people and devices behind one address: an attacker among them can use up that address's share.
// It does not bound the rate of new connections, nor what a caller does after authentication.
package connlimit

import (
	"container/list"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/sallyport/sallyport/internal/pending"
)

// Time is how long a connection may go without an authenticated request, from its acceptance. A device's line needs at
// most 30 s: 10 s each for the TLS handshake, the headers and the Noise handshake.
const Time = time.Minute

// logEvery is the shortest time between two messages about closed connections.
const logEvery = 10 * time.Second

// Config says what is allowed.
type Config struct {
	PerPeer int                   // unauthenticated connections of one peer
	Total   int                   // of all peers together
	Exempt  func(netip.Addr) bool // peers that are not limited; nil: none
	Log     *slog.Logger          // nil: silent
}

// Counts are what the limits have done. Waiting is of now, the others are since the start.
type Counts struct {
	Waiting int    // unauthenticated connections
	PerPeer uint64 // new connections closed because their peer had PerPeer
	Total   uint64 // the oldest ones, closed because there were Total
	Late    uint64 // closed after Time
}

// Limits count the unauthenticated connections of one or more listeners.
type Limits struct {
	cfg Config

	mu      sync.Mutex     // guards what follows
	peers   map[string]int // by network; none is 0
	waiting list.List      // of *Conn, in the order of acceptance
	counts  Counts
	loud    rate.Sometimes
}

// New makes limits. Both numbers must be positive.
func New(cfg Config) *Limits {
	if cfg.Exempt == nil {
		cfg.Exempt = func(netip.Addr) bool { return false }
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Limits{cfg: cfg, peers: map[string]int{}, loud: rate.Sometimes{Interval: logEvery}}
}

// Counts gives the counts.
func (l *Limits) Counts() Counts {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.counts
	c.Waiting = l.waiting.Len()
	return c
}

// Listener applies the limits to what inner accepts. It belongs below TLS: a handshake is what they must not wait for.
func (l *Limits) Listener(inner net.Listener) net.Listener { return &listener{inner, l} }

type listener struct {
	net.Listener
	limits *Limits
}

// Accept implements net.Listener. It closes connections beyond the limits and waits for the next one.
func (l *listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if admitted := l.limits.admit(c); admitted != nil {
			return admitted, nil
		}
		reset(c)
	}
}

// admit gives the connection to serve, or nil if its peer has too many. If there are too many in all, the oldest one is
// closed: refusing the new one would let an attacker with a few addresses shut out everyone else.
func (l *Limits) admit(c net.Conn) net.Conn {
	from, _ := netip.ParseAddrPort(c.RemoteAddr().String())
	if l.cfg.Exempt(from.Addr().Unmap()) {
		return c
	}
	own := &Conn{Conn: c, limits: l, peer: pending.Network(from.Addr())}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.peers[own.peer] >= l.cfg.PerPeer {
		l.counts.PerPeer++
		l.warn("too many of this peer", own.peer)
		return nil
	}
	if l.waiting.Len() >= l.cfg.Total {
		oldest := l.waiting.Front().Value.(*Conn)
		oldest.leave()
		reset(oldest.Conn)
		l.counts.Total++
		l.warn("too many in all", oldest.peer)
	}
	l.peers[own.peer]++
	own.place = l.waiting.PushBack(own)
	own.late = time.AfterFunc(Time, own.expire)
	return own
}

// warn logs at most once in logEvery: an attacker decides how often it is called. l.mu is held.
func (l *Limits) warn(why, peer string) {
	l.loud.Do(func() {
		l.cfg.Log.Warn("unauthenticated connections are closed", slog.String("why", why), slog.String("peer", peer),
			slog.Int("waiting", l.waiting.Len()), slog.Uint64("closed_of_peers", l.counts.PerPeer),
			slog.Uint64("closed_oldest", l.counts.Total))
	})
}

// reset closes with a RST, so that a flood leaves no sockets in TIME_WAIT here.
func reset(c net.Conn) {
	if tcp, ok := c.(interface{ SetLinger(sec int) error }); ok {
		_ = tcp.SetLinger(0) // without it the socket lingers, and nothing else
	}
	c.Close()
}
