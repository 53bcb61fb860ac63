package login

import (
	"context"
	"errors"
	"log/slog"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/store"
)

// A command line has no refresh token of its own: a token that rotates cannot be shared. What the provider says of the
// browser's session it came of holds for it too, and when the browser's ends before the day is over, it takes the
// refresh token over. Otherwise nobody would ask the provider about a command line for the rest of its life.

// eachOf calls f for the command lines that came from a browser's sign-in and have nothing newer.
func (s *Service) eachOf(ctx context.Context, web store.WebSession, f func(store.WebSession) error) error {
	all, err := s.cfg.Store.WebSessionsOf(ctx, web.Principal)
	for _, row := range all {
		if row.Kind != store.KindCLI || row.RefreshToken != "" || row.IDHash == web.IDHash || !sameSignIn(row, web) {
			continue
		}
		if e := f(row); errkind.KindOf(e) != errkind.NotFound { // ended meanwhile
			err = errors.Join(err, e)
		}
	}
	return err
}

// endWithHeirs ends a sign-in that does not stand, and the command lines that came of it: nobody else would hear of it.
func (s *Service) endWithHeirs(ctx context.Context, web store.WebSession, why string) {
	err := s.eachOf(ctx, web, func(cli store.WebSession) error { s.end(ctx, cli.IDHash, why); return nil })
	if err != nil {
		s.cfg.Log.Error("command lines of a sign-in that has ended could not be read", slog.Any("error", err))
	}
	s.end(ctx, web.IDHash, why)
}

// inherit gives the refresh token of a session that has ended to the newest command line that came of the same sign-in.
func (s *Service) inherit(ctx context.Context, web store.WebSession) error {
	if web.RefreshToken == "" || !s.cfg.Now().Before(web.Expires) {
		return nil
	}
	given := false
	return s.eachOf(ctx, web, func(cli store.WebSession) error {
		if given {
			return nil
		}
		given = true
		cli.RefreshToken, cli.IDToken, cli.AccessToken, cli.ConfirmedAt = web.RefreshToken, web.IDToken,
			web.AccessToken, web.ConfirmedAt
		cli.TokenHash = web.TokenHash
		return s.put(ctx, cli)
	})
}
