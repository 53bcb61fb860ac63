package agent

import (
	"cmp"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport/sallyport/internal/wire"
)

// Waits between tries. docs/decisions/0020 explains their effect on a gateway with thousands of devices.
const (
	firstRetry  = time.Second      // bound of the first wait; it doubles with each failure
	longestWait = 30 * time.Second // up to this bound
	unknownWait = 2 * time.Minute  // least wait after a gateway does not know this device, or speaks another version
	unknownMore = 3 * time.Minute  // bound of the random wait that is added to unknownWait
	mostAsked   = 5 * time.Minute  // longest wait that a line that is not good can ask for: any server on the path can
	steady      = 30 * time.Second // a good line that ended sooner doubles the bound of the wait after it
	mostFlaps   = 3                // how many times that bound doubles at most
	changeWait  = 2 * time.Second  // bound of the wait after a change of the network
	resetEvery  = 10 * time.Second // shortest time between two changes of the network that reset the waits
)

// tries decides which host of the trust bundle is dialled next, and when. Each host has a back-off of its own. The
// agent dials every host that is due before it waits: while one gateway is down, another may be up.
type tries struct {
	hosts map[string]*hostTries
	last  string    // host of the last good line: the first to be dialled again
	flaps int       // good lines in a row that ended before steady
	pause time.Time // no dial before this time
	asked bool      // a gateway asked for the pause
	reset time.Time // when a change of the network last reset the waits
	proxy refusedProxy

	direct func(host string) bool // reports whether a host is reached without a proxy; nil: none is
}

type hostTries struct {
	failures int
	due      time.Time // not before this
	held     bool      // the gateway's answer set due, so a change of the network does not reset it
}

// ended describes the end of a try. A line is good once its handshake is proven and a message has arrived after the
// first ping.
type ended struct {
	good   bool
	lasted time.Duration // how long a good line lasted
	err    error
	proxy  string // URL of the proxy with its password; empty: that of the environment, or none
}

// below draws a random wait from zero to bound, so that devices that lost one gateway do not reconnect together.
func below(bound time.Duration) time.Duration { return time.Duration(rand.Int64N(int64(bound))) }

func (t *tries) of(host string) *hostTries {
	if t.hosts == nil {
		t.hosts = map[string]*hostTries{}
	}
	if t.hosts[host] == nil {
		t.hosts[host] = &hostTries{}
	}
	return t.hosts[host]
}

// next gives the host to dial and the earliest time for it: the host that has been due for longest, where a refused
// proxy does not keep it back. Among hosts that have not failed, the host of the last good line comes first, then the
// others in the bundle's order.
func (t *tries) next(hosts []string) (host string, at time.Time) {
	maps.DeleteFunc(t.hosts, func(h string, _ *hostTries) bool { return !slices.Contains(hosts, h) })
	host = hosts[0]
	if slices.Contains(hosts, t.last) {
		host = t.last
	}
	for _, h := range hosts {
		if cmp.Or(t.ready(h).Compare(t.ready(host)), t.of(h).due.Compare(t.of(host).due)) < 0 {
			host = h
		}
	}
	return host, later(t.ready(host), t.pause)
}

// ready gives the time before which a host is not dialled, apart from the pause of all hosts.
func (t *tries) ready(host string) time.Time {
	if t.direct != nil && t.direct(host) {
		return t.of(host).due
	}
	return later(t.of(host).due, t.proxy.until)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// end records the end of a try. After a good line the pause applies to all hosts. Otherwise all devices of a gateway
// that restarts would connect to another one at once.
func (t *tries) end(host string, e ended, now time.Time) {
	t.proxy.end(e, now)
	h := t.of(host)
	code := wire.CloseCode(e.err)
	if !e.good || code == wire.CloseUnknown || code == wire.CloseReplaced || code == wire.CloseVersion {
		h.fail(e.err, now)
		return
	}
	*h = hostTries{}
	t.last = host
	if after, ok := retryAfter(e.err); ok {
		t.pause, t.asked, t.flaps = now.Add(after+below(time.Second)), true, 0
		return
	}
	t.flaps++
	if e.lasted >= steady {
		t.flaps = 0
	}
	t.pause, t.asked = now.Add(below(firstRetry<<min(t.flaps, mostFlaps))), false
}

// fail backs off. The wait that the answer asks for is a lower bound, but counts only up to mostAsked. Nothing proves
// that a gateway sent the answer, and a server that was in the path for a second must not keep the device away for an
// hour.
func (h *hostTries) fail(err error, now time.Time) {
	bound := min(firstRetry<<min(h.failures, 10), longestWait)
	h.failures++
	var d *wire.DialError
	asked, ok := retryAfter(err)
	switch {
	case wire.CloseCode(err) == wire.CloseUnknown, errors.Is(err, errVersion):
		h.due, h.held = now.Add(unknownWait+below(unknownMore)), true
	case errors.As(err, &d) && d.RetryAfter > 0:
		h.due, h.held = now.Add(min(d.RetryAfter, mostAsked)+below(bound)), true
	case ok:
		h.due, h.held = now.Add(min(asked, mostAsked)+below(time.Second)), true
	default:
		h.due, h.held = now.Add(below(bound)), false
	}
}

// networkChanged ends the waits that this device imposed on itself, and reports whether it did: a dial that failed over
// the old network may work over the new one. Waits that a gateway asked for stay. The owner (asked) may end all waits
// at any time: one device that reconnects early harms no gateway, and the owner may have removed the reason for the
// wait.
func (t *tries) networkChanged(now time.Time, asked bool) bool {
	if !asked && now.Sub(t.reset) < resetEvery {
		return false
	}
	t.reset = now
	for _, h := range t.hosts {
		if !h.held || asked {
			*h = hostTries{}
		}
	}
	if asked {
		t.proxy = refusedProxy{}
	}
	if !t.asked || asked || t.pause.Before(now) {
		t.pause, t.asked = now.Add(below(changeWait)), false
	}
	return true
}

// retryAfter reads from a close frame's text after how many seconds a restarting gateway wants the device to reconnect;
// an hour at most.
func retryAfter(err error) (time.Duration, bool) {
	_, rest, ok := strings.Cut(wire.CloseText(err), "retry-after=")
	n, convErr := strconv.Atoi(strings.TrimSpace(rest))
	if !ok || convErr != nil || n < 0 {
		return 0, false
	}
	return time.Duration(min(n, 3600)) * time.Second, true
}
