package pending

import (
	"crypto/rand"
	"math/big"
	"strings"
	"sync"
	"time"
)

// Of the device grant (RFC 8628).
const (
	CodeTime     = 10 * time.Minute
	CodeInterval = 5 * time.Second
	mostCodes    = 1000
	mostOfOne    = 20  // network
	mostOfWider  = 100 // see Wider
)

// Status is what a device hears when it asks.
type Status int

// The answers.
const (
	Unknown  Status = iota // no such code, or somebody else's
	Waiting                // nobody has answered yet
	TooFast                // asked before the interval was over, which grows by that
	Expired                // nobody answered in time
	Denied                 // a person said no
	Answered               // a person said yes; this is told once
)

// Codes are device codes that wait for a person, who is shown Q and gives A. People type the user code, so it is short:
// it lives ten minutes, and whoever serves the page slows guessing down.
type Codes[Q, A any] struct {
	now func() time.Time

	mu  sync.Mutex // guards all
	all map[[32]byte]*waiting[Q, A]
}

type waiting[Q, A any] struct {
	q        Q
	user     string
	from     string
	wider    string
	until    time.Time
	interval time.Duration
	asked    time.Time
	denied   bool
	answer   *A
}

// NewCodes makes an empty set.
func NewCodes[Q, A any](now func() time.Time) *Codes[Q, A] {
	return &Codes[Q, A]{now: now, all: map[[32]byte]*waiting[Q, A]{}}
}

// Begin gives a device code and a user code. From is the network that asks: one may not fill the set.
func (c *Codes[Q, A]) Begin(q Q, from string) (device, user string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now, same, near := c.now(), 0, 0
	wider := Wider(from)
	for h, w := range c.all {
		if now.After(w.until.Add(time.Minute)) { // a minute longer, so that the device hears "expired"
			delete(c.all, h)
			continue
		}
		if w.from == from {
			same++
		}
		if w.wider == wider {
			near++
		}
	}
	if len(c.all) >= mostCodes || same >= mostOfOne || near >= mostOfWider {
		return "", "", TooMany()
	}
	device, user = Secret(), userCode()
	c.all[Hash(device)] = &waiting[Q, A]{q: q, user: user, from: from, wider: wider, until: now.Add(CodeTime), interval: CodeInterval}
	return device, user, nil
}

// Poll is one question of a device; mine says whether the code is the asker's.
func (c *Codes[Q, A]) Poll(device string, mine func(Q) bool) (answer A, interval time.Duration, s Status) {
	c.mu.Lock()
	defer c.mu.Unlock()
	h := Hash(device)
	w, ok := c.all[h]
	if !ok || !mine(w.q) {
		return answer, 0, Unknown
	}
	now := c.now()
	fast := !w.asked.IsZero() && now.Sub(w.asked) < w.interval
	w.asked = now
	switch {
	case !now.Before(w.until):
		return answer, w.interval, Expired
	case w.denied:
		delete(c.all, h)
		return answer, w.interval, Denied
	case fast:
		w.interval += 5 * time.Second
		return answer, w.interval, TooFast
	case w.answer == nil:
		return answer, w.interval, Waiting
	}
	delete(c.all, h)
	return *w.answer, w.interval, Answered
}

// Find gives what a person is to answer, and the user code as it is shown.
func (c *Codes[Q, A]) Find(typed string) (q Q, user string, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	w := c.find(typed)
	if w == nil {
		return q, "", false
	}
	return w.q, w.user, true
}

// Answer records what a person said, once; nil is no.
func (c *Codes[Q, A]) Answer(typed string, a *A) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	w := c.find(typed)
	if w == nil {
		return false
	}
	w.answer, w.denied = a, a == nil
	return true
}

func (c *Codes[Q, A]) find(typed string) *waiting[Q, A] {
	typed = letters(typed)
	for _, w := range c.all {
		if typed != "" && letters(w.user) == typed && c.now().Before(w.until) && w.answer == nil && !w.denied {
			return w
		}
	}
	return nil
}

// userCode has eight of twenty consonants: no words, and nothing that looks like something else (RFC 8628 section 6.1).
func userCode() string {
	const from = "BCDFGHJKLMNPQRSTVWXZ"
	var b strings.Builder
	for i := range 8 {
		n, _ := rand.Int(rand.Reader, big.NewInt(int64(len(from)))) // never fails
		if i == 4 {
			b.WriteByte('-')
		}
		b.WriteByte(from[n.Int64()])
	}
	return b.String()
}

// letters is what counts of a code as typed.
func letters(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 'A' || r > 'Z' {
			return -1
		}
		return r
	}, strings.ToUpper(s))
}
