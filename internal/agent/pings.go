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
	livePing  = 45 * time.Second // while sessions run: each needs a fresh status at least every three minutes
	pongTime  = 15 * time.Second // from a ping to the next message from the gateway
)

var errSilent = errors.New("the gateway no longer answers")

func pingEvery(seconds int) time.Duration {
	if seconds == 0 {
		return usualPing
	}
	return max(leastPing, min(time.Duration(seconds)*time.Second, mostPing))
}

// interval is the time to the next ping. It is a little shorter each time, so that devices that reconnected together
// drift apart.
func (l *line) interval() time.Duration {
	every := l.ping
	if len(l.a.cfg.State.Sessions()) > 0 {
		every = min(every, livePing)
	}
	return every - time.Duration(rand.Int64N(int64(every/10)))
}

// pings asks for a status in each interval, and gives up the line when no message follows a ping. Any message counts as
// the answer: it decrypted, so the gateway and the path to it work. Each session checks for itself that statuses
// arrive.
func (l *line) pings(ctx context.Context) {
	for next := time.Now().Add(l.interval()); ; {
		t := time.NewTimer(time.Until(l.due(next)))
		select {
		case <-ctx.Done():
			t.Stop()
			return
		case <-l.sent: // an answer may be due, and a session may have begun
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

// due is when pings has to act next: at the next ping, or when an answer is late.
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

// heard records that a message arrived.
func (l *line) heard() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked, l.good = time.Time{}, true
}

// pingNow makes pings send the next ping at once.
func (l *line) pingNow() {
	select {
	case l.kick <- struct{}{}:
	default:
	}
}

// sendPing sends a ping from another goroutine and makes pings wait for the answer.
func (l *line) sendPing() {
	l.writePing()
	select {
	case l.sent <- struct{}{}:
	default:
	}
}

// writePing sends a ping and keeps the time of the oldest unanswered one.
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
