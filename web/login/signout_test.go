package login

import (
	"net/http"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/audit"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/idp"
)

func TestEachEndOfASignInIsToldToTheSigner(t *testing.T) {
	for name, end := range map[string]func(s *site, who Identity){
		"signed out by the person": func(s *site, _ Identity) { s.signOut(s.last) },
		"signed out at the provider": func(s *site, who Identity) {
			if err := s.endAllOf(s.request(s.last), who.Person.ID, ""); err != nil {
				s.t.Fatal(err)
			}
		},
		"idle": func(s *site, _ Identity) {
			s.clock.forward(s.cfg.Idle)
			s.expire(s.t.Context())
		},
		"expired, and not used since the gateway started": func(s *site, _ Identity) {
			s.clock.forward(s.cfg.Life)
			s.active = map[[32]byte]*activity{}
			s.sweep(s.t.Context())
		},
		"the person was disabled": func(s *site, who Identity) {
			if err := s.idp.Users().Change("technician", func(u *idp.User) error { u.Disabled = true; return nil }); err != nil {
				s.t.Fatal(err)
			}
			s.refresh(s.t.Context(), who.hash)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.last = s.signIn(s.browser())
			who := s.who(s.last)
			if s.closedAtSigner(who.Evidence) {
				t.Fatal("it was closed before its end")
			}
			end(s, who)
			if !s.closedAtSigner(who.Evidence) {
				t.Error("the signer was not told")
			}
		})
	}
}

func TestAnAdministratorSignsAPersonOutEverywhere(t *testing.T) {
	s := newSite(t)
	b, other := s.signIn(s.browser()), s.signIn(s.browser())
	tok, who := s.cli(b), s.who(b)
	admin := id.Principal{Issuer: who.Person.ID.Issuer, Subject: "ada"}
	if n, err := s.SignOutAll(t.Context(), admin, admin, "a mistake"); n != 0 || err != nil {
		t.Errorf("somebody who is not signed in: got %d, %v", n, err)
	}
	s.who(b)
	if n, err := s.SignOutAll(t.Context(), who.Person.ID, admin, "lost laptop"); n != 3 || err != nil {
		t.Errorf("got %d, %v; want two browsers and a command line", n, err)
	}
	for what, r := range map[string]*http.Request{
		"a browser":      s.request(b),
		"another":        s.request(other),
		"a command line": bearer(tok.Bearer),
	} {
		if _, err := s.Who(r); err == nil {
			t.Errorf("%s is still signed in", what)
		}
	}
	if got := s.why(who.Key); got != "an administrator signed you out" || !s.closedAtSigner(who.Evidence) {
		t.Errorf("what the browser opened ended %q", got)
	}
	logged := 0
	for _, e := range s.events {
		if e.Type == audit.SignedOut && e.Fields["by"] == admin.String() && e.Fields["reason"] == "lost laptop" {
			logged++
		}
	}
	if logged != 3 {
		t.Errorf("%d entries of the log name the administrator and the reason, want 3", logged)
	}
}

func TestASignOutSucceedsWhileTheSignerIsAway(t *testing.T) {
	s := newSite(t)
	b := s.signIn(s.browser())
	who := s.who(b)
	s.deaf = true
	if s.signOut(b); b.At.Path != "/signin" {
		t.Errorf("after sign-out: got %s (%d)", b.At, b.Status)
	}
	if _, err := s.Who(s.request(b)); err == nil {
		t.Error("the browser is still signed in")
	}
	// The gateway restarts, and the signer answers again: what it was not told is in the database.
	again, err := New(s.cfg)
	if err != nil {
		t.Fatal(err)
	}
	again.tellSigner(t.Context())
	if s.closedAtSigner(who.Evidence) {
		t.Fatal("the signer answered although it is away")
	}
	s.mu.Lock()
	s.deaf = false
	s.mu.Unlock()
	again.tellSigner(t.Context())
	if !s.closedAtSigner(who.Evidence) {
		t.Error("the signer was not told once it answered again")
	}
	if left, err := s.db.SignOuts(t.Context(), s.clock.now().Add(time.Hour)); len(left) > 0 || err != nil {
		t.Errorf("left to tell: %d, %v", len(left), err)
	}
}

func TestARefreshClosesTheOlderIDToken(t *testing.T) {
	s := newSite(t)
	b := s.signIn(s.browser())
	tok, first := s.cli(b), s.who(b)
	s.clock.forward(time.Minute)
	s.refresh(t.Context(), first.hash)
	second := s.who(b)
	cli, err := s.Who(bearer(tok.Bearer))
	if err != nil || cli.Evidence.IDToken != second.Evidence.IDToken || second.Evidence.IDToken == first.Evidence.IDToken {
		t.Fatalf("browser and command line have not the new id token: %v", err)
	}
	s.tellSigner(t.Context())
	if s.closedAtSigner(first.Evidence) {
		t.Error("a session that was allowed with the older token can no longer be opened with it")
	}
	s.clock.forward(replacedAfter)
	s.tellSigner(t.Context())
	if !s.closedAtSigner(first.Evidence) || s.closedAtSigner(second.Evidence) {
		t.Errorf("closed: the older %v, the newer %v", s.closedAtSigner(first.Evidence), s.closedAtSigner(second.Evidence))
	}
	s.refresh(t.Context(), first.hash)
	third := s.who(b)
	if err := s.endAllOf(s.request(b), first.Person.ID, ""); err != nil {
		t.Fatal(err)
	}
	if !s.closedAtSigner(second.Evidence) || !s.closedAtSigner(third.Evidence) {
		t.Error("a sign-out leaves the token open that was replaced a moment before")
	}
}

func TestASignInIsClosedWithItsLastSession(t *testing.T) {
	s := newSite(t)
	b := s.signIn(s.browser())
	tok, web := s.cli(b), s.who(b)
	if err := s.tryEnd(t.Context(), web.hash, "signed out"); err != nil {
		t.Fatal(err)
	}
	if s.closedAtSigner(web.Evidence) {
		t.Error("the command line, which has the same id token, can open nothing")
	}
	cli, err := s.Who(bearer(tok.Bearer))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.tryEnd(t.Context(), cli.hash, "signed out"); err != nil {
		t.Fatal(err)
	}
	if !s.closedAtSigner(web.Evidence) {
		t.Error("the signer was not told after the last one")
	}
}
