package login

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/idp"
)

func TestARefreshTakesTheProvidersWordOnGroups(t *testing.T) {
	s := newSite(t)
	b := s.signIn(s.browser())
	who := s.who(b)
	if err := s.idp.Users().Change("technician", func(u *idp.User) error { u.Groups = []string{"elsewhere"}; return nil }); err != nil {
		t.Fatal(err)
	}
	s.clock.forward(time.Minute)
	s.refresh(t.Context(), who.hash)
	is := s.who(b)
	if len(is.Person.Groups) != 0 || is.Evidence.IDToken == who.Evidence.IDToken || is.Key != who.Key || !is.SignedInAt.Equal(who.SignedInAt) {
		t.Errorf("got %+v", is)
	}
	s.mu.Lock()
	changed := slices.Clone(s.changed)
	s.mu.Unlock()
	if !slices.Contains(changed, who.Person.ID) {
		t.Error("nobody was told that the groups are others now")
	}
}

func TestAProviderIsAskedAboutThoseWhoAreHere(t *testing.T) {
	s := newSite(t)
	b := s.signIn(s.browser())
	s.who(b)
	asked := func() string { s.asks.Wait(); return s.who(b).Evidence.IDToken }
	first := asked()
	s.askAgain(t.Context())
	if asked() != first {
		t.Error("the provider was asked again at once")
	}
	s.clock.forward(s.cfg.Refresh)
	s.askAgain(t.Context())
	if asked() == first {
		t.Error("the provider was not asked after the time for it")
	}
}

func TestARefreshTokenThatWasUsedElsewhereEndsTheSignIn(t *testing.T) {
	s := newSite(t)
	b := s.signIn(s.browser())
	who := s.who(b)
	row, err := s.db.WebSession(t.Context(), who.hash)
	if err != nil {
		t.Fatal(err)
	}
	s.refresh(t.Context(), who.hash) // row has the older refresh token still
	if err := s.db.ReplaceWebSession(t.Context(), row.IDHash, row, row.Expires); err != nil {
		t.Fatal(err)
	}
	s.refresh(t.Context(), who.hash)
	if got := s.why(who.Key); got != "the provider no longer confirms it" {
		t.Errorf("ended %q", got)
	}
}

func TestACommandLineKnowsWhatTheProviderSaidOfItsBrowser(t *testing.T) {
	s := newSite(t)
	b := s.signIn(s.browser())
	tok, web := s.cli(b), s.who(b)
	old, err := s.Who(bearer(tok.Bearer))
	if err != nil {
		t.Fatal(err)
	}
	s.clock.forward(time.Minute)
	s.refresh(t.Context(), web.hash)
	if is, err := s.Who(bearer(tok.Bearer)); err != nil || is.Evidence.IDToken == old.Evidence.IDToken || is.Evidence.IDToken != s.who(b).Evidence.IDToken {
		t.Errorf("after the browser's refresh: got evidence of before, %v", err)
	}
}

func TestACommandLineEndsWithTheSignInThatTheProviderTakesBack(t *testing.T) {
	for _, names := range []bool{true, false} { // not every provider names its sessions
		s := newSite(t)
		b := s.signIn(s.browser())
		web := s.who(b)
		row, err := s.db.WebSession(t.Context(), web.hash)
		if !names {
			row.SID = ""
		}
		if err = errors.Join(err, s.db.ReplaceWebSession(t.Context(), row.IDHash, row, row.Expires)); err != nil {
			t.Fatal(err)
		}
		cli, err := s.Who(bearer(s.cli(b).Bearer))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.idp.Users().Change("technician", func(u *idp.User) error { u.Disabled = true; return nil }); err != nil {
			t.Fatal(err)
		}
		s.refresh(t.Context(), web.hash)
		if got := s.why(cli.Key); got != "the provider no longer confirms it" {
			t.Errorf("sessions named %t: the command line ended %q", names, got)
		}
	}
}

func TestACommandLineIsAskedAboutWhenItsBrowserIsGone(t *testing.T) {
	for name, gone := range map[string]func(s *site, web Identity){
		"idle":       func(s *site, _ Identity) { s.clock.forward(s.cfg.Idle); s.expire(t.Context()) },
		"signed out": func(s *site, web Identity) { s.end(t.Context(), web.hash, "signed out") },
	} {
		s := newSite(t)
		b := s.signIn(s.browser())
		tok, web := s.cli(b), s.who(b)
		gone(s, web)
		if s.why(web.Key) == "" {
			t.Fatalf("%s: the browser's session has not ended", name)
		}
		cli, err := s.Who(bearer(tok.Bearer))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.idp.Users().Change("technician", func(u *idp.User) error { u.Disabled = true; return nil }); err != nil {
			t.Fatal(err)
		}
		s.clock.forward(s.cfg.Refresh)
		s.askAgain(t.Context())
		s.asks.Wait()
		if got := s.why(cli.Key); got != "the provider no longer confirms it" {
			t.Errorf("%s: the command line of somebody who was disabled: ended %q", name, got)
		}
	}
}

func TestASignInEndsByItself(t *testing.T) {
	for name, c := range map[string]struct {
		after time.Duration
		inUse bool
		want  string
	}{
		"nothing asked for an hour":             {time.Hour, false, "nothing was asked for 1h0m0s"},
		"nothing asked, but something is open":  {time.Hour, true, ""},
		"after twelve hours, whatever is open":  {12 * time.Hour, true, "it has expired"},
		"a moment before the hour":              {time.Hour - time.Second, false, ""},
		"a moment before the end, with a shell": {12*time.Hour - 2*time.Second, true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			who := s.who(s.signIn(s.browser()))
			s.mu.Lock()
			s.inUse[who.Key] = c.inUse
			s.mu.Unlock()
			s.clock.forward(c.after)
			s.expire(t.Context())
			if got := s.why(who.Key); got != c.want {
				t.Errorf("ended %q, want %q", got, c.want)
			}
		})
	}
}

func TestWhatExpiredWithoutBeingUsedIsDeleted(t *testing.T) {
	s := newSite(t)
	who := s.who(s.signIn(s.browser()))
	s.clock.forward(s.cfg.Life)
	s.sweep(t.Context())
	if _, err := s.db.WebSession(t.Context(), who.hash); errkind.KindOf(err) != errkind.NotFound {
		t.Errorf("got %v, want it gone", err)
	}
}
