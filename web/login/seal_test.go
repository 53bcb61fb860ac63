package login

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/pending"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/internal/testenv"
)

// stored reports whether the files of the database have some bytes.
func (s *site) stored(what []byte) bool {
	s.t.Helper()
	for _, end := range []string{"", "-wal"} {
		raw, err := os.ReadFile(s.file + end)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			s.t.Fatal(err)
		}
		if bytes.Contains(raw, what) {
			return true
		}
	}
	return false
}

func (s *site) row(hash [32]byte) store.WebSession {
	s.t.Helper()
	row, err := s.db.WebSession(s.t.Context(), hash)
	if err != nil {
		s.t.Fatal(err)
	}
	return row
}

func (s *site) secret(b *testenv.Browser) string {
	s.t.Helper()
	c, err := s.request(b).Cookie(s.cookieName())
	if err != nil {
		s.t.Fatal(err)
	}
	return c.Value
}

func TestTokensAreSealedInTheDatabaseAndErasedAtSignOut(t *testing.T) {
	s := newSite(t)
	b := s.signIn(s.browser())
	tok, web := s.cli(b), s.who(b)
	var secrets, erased [][]byte
	for range 2 { // as it began, and after a refresh
		for _, row := range []store.WebSession{s.row(web.hash), s.row(pending.Hash(tok.Bearer))} {
			k, ok := s.keyOf(row)
			got, err := k.get(row)
			if !ok || err != nil || got.ID == "" {
				t.Fatalf("got %+v, %v, %v", got, ok, err)
			}
			claims := strings.Split(got.ID, ".")[1]
			proof := k.proof()
			secrets = append(secrets, k[:], proof[:], []byte(claims), []byte(claims[10:60]))
			erased = append(erased, row.Tokens, row.SealedKey)
			if got.Refresh != "" {
				secrets = append(secrets, []byte(got.Refresh))
			}
		}
		s.clock.forward(time.Minute)
		s.refresh(t.Context(), web.hash)
	}
	for i, secret := range append(secrets, []byte(s.secret(b)), []byte(tok.Bearer)) {
		if s.stored(secret) {
			t.Errorf("secret %d is in the database: %q", i, secret)
		}
	}
	if !s.stored(erased[len(erased)-1]) {
		t.Error("sealed bytes are not found, so this test shows nothing")
	}
	if err := s.endAllOf(s.request(b), web.Person.ID, ""); err != nil {
		t.Fatal(err)
	}
	for i, bytes := range erased {
		if s.stored(bytes) {
			t.Errorf("sealed bytes %d are still there after the sign-out", i)
		}
	}
	if len(s.keys) > 0 {
		t.Errorf("%d keys of sign-ins that ended are in memory", len(s.keys))
	}
}

func TestEvidenceOpensWithTheSecretOfItsSessionAlone(t *testing.T) {
	s := newSite(t)
	b := s.signIn(s.browser())
	tok, web := s.cli(b), s.who(b)
	other := s.signIn(s.browser())
	row := s.row(web.hash)
	got, err := EvidenceOf(row, s.secret(b), "")
	if err != nil || got.IDToken != web.Evidence.IDToken || got.Session != web.Evidence.Session {
		t.Errorf("its own: got %+v, %v", got, err)
	}
	for what, secret := range map[string]string{
		"none":               "",
		"another browser's":  s.secret(other),
		"the command line's": tok.Bearer,
	} {
		if got, err := EvidenceOf(row, secret, ""); err == nil {
			t.Errorf("%s: got %+v", what, got)
		}
	}
	cli, err := s.Who(bearer(tok.Bearer))
	if err != nil || cli.Evidence.IDToken != got.IDToken || cli.Evidence.Session != got.Session {
		t.Errorf("the command line of the same sign-in: got %+v, %v", cli, err)
	}
	if two := s.who(other); two.Evidence.Session == got.Session {
		t.Error("two sign-ins have the same web session at the signer")
	}
}

func TestACommandLineInheritsWhenItsBrowserSignsInAgain(t *testing.T) {
	s := newSite(t)
	b := s.signIn(s.browser())
	tok, before := s.cli(b), s.who(b)
	b.Open(s.url + "/login/builtin?next=/machines") // the provider knows the browser still
	if after := s.who(b); after.Evidence.Session == before.Evidence.Session {
		t.Error("the new sign-in has the key of the old one")
	}
	cli, err := s.Who(bearer(tok.Bearer))
	if err != nil || !s.row(cli.hash).HasRefresh {
		t.Fatalf("the command line did not take the refresh token over: %v", err)
	}
	s.clock.forward(time.Minute)
	s.refresh(t.Context(), cli.hash)
	if again, err := s.Who(bearer(tok.Bearer)); err != nil || again.Evidence.IDToken == cli.Evidence.IDToken {
		t.Errorf("it was not refreshed: %v", err)
	}
}
