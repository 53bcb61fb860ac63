package login

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/wire"
)

const (
	// replacedAfter is how long an id token still counts after a refresh has replaced it: a session that was allowed
	// with it is opened within 30 s.
	replacedAfter = time.Minute
	// tellTime bounds how long a sign-out waits for the signer.
	tellTime = 2 * time.Second
)

// SignOutAll ends all sign-ins of a person, in browsers and command lines, because the administrator by says so. It
// gives their number. API tokens are not sign-ins and stay. The reason goes into the log. The person may sign in again,
// as long as the provider lets them.
func (s *Service) SignOutAll(ctx context.Context, p, by id.Principal, reason string) (int, error) {
	ctx = context.WithoutCancel(ctx) // begun, it is done
	gone, err := s.cfg.Store.EndWebSessionsOf(ctx, p)
	for _, row := range gone {
		s.endedBy(ctx, row, "an administrator signed you out", map[string]string{"by": by.String(), "reason": reason})
	}
	return len(gone), err
}

// tellSigner closes at the signer the sign-ins that have ended here. A sign-out is not refused because the signer does
// not answer: what it was not told stays in the store, and Run tries again each second, also after a restart.
func (s *Service) tellSigner(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tellTime)
	defer cancel()
	tokens, err := s.cfg.Store.SignOuts(ctx, s.cfg.Now())
	for _, t := range tokens {
		one := s.cfg.SignOut(ctx, wire.Hash(t))
		if one == nil {
			one = s.cfg.Store.SignedOut(ctx, t)
		}
		if err = errors.Join(err, one); one != nil && errkind.KindOf(one) != errkind.TooMany {
			break // neither signer nor database will take the next one
		}
	}
	s.untold(err)
}

// tellNow tells the signer before a sign-out is answered. If the signer did not answer the last time, only Run tries.
func (s *Service) tellNow(ctx context.Context) {
	s.mu.Lock()
	silent := s.saidUntold
	s.mu.Unlock()
	if !silent {
		s.tellSigner(ctx)
	}
}

// untold logs that the signer could not be told, once until it can be again.
func (s *Service) untold(err error) {
	s.mu.Lock()
	said := s.saidUntold
	s.saidUntold = err != nil
	s.mu.Unlock()
	switch {
	case err == nil && said:
		s.cfg.Log.Info("the signer has been told of every sign-out")
	case err != nil && !said:
		text, _, _ := errkind.ForPeople(err)
		s.cfg.Log.Error("the signer was not told of a sign-out, so it still accepts that sign-in; this is tried again",
			slog.String("why", text), slog.Any("error", err))
	}
}
