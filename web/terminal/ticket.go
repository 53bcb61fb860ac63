package terminal

import (
	"crypto/rand"
	"crypto/sha256"
	"sync"
	"time"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
)

// TicketTime is how long a ticket is good.
const TicketTime = 10 * time.Second

// maxTickets and maxOfOne bound what is pending, of everybody and of one sign-in.
const (
	maxTickets = 10_000
	maxOfOne   = 32
)

// Tickets are permissions to connect the terminal socket for one session. Only their hashes are kept.
type Tickets struct {
	now func() time.Time

	mu      sync.Mutex // guards pending
	pending map[[32]byte]ticket
}

// Target is what a ticket is for: a channel of a session. With channel 1 the session begins.
type Target struct {
	Session id.Session
	Channel uint32
}

type ticket struct {
	key   string
	to    Target
	until time.Time
}

// NewTickets makes an empty set; now nil means the clock.
func NewTickets(now func() time.Time) *Tickets {
	if now == nil {
		now = time.Now
	}
	return &Tickets{now: now, pending: map[[32]byte]ticket{}}
}

// Issue gives a ticket for a channel of a session to the sign-in or token that key names.
func (t *Tickets) Issue(key string, session id.Session, channel uint32) (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now, mine := t.now(), 0
	for h, p := range t.pending {
		if !now.Before(p.until) {
			delete(t.pending, h)
		} else if p.key == key {
			mine++
		}
	}
	if mine >= maxOfOne || len(t.pending) >= maxTickets {
		return "", errkind.New(errkind.TooMany, "too many sessions are being opened at once").WithHint("Wait ten seconds.").
			WithWait(TicketTime) // its session is in the log: sent again at once, another would be there
	}
	text := rand.Text()
	t.pending[sha256.Sum256([]byte(text))] = ticket{key, Target{session, channel}, now.Add(TicketTime)}
	return text, nil
}

// Redeem uses a ticket up, also when it is shown by somebody it was not given to.
func (t *Tickets) Redeem(text, key string) (Target, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	h := sha256.Sum256([]byte(text))
	p, ok := t.pending[h]
	delete(t.pending, h)
	if !ok || p.key != key || !t.now().Before(p.until) {
		return Target{}, errkind.New(errkind.Denied, "this ticket for a terminal is unknown, used or older than ten seconds").
			WithHint("Open the session again.")
	}
	return p.to, nil
}
