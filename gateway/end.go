package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/internal/wire"
)

// End ends a session on behalf of a person. No byte passes later than a second after it.
func (b *Broker) End(_ context.Context, sid id.Session, by, why string) error {
	s := b.session(sid)
	if s == nil {
		return errkind.New(errkind.Conflict, "this session is no longer running").
			WithHint("`sallyport sessions list --state live` lists the running sessions.")
	}
	text := "the session was ended by " + by
	if why != "" {
		text += ": " + why
	}
	s.cancel(ended("ended by "+by, text))
	return nil
}

// EndAllOf ends all sessions that one sign-in or token has opened, and its permissions to open more.
func (b *Broker) EndAllOf(key, why string) {
	b.mu.Lock()
	for sid, a := range b.asked {
		if a.ask.Key == key {
			a.until = time.Time{} // sweep closes its row
			b.asked[sid] = a
		}
	}
	b.mu.Unlock()
	for _, s := range b.sessions() {
		if s.ask.Key == key {
			s.cancel(ended(BySignOut, "your sign-in has ended: "+why))
		}
	}
}

// session gives a session that has not ended; nil if there is none of that name.
func (b *Broker) session(sid id.Session) *Session {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.live[sid]
}

// EndAllOn ends every session on a device that is revoked. It asks no database, because nothing may delay the cut.
func (b *Broker) EndAllOn(device wire.Hash) {
	for _, s := range b.sessions() {
		if s.device.FP == [32]byte(device) {
			s.cancel(ended(ByLock, fmt.Sprintf("%s is %s", s.ask.Device, store.Revoked)))
		}
	}
}

func (b *Broker) sessions() []*Session {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := make([]*Session, 0, len(b.live))
	for _, s := range b.live {
		out = append(out, s)
	}
	return out
}

// Revalidate decides again on every live session. It is called after any input of decisions has changed. A session ends
// if anything by which a program was started in it is no longer allowed. The program need not run any more: it may have
// left others running, which only the end of the session ends.
func (b *Broker) Revalidate(ctx context.Context) {
	for _, s := range b.sessions() {
		dev, why := b.stillFit(ctx, s)
		if why != nil {
			s.cancel(why)
			continue
		}
		if dev == nil {
			continue
		}
		snap, who, others := b.cfg.Rules.Snapshot(), b.asOfNow(ctx, s.ask.Person), b.LiveOn(s.ask.Device)-1
		for _, a := range s.used() {
			if why := s.stillAllowed(a, snap, who, dev, others); why != nil {
				s.cancel(why)
				break
			}
		}
		for _, c := range s.openChannels() { // also those whose program has not started
			if why := s.stillAllowed(c.action, snap, who, dev, others); why != nil {
				s.endChannel(c, why)
			}
		}
		d := s.decideAgain(s.first.action, snap, who, dev, others)
		s.underAnother(ctx, d)
		s.tellMore(d)
	}
}

// stillFit gives a session's device as it is now, or the reason why no session may continue there. If the database does
// not answer, both are nil: the session was allowed, and watchStore, Drain and the pass's end still end it.
func (b *Broker) stillFit(ctx context.Context, s *Session) (*store.Device, *ending) {
	dev, err := b.cfg.Store.Device(ctx, s.ask.Device)
	switch {
	case errkind.KindOf(err) == errkind.NotFound:
		return nil, ended(ByLock, fmt.Sprintf("%s is no longer enrolled", s.ask.Device))
	case err != nil:
		b.cfg.Log.Error("a live session could not be decided again", slog.String("session", s.id.String()), slog.Any("error", err))
		return nil, nil
	case dev.FP != s.device.FP || dev.State == store.Revoked || dev.State == store.Locked || dev.State == store.Disputed:
		return nil, ended(ByLock, fmt.Sprintf("%s is %s", s.ask.Device, dev.State))
	case dev.Frozen:
		return nil, ended(ByOwner, fmt.Sprintf("%s was frozen by its owner", s.ask.Device))
	}
	return &dev, nil
}

