package login

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/oidcauth"
	"github.com/sallyport/sallyport/internal/store"
)

// Run ends what has expired, within a second where something may be open, and asks providers again about those who are
// here. It returns when every question that it began has been answered.
func (s *Service) Run(ctx context.Context) error {
	defer s.asks.Wait()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	var checking sync.Mutex // held while tokens are looked at: a provider may be slow
	var telling sync.Mutex  // held while the signer is told of sign-outs: it may be slow
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
		s.expire(ctx)
		s.askAgain(ctx)
		if telling.TryLock() {
			s.asks.Go(func() { defer telling.Unlock(); s.tellSigner(ctx) })
		}
		if n%5 == 0 && checking.TryLock() {
			s.asks.Go(func() { defer checking.Unlock(); s.checkTokens(ctx) })
		}
		if n%60 == 0 {
			s.sweep(ctx)
		}
	}
}

// expire ends the sessions in use whose time is over.
func (s *Service) expire(ctx context.Context) {
	now := s.cfg.Now()
	why := map[[32]byte]string{}
	s.mu.Lock()
	active := make(map[[32]byte]activity, len(s.active))
	for h, a := range s.active {
		active[h] = *a
	}
	s.mu.Unlock()
	for h, a := range active { // without the lock: InUse may take others
		row := a.row
		row.LastSeen = a.seen
		if w := s.over(row, now); w != "" {
			why[h] = w
		}
	}
	for h, w := range why {
		s.end(ctx, h, w)
	}
}

// sweep deletes what expired without being used.
func (s *Service) sweep(ctx context.Context) {
	gone, err := s.cfg.Store.SweepWebSessions(ctx, s.cfg.Now())
	if err != nil {
		s.cfg.Log.Error("expired sign-ins could not be deleted", slog.Any("error", err))
	}
	for _, row := range gone {
		s.ended(ctx, row, "it has expired")
	}
}

// atOnce bounds how many questions to providers are under way.
const atOnce = 8

// askAgain asks the provider about sessions that were used since the last time, or that have something open. For a
// command line it uses the sign-in that has its refresh token.
func (s *Service) askAgain(ctx context.Context) {
	now := s.cfg.Now()
	var due []store.WebSession
	s.mu.Lock()
	under := 0
	for _, a := range s.active {
		if a.asking {
			under++
		}
	}
	for _, a := range s.active {
		if under+len(due) < atOnce && !a.asking && (a.row.HasRefresh || a.row.Kind == store.KindCLI) &&
			now.Sub(a.asked) >= s.cfg.Refresh {
			a.asking = true
			due = append(due, a.row)
		}
	}
	s.mu.Unlock()
	for _, row := range due {
		s.asks.Go(func() { s.ask(ctx, row, now) })
	}
}

func (s *Service) ask(ctx context.Context, row store.WebSession, now time.Time) {
	if asked := s.refreshOf(ctx, row, now.Add(-s.cfg.Refresh/2)); !asked && !row.NoRefresh &&
		now.Sub(row.ConfirmedAt) > s.noRefreshAtMost(row.Provider) {
		s.end(ctx, row.IDHash, unasked)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.active[row.IDHash]; a != nil {
		a.asking, a.asked = false, now
	}
}

// refresh takes the provider's word on one session: it stands, with these groups; or it is over. A provider that does not
// answer changes nothing: the sign-in has its own end.
func (s *Service) refresh(ctx context.Context, hash [32]byte) {
	row, err := s.cfg.Store.WebSession(ctx, hash)
	if errkind.KindOf(err) == errkind.NotFound && err != nil {
		s.closeAll(hash, store.WebSession{}, "it has ended")
		return
	}
	p, perr := s.cfg.Providers.Named(row.Provider)
	if err != nil || perr != nil {
		s.cfg.Log.Error("a sign-in could not be checked again", slog.Any("error", errors.Join(err, perr)))
		return
	}
	k, ok := s.keyOf(row)
	if !ok { // nobody has used it since the gateway started, so there is nobody to ask for
		return
	}
	t, err := k.get(row)
	if err != nil {
		s.cfg.Log.Error("a sign-in could not be checked again", slog.Any("error", err))
		return
	}
	in, err := p.Refresh(ctx, oidcauth.SignIn{
		Principal:    row.Principal,
		Provider:     row.Provider,
		SID:          row.SID,
		IDToken:      t.ID,
		IssuedAt:     row.ConfirmedAt,
		AccessToken:  t.Access,
		RefreshToken: t.Refresh,
	})
	switch {
	case errors.Is(err, oidcauth.ErrEnded):
		s.cfg.Log.Warn("sign-in ended by the provider", slog.String("provider", row.Provider), slog.Any("error", err))
		s.endWithHeirs(ctx, row, "the provider no longer confirms it")
	case err != nil:
		s.cfg.Log.Warn("the provider did not say whether a sign-in stands", slog.String("provider", row.Provider), slog.Any("error", err))
		if in.RefreshToken != "" && in.RefreshToken != t.Refresh { // the stored one is used up
			t.Refresh = in.RefreshToken
			s.rotate(ctx, row, k, t)
		}
	default:
		if err := s.keep(ctx, row, k, t, in); err != nil {
			s.cfg.Log.Error("a sign-in that was checked again could not be stored", slog.Any("error", err))
		}
	}
}

// keep stores what the provider said of a sign-in, whose tokens were old.
func (s *Service) keep(ctx context.Context, row store.WebSession, k signInKey, old tokens, in oidcauth.SignIn) error {
	if in.IDToken != old.ID { // the provider spoke of the person anew
		if err := s.remember(ctx, in, s.cfg.Now()); err != nil {
			return err
		}
		row.ConfirmedAt, row.NoRefresh, row.Expires = in.IssuedAt, false, row.AuthTime.Add(s.cfg.Life)
	} else { // it confirms the sign-in without new claims, so the signer has no newer evidence
		s.withoutRefresh(&row)
	}
	t := tokens{ID: in.IDToken, Access: in.AccessToken, Refresh: in.RefreshToken}
	if err := k.put(&row, t); err != nil {
		return err
	}
	if err := s.put(ctx, row); err != nil {
		return err
	}
	s.identify(ctx, row, k)
	t.Refresh = "" // a command line has none of its own
	return s.eachOf(ctx, row, func(cli store.WebSession) error {
		cli.ConfirmedAt, cli.NoRefresh, cli.Expires = row.ConfirmedAt, row.NoRefresh, row.Expires
		if err := k.put(&cli, t); err != nil {
			return err
		}
		return s.put(ctx, cli)
	})
}

func (s *Service) put(ctx context.Context, row store.WebSession) error {
	err := s.cfg.Store.ReplaceWebSession(ctx, row.IDHash, row, s.cfg.Now().Add(replacedAfter))
	if err == nil {
		s.update(row)
	}
	return err
}

// update lets what is remembered of a session be as it is stored.
func (s *Service) update(row store.WebSession) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.active[row.IDHash]; a != nil {
		a.row = row
	}
}
