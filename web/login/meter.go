package login

import (
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/pending"
)

// meter lets a network do something so often in a stretch of time.
type meter struct {
	now   func() time.Time
	most  int
	every time.Duration

	mu    sync.Mutex // guards what follows
	count map[string]int
	since time.Time
}

// mostAskers bounds what is remembered of one stretch. Beyond it all is forgotten: whoever has that many networks has as many
// attempts anyhow, and must not be able to keep everybody else out.
const mostAskers = 50_000

func newMeter(now func() time.Time, most int, every time.Duration) *meter {
	return &meter{now: now, most: most, every: every, count: map[string]int{}}
}

// take counts one, of an address or of an account.
func (m *meter) take(who string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if now := m.now(); now.Sub(m.since) >= m.every {
		m.since, m.count = now, map[string]int{}
	}
	n, known := m.count[who]
	if !known && len(m.count) >= mostAskers {
		m.count = map[string]int{}
	}
	if n >= m.most {
		return errkind.New(errkind.TooMany, "there were too many attempts").WithHint("Wait a minute, then try again.")
	}
	m.count[who] = n + 1
	return nil
}

// giveBack takes one back that turned out to be no attempt.
func (m *meter) giveBack(who string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.count[who] > 0 {
		m.count[who]--
	}
}

func (s *Service) from(r *http.Request) string { return pending.Network(s.cfg.Addr(r)) }

func text(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}