// asOfNow gives a person with the groups that their provider named last. If the database does not answer, it gives them
// unchanged.
func (b *Broker) asOfNow(ctx context.Context, who authz.Person) authz.Person {
	now, err := b.groupsNow(ctx, who)
	if err != nil {
		b.cfg.Log.Error("a live session was decided again with the groups of before", slog.Any("error", err))
		return who
	}
	return now
}

// groupsNow is asOfNow where the database has to answer. A person whom the database does not know is as before.
func (b *Broker) groupsNow(ctx context.Context, who authz.Person) (authz.Person, error) {
	now, err := b.cfg.Store.Principal(ctx, who.ID)
	switch {
	case err == nil:
		who.Groups = now.Groups
	case errkind.KindOf(err) != errkind.NotFound:
		return who, err
	}
	return who, nil
}

func (s *Session) stillAllowed(a authz.Action, snap *authz.Snapshot, who authz.Person, dev *store.Device, others int) *ending {
	d := s.decideAgain(a, snap, who, dev, others)
	if d.Allowed {
		return nil
	}
	what := "the policy, your groups or the device's labels changed during the session. "
	if s.underGrant() != "" {
		what = "your grant was withdrawn, or " + what
	}
	return ended(ByWithdrawal, what+d.Explain().Text)
}

func (s *Session) decideAgain(a authz.Action, snap *authz.Snapshot, who authz.Person, dev *store.Device, others int) authz.Decision {
	s.b.mu.Lock()
	began := s.started
	s.b.mu.Unlock()
	return authz.Decide(snap, authz.Request{Person: who, Device: target(s.ask.Device, *dev), Action: a, Ticket: s.ask.Ticket,
		LiveSessions: others, Opened: began}, s.b.cfg.Now())
}

// revalidateEvery is how often live sessions are decided again without a change. The end of a rule's hours, for
// example, is no change that triggers Revalidate.
const revalidateEvery = 15 * time.Second

// Run closes expired answers, decides live sessions again every 15 s, retries failed writes, and watches the database.
// It returns when ctx ends.
func (b *Broker) Run(ctx context.Context) error {
	go b.watchStore(ctx)
	var retries sync.WaitGroup
	defer retries.Wait()
	retries.Go(func() { b.retryWrites(ctx) })
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	next := b.cfg.Now().Add(revalidateEvery)
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
		b.sweep(ctx)
		if now := b.cfg.Now(); !now.Before(next) {
			b.Revalidate(ctx)
			next = now.Add(revalidateEvery)
		}
	}
}

// retryWrites retries failed writes about ended sessions until ctx ends. It runs apart from Revalidate, because each of
// them may wait for a signer that does not answer, and rights end meanwhile.
func (b *Broker) retryWrites(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			b.settleRest(ctx)
		}
	}
}

func (b *Broker) sweep(ctx context.Context) {
	now := b.cfg.Now()
	var late []id.Session
	b.mu.Lock()
	for sid, a := range b.asked {
		if now.After(a.until) {
			late = append(late, sid)
			delete(b.asked, sid)
		}
	}
	b.mu.Unlock()
	slices.SortFunc(late, func(x, y id.Session) int { return slices.Compare(x[:], y[:]) })
	for _, sid := range late {
		if err := b.notOpened(ctx, sid, now); err != nil {
			b.cfg.Log.Error("a session that was not opened stays in the list", slog.String("session", sid.String()), slog.Any("error", err))
		}
	}
}

// notOpened closes the row of an answer that was not redeemed. Otherwise the session would be listed as running.
func (b *Broker) notOpened(ctx context.Context, sid id.Session, now time.Time) error {
	_, err := b.cfg.Store.ChangeSession(ctx, sid, func(row *store.Session) error {
		row.State, row.Ended, row.EndReason = store.Closed, now, "not opened"
		return nil
	})
	return err
}

// InUse reports whether a sign-in or token has an open session.
func (b *Broker) InUse(key string) bool {
	for _, s := range b.sessions() {
		if s.ask.Key == key {
			return true
		}
	}
	return false
}
