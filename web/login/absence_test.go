package login

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/store"
)

// lose empties the provider's file, as after a restore without it, and returns a function that restores it.
func (s *site) lose() (find func()) {
	s.t.Helper()
	path := filepath.Join(s.people, "users.json")
	raw, err := os.ReadFile(path)
	if err != nil {
		s.t.Fatal(err)
	}
	write := func(text []byte) {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
	write([]byte("[]"))
	return func() { write(raw) }
}

func TestATokenWhosePersonIsMissingIsRefusedAndNotRevoked(t *testing.T) {
	s := newSite(t)
	told := 0
	s.cfg.RevokeToken = func(context.Context, string) error { told++; return nil }
	s.addToken(nil)
	find := s.lose()
	if _, err := s.Who(bearer(tokenText)); errkind.KindOf(err) != errkind.Unavailable {
		t.Errorf("got %v, want unavailable", err)
	}
	s.checkTokens(t.Context())
	if row, err := s.db.APIToken(t.Context(), "t-1"); err != nil || !row.Revoked.IsZero() || told != 0 {
		t.Errorf("revoked %s, %v; the signer was told %d times", row.Revoked, err, told)
	}
	find()
	if _, err := s.Who(bearer(tokenText)); err != nil {
		t.Errorf("once the people are back: got %v", err)
	}
}

func TestSessionsOfATokenContinueWhileItsPersonIsMissing(t *testing.T) {
	s := newSite(t)
	s.addToken(nil)
	if _, err := s.Who(bearer(tokenText)); err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	s.inUse[TokenKey("t-1")] = true
	s.mu.Unlock()
	s.lose()
	s.clock.forward(time.Minute)
	s.checkTokens(t.Context())
	if got := s.why(TokenKey("t-1")); got != "" {
		t.Errorf("ended %q", got)
	}
}

func TestASignInWhosePersonIsMissingIsNotEnded(t *testing.T) {
	s := newSite(t)
	b := s.signIn(s.browser())
	who := s.who(b)
	s.lose()
	s.clock.forward(time.Minute)
	s.refresh(t.Context(), who.hash)
	if got := s.why(who.Key); got != "" {
		t.Errorf("ended %q", got)
	}
	s.who(b)
}

func TestATokenOfAPersonWithoutARowIsRefusedForNow(t *testing.T) {
	s := newSite(t)
	s.addToken(func(t *store.APIToken) { t.Principal.Subject = "x" })
	if _, err := s.Who(bearer(tokenText)); errkind.KindOf(err) != errkind.Unavailable {
		t.Errorf("got %v, want unavailable", err)
	}
}
