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
		if row.Kind != store.KindCLI || row.HasRefresh || row.IDHash == web.IDHash || !sameSignIn(row, web) {
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

// handOver lets a command line inherit from a session that is no longer in the store.
func (s *Service) handOver(ctx context.Context, web store.WebSession) {
	if err := s.inherit(ctx, web); err != nil {
		s.cfg.Log.Error("a command line could not take its browser's refresh token over", slog.Any("error", err))
	}
}

// inherit gives the tokens of a session that has ended to the newest command line that came of the same sign-in. They
// stay sealed: both have the same key.
func (s *Service) inherit(ctx context.Context, web store.WebSession) error {
	if !web.HasRefresh || !s.cfg.Now().Before(web.Expires) {
		return nil
	}
	given := false
	return s.eachOf(ctx, web, func(cli store.WebSession) error {
		if given {
			return nil
		}
		given = true
		cli.Tokens, cli.HasRefresh, cli.TokenHash, cli.ConfirmedAt = web.Tokens, true, web.TokenHash, web.ConfirmedAt
		return s.put(ctx, cli)
	})
}
