package oidcauth

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/signer"
)

// DefaultNoRefresh is how long an id token is evidence by default.
const DefaultNoRefresh = time.Hour

// NoRefreshAtMost is how long an id token of this provider is evidence, counted from its iat.
func (p *Provider) NoRefreshAtMost() time.Duration { return p.cfg.NoRefreshAtMost }

// VerifyIDToken is the signer's check: signature, issuer, audience, age, groups. Expiry is checked as of the sign-in,
// because the token is the evidence of a sign-in that lasts longer.
//
// The age of the token itself is limited by no_refresh_at_most. Only the data plane knows whether there is a refresh
// token, and the signer does not trust it: a caller with one can show a later id token, and a caller without one has
// nothing newer from the provider.
//
// The access token is used if the id token lacks groups or name: the signer then asks the userinfo endpoint itself. The
// at_hash, if there is one, proves that both tokens are from one sign-in.
func (p *Provider) VerifyIDToken(ctx context.Context, raw, access string) (signer.Identity, error) {
	v, err := p.signed(ctx, raw)
	if err != nil {
		return signer.Identity{}, err
	}
	if err := p.stillGood(v); err != nil {
		return signer.Identity{}, err
	}
	if access != "" && v.has("at_hash") && v.token.VerifyAccessToken(access) != nil {
		return signer.Identity{}, p.refused("evidence: the access token is not that of the id token (at_hash)")
	}
	c, err := p.complete(ctx, v, raw, access, "name")
	if err != nil {
		return signer.Identity{}, err
	}
	s, err := p.who(c.claims, raw)
	if err != nil {
		return signer.Identity{}, err
	}
	return signer.Identity{
		Principal:      s.Principal,
		Name:           s.Name,
		Groups:         s.Groups,
		SignedInAt:     s.SignedInAt,
		SecondFactorAt: s.SecondFactorAt,
		Methods:        s.AMR,
		IssuedAt:       s.IssuedAt,
		Until:          s.IssuedAt.Add(p.cfg.NoRefreshAtMost),
	}, nil
}

// stillGood checks the times of a token that the provider gave earlier.
func (p *Provider) stillGood(v verified) error {
	iat, hasIat := v.time("iat")
	exp, hasExp := v.time("exp")
	at, _ := v.time("auth_time")
	now := p.cfg.Now()
	switch {
	case !hasIat || !hasExp:
		return p.refused("id token: no exp or no iat")
	case iat.Sub(now) > early || at.Sub(now) > early:
		return p.clock("from the future")
	case v.text("nonce") == "" && v.claims.has("nonce"):
		return p.refused("id token: nonce")
	case now.Sub(iat) > p.cfg.NoRefreshAtMost:
		return p.unconfirmed()
	}
	return p.lifetime(iat, exp)
}

// unconfirmed reports that evidence is too old.
func (p *Provider) unconfirmed() error {
	most := strings.TrimSuffix(strings.TrimSuffix(p.cfg.NoRefreshAtMost.String(), "0s"), "0m")
	return errkind.New(errkind.Signin, fmt.Sprintf("%s has not confirmed your sign-in for more than %s",
		p.cfg.ShownAs, most)).
		WithHint("Sign in again. If the provider cannot be reached, wait until it can, or sign in another way.").
		Because(signer.ErrUnconfirmed)
}
