package login

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"time"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/oidcauth"
	"github.com/sallyport/sallyport/internal/pending"
	"github.com/sallyport/sallyport/internal/signer"
	"github.com/sallyport/sallyport/internal/store"
)

// unseen is how long a person may stay away until their tokens sleep. A provider that cannot be asked about people lets us
// know of those who have left only in this way: they do not sign in any more.
const unseen = 30 * 24 * time.Hour

// askPerson is how old the provider's word on a token's person may be while the token is in use.
const askPerson = 5 * time.Second

// errUnheard refuses a token for now: an unknown person has not necessarily left.
var errUnheard = errkind.New(errkind.Unavailable,
	"the person of this API token is unknown, so the token is refused for now; it is not revoked").
	WithHint("The gateway's administrator must check that the provider's users were restored. " +
		"If the person has left, revoke the token.")

// tokenUse is what is remembered of a token while it is used.
type tokenUse struct {
	row   store.APIToken
	seen  time.Time
	asked time.Time // when the provider was last asked about its person
}

// token knows a machine, or somebody's own program. Groups are those of its person as last seen; to a machine those of whoever made
// its token open nothing, but rules that close something to them close it to the machine too.
func (s *Service) token(ctx context.Context, secret string, addr netip.Addr) (Identity, error) {
	t, err := s.cfg.Store.APITokenByHash(ctx, pending.Hash(secret))
	if err != nil {
		return Identity{}, missing(err, errToken)
	}
	now := s.cfg.Now()
	if !t.Live(now) {
		return Identity{}, errToken
	}
	if t.Network != "" {
		n, err := netip.ParsePrefix(t.Network)
		if err != nil || !n.Contains(addr.Unmap()) {
			return Identity{}, errkind.New(errkind.Signin, "this API token is not good from "+addr.String()).WithHint("It was made for another network.")
		}
	}
	who, err := s.cfg.Store.Principal(ctx, t.Principal)
	if err != nil {
		return Identity{}, missing(err, errUnheard)
	}
	if err := s.stillThere(ctx, t, who, now); err != nil {
		return Identity{}, err
	}
	if now.Sub(t.LastUsed) > time.Minute {
		if err := s.cfg.Store.TouchAPIToken(ctx, t.ID, now); err != nil {
			s.cfg.Log.Warn("last use of an API token was not stored", slog.Any("error", err))
		}
	}
	return Identity{
		Person:   authz.Person{ID: t.Principal, Name: tokenName(who, t), Groups: who.Groups, Machine: t.Machine, ViaToken: true, Address: addr},
		Evidence: signer.Evidence{APIToken: secret, ClientAddr: text(addr)}, Key: TokenKey(t.ID), Via: ViaToken, TokenID: t.ID, Scopes: t.Scopes, SignedInAt: t.Created, Expires: t.Expires,
	}, nil
}

// TokenKey is Identity.Key of an API token.
func TokenKey(tokenID string) string { return "token:" + tokenID }

func tokenName(who store.Principal, t store.APIToken) string {
	if t.Machine != "" {
		return authz.MachineName(t.Machine) // what a machine does is not done by who made its token
	}
	for _, n := range []string{who.Name, t.Name} {
		if n != "" {
			return n
		}
	}
	return t.Principal.Subject
}

// stillThere refuses a token whose person has left, and one whose person has not been seen for long.
func (s *Service) stillThere(ctx context.Context, t store.APIToken, who store.Principal, now time.Time) error {
	if now.Sub(who.SeenAt) > unseen {
		return errkind.New(errkind.Signin, "this API token sleeps, because its person has not signed in for 30 days").
			WithHint("Once they have signed in it works again.")
	}
	s.mu.Lock()
	u := s.tokens[t.ID]
	if u == nil {
		u = &tokenUse{}
		s.tokens[t.ID] = u
	}
	u.row, u.seen = t, now
	ask := now.Sub(u.asked) >= askPerson
	s.mu.Unlock()
	if ask {
		left, err := s.left(ctx, t.Principal)
		if left {
			s.dropTokens(ctx, t.Principal)
			return errToken
		}
		if errors.Is(err, oidcauth.ErrUnknownPerson) {
			return errUnheard
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if ask {
		u.asked = now
	}
	return nil
}

// left asks a person's provider whether they have left. Only a clear yes counts.
func (s *Service) left(ctx context.Context, who id.Principal) (bool, error) {
	for _, p := range s.cfg.Providers.All() {
		if p.Issuer() != who.Issuer {
			continue
		}
		left, err := p.Left(ctx, who.Subject)
		if err != nil {
			s.cfg.Log.Warn("the provider did not say whether the person of an API token is still there", slog.String("provider", p.Name()), slog.Any("error", err))
		}
		return left, err
	}
	return false, nil
}

// leftForGood is left for running sessions: a provider that does not answer ends nothing.
func (s *Service) leftForGood(ctx context.Context, who id.Principal) bool {
	left, err := s.left(ctx, who)
	return left && err == nil
}

// dropTokens lets a person's tokens die with them, and ends what they have open. What the signer cannot be told now is told
// at the token's next use.
func (s *Service) dropTokens(ctx context.Context, who id.Principal) {
	const why = "its person was removed or disabled at the provider"
	ctx = context.WithoutCancel(ctx) // begun, it is done
	all, err := s.cfg.Store.APITokens(ctx, who)
	if err != nil {
		s.cfg.Log.Error("tokens of somebody who has left could not be read", slog.Any("error", err))
	}
	for _, t := range all {
		s.closeToken(t.ID, why)
		if !t.Live(s.cfg.Now()) {
			continue
		}
		err := s.cfg.RevokeToken(ctx, t.ID)
		if err == nil || errkind.KindOf(err) == errkind.NotFound {
			err = s.cfg.Store.RevokeAPIToken(ctx, t.ID, s.cfg.Now())
		}
		if err != nil {
			s.cfg.Log.Error("an API token of somebody who has left could not be revoked", slog.String("token", t.ID), slog.Any("error", err))
		}
	}
}

func (s *Service) closeToken(tokenID, why string) {
	s.mu.Lock()
	delete(s.tokens, tokenID)
	s.mu.Unlock()
	s.cfg.OnSignedOut(TokenKey(tokenID), why)
}

// checkTokens ends what is open under tokens that have expired, or whose person has left meanwhile.
func (s *Service) checkTokens(ctx context.Context) {
	now := s.cfg.Now()
	s.mu.Lock()
	uses := make([]tokenUse, 0, len(s.tokens))
	for _, u := range s.tokens {
		uses = append(uses, *u)
	}
	s.mu.Unlock()
	for _, u := range uses { // without the lock: InUse may take others
		switch {
		case !u.row.Live(now):
			s.closeToken(u.row.ID, "the API token has expired")
		case now.Sub(u.seen) > time.Minute && !s.cfg.InUse(TokenKey(u.row.ID)):
			s.forgetToken(u.row.ID)
		case s.leftForGood(ctx, u.row.Principal):
			s.dropTokens(ctx, u.row.Principal)
		}
	}
}

func (s *Service) forgetToken(tokenID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.tokens, tokenID)
}
