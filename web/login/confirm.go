package login

import (
	"context"
	"encoding/hex"
	"log/slog"
	"time"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/store"
)

// The signer accepts an id token for no_refresh_at_most after it was issued, whatever the gateway claims. So a sign-in
// without a refresh token ends here at that time too, and one with a refresh token is refreshed before its evidence is
// too old, even if it was not used since the gateway started.

// identifyTime bounds how long a sign-in waits for the signer.
const identifyTime = 5 * time.Second

// identify shows an id token to the signer now, which binds it to this sign-in, and asks userinfo if it needs to: an
// access token may expire in minutes. If that fails, the signer does both when the person opens a session.
func (s *Service) identify(ctx context.Context, row store.WebSession, k signInKey) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), identifyTime)
	defer cancel()
	by, err := k.evidence(row, row.Addr)
	if err == nil {
		err = s.cfg.Identify(ctx, by)
	}
	if err != nil {
		s.cfg.Log.Warn("the signer could not learn who signed in", slog.String("provider", row.Provider),
			slog.Any("error", err))
	}
}

// withoutRefresh limits a sign-in that the provider will not confirm again.
func (s *Service) withoutRefresh(row *store.WebSession) {
	row.NoRefresh = true
	if end := row.ConfirmedAt.Add(s.noRefreshAtMost(row.Provider)); end.Before(row.Expires) {
		row.Expires = end
	}
}

// noRefreshAtMost is the provider's limit, and zero for a provider that is no longer configured.
func (s *Service) noRefreshAtMost(provider string) time.Duration {
	p, err := s.cfg.Providers.Named(provider)
	if err != nil {
		return 0
	}
	return p.NoRefreshAtMost()
}

// retryConfirm is the pause before a provider that did not answer is asked again for a waiting request.
const retryConfirm = time.Minute

// unasked is the reason for the end of a sign-in whose refresh token is gone.
const unasked = "the provider can no longer be asked about it"

// confirmed gives a session whose evidence the signer will still accept for a while, if the provider answers. It ends a
// session that the provider can no longer be asked about.
func (s *Service) confirmed(ctx context.Context, row store.WebSession, now time.Time) (store.WebSession, error) {
	most := s.noRefreshAtMost(row.Provider)
	if now.Sub(row.ConfirmedAt) < most-most/4 || row.NoRefresh || !s.mayTry(row.IDHash, now) {
		return row, nil
	}
	// Without the caller's cancellation, because a new refresh token must not be lost.
	asked := s.refreshOf(context.WithoutCancel(ctx), row, now.Add(-most/2))
	row, err := s.cfg.Store.WebSession(ctx, row.IDHash)
	if now.Sub(row.ConfirmedAt) < most-most/4 {
		s.mayTryAgain(row.IDHash)
	}
	if err == nil && !asked && now.Sub(row.ConfirmedAt) > most {
		s.end(ctx, row.IDHash, unasked)
		return row, errOver
	}
	return row, err
}

// mayTry allows one request to the provider in retryConfirm.
func (s *Service) mayTry(hash [32]byte, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.active[hash]
	if a == nil || now.Sub(a.tried) < retryConfirm {
		return false
	}
	a.tried = now
	return true
}

func (s *Service) mayTryAgain(hash [32]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.active[hash]; a != nil {
		a.tried = time.Time{}
	}
}

// refreshOf refreshes the sign-in that a session belongs to, unless it was confirmed after since. It reports whether
// there is a refresh token at all.
func (s *Service) refreshOf(ctx context.Context, row store.WebSession, since time.Time) bool {
	holder, ok, err := s.holder(ctx, row)
	if err != nil || !ok {
		return err != nil // an error does not prove that there is none
	}
	_, _, _ = s.flight.Do(hex.EncodeToString(holder.IDHash[:]), func() (any, error) {
		now, err := s.cfg.Store.WebSession(ctx, holder.IDHash)
		if err == nil && now.ConfirmedAt.After(since) {
			return nil, nil
		}
		s.refresh(ctx, holder.IDHash)
		return nil, nil
	})
	return true
}

// holder finds the session with the refresh token of a sign-in: the session itself, or for a command line the browser
// session that created it. A browser that has been idle for too long ends here, which hands its refresh token on.
func (s *Service) holder(ctx context.Context, row store.WebSession) (store.WebSession, bool, error) {
	if row.HasRefresh || row.Kind != store.KindCLI {
		return row, row.HasRefresh, nil
	}
	all, err := s.cfg.Store.WebSessionsOf(ctx, row.Principal)
	for _, h := range all {
		if !h.HasRefresh || !sameSignIn(h, row) {
			continue
		}
		if why := s.over(h, s.cfg.Now()); why != "" {
			s.end(ctx, h.IDHash, why)
			return s.heir(ctx, row)
		}
		return h, true, nil
	}
	return row, false, err
}

// heir finds the session that has taken over a refresh token.
func (s *Service) heir(ctx context.Context, row store.WebSession) (store.WebSession, bool, error) {
	all, err := s.cfg.Store.WebSessionsOf(ctx, row.Principal)
	for _, h := range all {
		if h.HasRefresh && h.Kind == store.KindCLI && sameSignIn(h, row) {
			return h, true, nil
		}
	}
	return row, false, err
}

// sameSignIn reports whether two sessions came from one sign-in.
func sameSignIn(a, b store.WebSession) bool { return a.KeyID == b.KeyID }

// rotate stores a new refresh token and nothing else.
func (s *Service) rotate(ctx context.Context, row store.WebSession, k signInKey, t tokens) {
	err := k.put(&row, t)
	if err == nil {
		err = s.put(ctx, row)
	}
	if err != nil && errkind.KindOf(err) != errkind.NotFound {
		s.cfg.Log.Error("a new refresh token could not be stored", slog.Any("error", err))
	}
}
