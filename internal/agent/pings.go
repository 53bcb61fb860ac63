package agent

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/sallyport/sallyport/internal/wire"
)

// Times of pings.
const (
	leastPing = 5 * time.Second
	mostPing  = 10 * time.Minute
	usualPing = 30 * time.Second
	livePing  = 45 * time.Second // while sessions run: each wants a fresh status within its three minutes
	pongTime  = 15 * time.Second // from a ping to the next message of the gateway
)

var errSilent = errors.New("the gateway no longer answers")

func pingEvery(seconds int) time.Duration {
	if seconds == 0 {
		return usualPing
	}
	return max(leastPing, min(time.Duration(seconds)*time.Second, mostPing))
}

// interval is the time to the next ping. It is a little shorter each time, so that devices that came back together do
// not stay together.
func (l *line) interval() time.Duration {
	every := l.ping
	if len(l.a.cfg.State.Sessions()) > 0 {
		every = min(every, livePing)
	}
	return every - time.Duration(rand.Int64N(int64(every/10)))
}

// pings asks for a status in each interval, and gives up the line when nothing comes after a ping. Any message will do:
// it decrypted, so the gateway and the path to it are there. Whether statuses come is for the sessions to judge.
func (l *line) pings(ctx context.Context) {
	for next := time.Now().Add(l.interval()); ; {
		t := time.NewTimer(time.Until(l.due(next)))
		select {
		case <-ctx.Done():
			t.Stop()
			return
		case <-l.sent: // there may be an answer to wait for, and a session
			t.Stop()
			if sooner := time.Now().Add(l.interval()); sooner.Before(next) {
				next = sooner
			}
			continue
		case <-l.kick:
			t.Stop()
		case <-t.C:
			if l.late() {
				l.giveUp(errSilent)
				return
			}
			if time.Now().Before(next) {
				continue // the answer came in time
			}
		}
		l.writePing()
		next = time.Now().Add(l.interval())
	}
}

// due is when pings has to look next: at the next ping, or when an answer is late.
func (l *line) due(next time.Time) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	if late := l.asked.Add(pongTime); !l.asked.IsZero() && late.Before(next) {
		return late
	}
	return next
}

func (l *line) late() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.asked.IsZero() && time.Since(l.asked) >= pongTime
}

// heard takes note of a message.
func (l *line) heard() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked, l.good = time.Time{}, true
}

// pingNow has the next ping sent at once.
func (l *line) pingNow() {
	select {
	case l.kick <- struct{}{}:
	default:
	}
}

// sendPing sends a ping from outside of pings, which has to wait for the answer then.
func (l *line) sendPing() {
	l.writePing()
	select {
	case l.sent <- struct{}{}:
	default:
	}
}

// writePing sends a ping. The time of the oldest one that nothing came after counts.
func (l *line) writePing() {
	n := l.a.trust.NewNonce()
	head := l.a.trust.Head()
	l.mu.Lock()
	if l.asked.IsZero() {
		l.asked = time.Now()
	}
	l.mu.Unlock()
	l.send(wire.Ping{T: wire.TypePing, Nonce: n, Size: head.Size, Root: head.Root, Frozen: l.a.cfg.State.Frozen()})
}
