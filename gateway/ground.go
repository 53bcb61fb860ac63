package gateway

import (
	"context"
	"log/slog"
	"time"

	"github.com/sallyport/sallyport/internal/errkind"
)

// How long the database may be silent. Without the database the gateway does not learn that a person was locked or a
// right revoked. So input is frozen first, and sessions end if the silence lasts.
const (
	freezeAfter = 5 * time.Second
	endAfter    = 30 * time.Second
	pingEvery   = time.Second
)

var errGround = errkind.New(errkind.Unavailable, "the gateway's database does not answer, so no session can start").
	WithHint("Try again in a minute. The gateway's operator must find what blocks the database: a backup, a second " +
		"gateway, a full disk.")

// watchStore pings the database until ctx ends. If no answer comes, it freezes input and later ends sessions.
func (b *Broker) watchStore(ctx context.Context) {
	answers := make(chan struct{}, 1)
	go b.pings(ctx, answers)
	every := min(b.cfg.FreezeAfter, pingEvery) / 4
	silent := silence{most: 4 * every, last: time.Now()}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		answered := false
		select {
		case <-ctx.Done():
			b.thaw()
			return
		case <-answers:
			answered = true
			b.thaw()
		case <-tick.C:
		}
		switch length := silent.at(time.Now(), answered); {
		case length >= b.cfg.EndAfter:
			b.endAll(ended(ByStore, "the gateway's database did not answer for "+b.cfg.EndAfter.String()))
		case length >= b.cfg.FreezeAfter:
			b.freeze()
		}
	}
}

// silence measures how long the database has not answered while this process ran. Time in which the process was stopped
// or its host slept counts little, because an answer may already be waiting.
type silence struct {
	most   time.Duration // how much one step may add
	last   time.Time
	length time.Duration
}

func (s *silence) at(now time.Time, answered bool) time.Duration {
	s.length += min(now.Sub(s.last), s.most)
	s.last = now
	if answered {
		s.length = 0
	}
	return s.length
}

func (b *Broker) pings(ctx context.Context, answers chan<- struct{}) {
	for ctx.Err() == nil {
		wait := min(b.cfg.FreezeAfter, pingEvery) / 2
		if err := b.cfg.Store.Ping(ctx); err == nil {
			wait *= 2
			select {
			case answers <- struct{}{}:
			case <-ctx.Done():
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

// ground returns errGround at once if the database is known not to answer. Waiting for it again would delay the end
// of a session.
func (b *Broker) ground() error {
	if b.frozen.Load() != nil {
		return errGround
	}
	return nil
}

// freeze makes typed bytes wait. Output continues, because earlier input caused it.
func (b *Broker) freeze() {
	frozen := make(chan struct{})
	if !b.frozen.CompareAndSwap(nil, &frozen) {
		return
	}
	b.cfg.Log.Error("the database does not answer: input of all sessions waits", slog.Int("sessions", len(b.sessions())))
	for _, s := range b.sessions() {
		s.notice("frozen", "the gateway's database does not answer, so what you type waits")
	}
}

func (b *Broker) thaw() {
	frozen := b.frozen.Swap(nil)
	if frozen == nil {
		return
	}
	close(*frozen)
	b.cfg.Log.Warn("the database answers again")
	for _, s := range b.sessions() {
		s.notice("thawed", "the database answers again")
	}
}

// thawed returns when input may pass, or with the reason why the session ends.
func (s *Session) thawed() error {
	frozen := s.b.frozen.Load()
	if frozen == nil {
		return nil
	}
	select {
	case <-*frozen:
		return nil
	case <-s.ctx.Done():
		return context.Cause(s.ctx)
	}
}

func (b *Broker) endAll(why *ending) {
	for _, s := range b.sessions() {
		s.cancel(why)
	}
}
