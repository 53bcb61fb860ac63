package login

import (
	"context"
	"errors"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/idp"
	"github.com/sallyport/sallyport/internal/pending"
	"github.com/sallyport/sallyport/internal/store"
)

const tokenText = PrefixToken + "a-token-of-a-test"

// addToken gives the technician, who has signed in once, a token.
func (s *site) addToken(edit func(*store.APIToken)) id.Principal {
	s.t.Helper()
	who := s.who(s.signIn(s.browser())).Person.ID
	now := s.clock.now()
	t := store.APIToken{ID: "t-1", Name: "job", Hash: pending.Hash(tokenText), Principal: who, Scopes: []string{"session"}, Created: now, Expires: now.Add(24 * time.Hour)}
	if edit != nil {
		edit(&t)
	}
	if err := s.db.AddAPIToken(s.t.Context(), t); err != nil {
		s.t.Fatal(err)
	}
	return who
}

func TestATokenIsItsPersonWithoutASecondFactor(t *testing.T) {
	s := newSite(t)
	p := s.addToken(nil)
	who, err := s.Who(bearer(tokenText))
	if err != nil {
		t.Fatal(err)
	}
	if who.Person.ID != p || !who.Person.ViaToken || !who.Person.SecondFactorAt.IsZero() || who.Via != "token" || who.TokenID != "t-1" ||
		who.Evidence.APIToken != tokenText || who.Evidence.IDToken != "" || who.Evidence.ClientAddr != who.Person.Address.String() || who.Cookie {
		t.Errorf("got %+v", who)
	}
	if row, err := s.db.APIToken(t.Context(), "t-1"); err != nil || row.LastUsed.IsZero() {
		t.Errorf("last use: got %s, %v", row.LastUsed, err)
	}
	if who, err := s.Service.browser(bearer(tokenText)); err == nil {
		t.Errorf("a token answers for a person: %+v", who)
	}
}

func TestAMachineIsNotItsMaker(t *testing.T) {
	s := newSite(t)
	p := s.addToken(func(t *store.APIToken) { t.Machine = "inventory" })
	maker, err := s.db.Principal(t.Context(), p)
	if err != nil || len(maker.Groups) == 0 {
		t.Fatalf("the maker's groups: got %v, %v", maker.Groups, err)
	}
	who, err := s.Who(bearer(tokenText)) // the groups are for rules that close, and the policy opens nothing by them
	if err != nil || who.Person.Name != "machine:inventory" || who.Person.Machine != "inventory" || !slices.Equal(who.Person.Groups, maker.Groups) {
		t.Errorf("got %q in %v, %v, want machine:inventory with its maker's groups", who.Person.Name, who.Person.Groups, err)
	}
}

func TestATokenIsGoodFromItsNetworkUntilItEnds(t *testing.T) {
	for name, c := range map[string]struct {
		edit  func(*store.APIToken)
		from  string
		after time.Duration
		good  bool
	}{
		"from anywhere":               {nil, "203.0.113.9:1", 0, true},
		"from its network":            {func(t *store.APIToken) { t.Network = "198.51.100.0/24" }, "198.51.100.7:1", 0, true},
		"from its network, as mapped": {func(t *store.APIToken) { t.Network = "198.51.100.0/24" }, "[::ffff:198.51.100.7]:1", 0, true},
		"from elsewhere":              {func(t *store.APIToken) { t.Network = "198.51.100.0/24" }, "198.51.101.7:1", 0, false},
		"from nowhere":                {func(t *store.APIToken) { t.Network = "198.51.100.0/24" }, "", 0, false},
		"with a network that is none": {func(t *store.APIToken) { t.Network = "home" }, "198.51.100.7:1", 0, false},
		"a moment before its end":     {nil, "203.0.113.9:1", 24*time.Hour - time.Second, true},
		"at its end":                  {nil, "203.0.113.9:1", 24 * time.Hour, false},
		"revoked":                     {func(t *store.APIToken) { t.Revoked = t.Created }, "203.0.113.9:1", 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.addToken(c.edit)
			s.clock.forward(c.after)
			r := bearer(tokenText)
			r.RemoteAddr = c.from
			if who, err := s.Who(r); (err == nil) != c.good || err != nil && errkind.KindOf(err) != errkind.Signin {
				t.Errorf("got %+v, %v", who, err)
			}
		})
	}
}

