package login

import (
	"context"
	"errors"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/store"
)

// A command line has no refresh token of its own: a token that rotates cannot be shared. What the provider says of the
// browser's session it came of holds for it too, and when the browser is closed before the day is over, it takes the
// refresh token over. Otherwise nobody would ask the provider about a command line for the rest of its life.

// eachOf calls f with the command lines that came of a browser's sign-in and know nothing newer.
func (s *Service) eachOf(ctx context.Context, web store.WebSession, f func(store.WebSession) error) error {
	if web.SID == "" { // which sign-in a session came of is not known then
		return nil
	}
	all, err := s.cfg.Store.WebSessionsOf(ctx, web.Principal)
	for _, row := range all {
		if row.Kind != store.KindCLI || row.Provider != web.Provider || row.SID != web.SID || row.RefreshToken != "" || row.IDHash == web.IDHash {
			continue
		}
		if e := f(row); errkind.KindOf(e) != errkind.NotFound { // ended meanwhile
			err = errors.Join(err, e)
		}
	}
	return err
}

// inherit gives an idle browser's refresh token to the newest command line that came of it.
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
		cli.RefreshToken, cli.IDToken = web.RefreshToken, web.IDToken
		return s.put(ctx, cli)
	})
}