func TestWhatIsNoTokenIsNoToken(t *testing.T) {
	s := newSite(t)
	s.addToken(nil)
	hash := pending.Hash(tokenText)
	for _, text := range []string{PrefixToken, tokenText + "x", strings.TrimPrefix(tokenText, PrefixToken), PrefixCLI + "a-token-of-a-test", PrefixToken + string(hash[:]), "t-1"} {
		if who, err := s.Who(bearer(text)); err == nil {
			t.Errorf("%q: got %+v", text, who)
		}
	}
	r := httptest.NewRequest("GET", "/", nil)
	r.SetBasicAuth("x", tokenText)
	if _, err := s.Who(r); err == nil {
		t.Error("a token as a password is taken")
	}
}

func TestATokenSleepsWhileItsPersonStaysAway(t *testing.T) {
	s := newSite(t)
	s.addToken(func(t *store.APIToken) { t.Expires = t.Created.Add(90 * 24 * time.Hour) })
	s.clock.forward(unseen - time.Second)
	if _, err := s.Who(bearer(tokenText)); err != nil {
		t.Errorf("on the thirtieth day: %v", err)
	}
	s.clock.forward(2 * time.Second)
	if _, err := s.Who(bearer(tokenText)); err == nil || !strings.Contains(err.Error(), "sleeps") {
		t.Errorf("after thirty days: got %v", err)
	}
	s.signIn(s.browser())
	if _, err := s.Who(bearer(tokenText)); err != nil {
		t.Errorf("after the person signed in: %v", err)
	}
}

func TestATokenDiesWithItsUser(t *testing.T) {
	for name, leave := range map[string]func(*site) error{
		"removed": func(s *site) error { return s.idp.Users().Remove("technician") },
		"disabled": func(s *site) error {
			return s.idp.Users().Change("technician", func(u *idp.User) error { u.Disabled = true; return nil })
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			var told []string
			s.cfg.RevokeToken = func(_ context.Context, id string) error { told = append(told, id); return nil }
			s.addToken(nil)
			if _, err := s.Who(bearer(tokenText)); err != nil {
				t.Fatal(err)
			}
			if err := leave(s); err != nil {
				t.Fatal(err)
			}
			s.checkTokens(t.Context())
			if got := s.why(TokenKey("t-1")); got != "its person was removed or disabled at the provider" {
				t.Errorf("what it had open: ended %q", got)
			}
			if row, err := s.db.APIToken(t.Context(), "t-1"); err != nil || row.Revoked.IsZero() || len(told) != 1 {
				t.Errorf("revoked %s, %v; the signer heard of %v", row.Revoked, err, told)
			}
			if _, err := s.Who(bearer(tokenText)); err == nil {
				t.Error("the token is still good")
			}
		})
	}
}

func TestATokenOfSomebodyWhoLeftIsRefusedAtItsFirstUse(t *testing.T) {
	s := newSite(t)
	down := errors.New("the signer is away")
	s.cfg.RevokeToken = func(context.Context, string) error { return down }
	s.addToken(nil)
	if err := s.idp.Users().Remove("technician"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := s.Who(bearer(tokenText)); err == nil {
			t.Fatal("the token is good")
		}
	}
	down = nil
	if _, err := s.Who(bearer(tokenText)); err == nil {
		t.Fatal("the token is good")
	}
	if row, _ := s.db.APIToken(t.Context(), "t-1"); row.Revoked.IsZero() {
		t.Error("the signer came back, and the token was not revoked")
	}
}

func TestWhatATokenHasOpenEndsWithTheToken(t *testing.T) {
	s := newSite(t)
	s.addToken(nil)
	if _, err := s.Who(bearer(tokenText)); err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	s.inUse[TokenKey("t-1")] = true
	s.mu.Unlock()
	s.clock.forward(24*time.Hour - time.Second)
	s.checkTokens(t.Context())
	if got := s.why(TokenKey("t-1")); got != "" {
		t.Errorf("a second before: ended %q", got)
	}
	s.clock.forward(time.Second)
	s.checkTokens(t.Context())
	if got := s.why(TokenKey("t-1")); got != "the API token has expired" {
		t.Errorf("at its end: ended %q", got)
	}
}
