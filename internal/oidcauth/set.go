package oidcauth

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/signer"
)

// Set is all configured providers.
type Set struct {
	all []*Provider
}

// NewSet collects providers. Two with one name or one issuer would make it unclear who somebody is.
func NewSet(all ...*Provider) (*Set, error) {
	seen := map[string]bool{}
	for _, p := range all {
		if seen["n "+p.cfg.Name] || seen["i "+p.cfg.Issuer] {
			return nil, fmt.Errorf("provider %s: another one has this name or this issuer", p.cfg.Name)
		}
		seen["n "+p.cfg.Name], seen["i "+p.cfg.Issuer] = true, true
	}
	return &Set{all}, nil
}

// All lists them as configured.
func (s *Set) All() []*Provider { return s.all }

// Named finds one.
func (s *Set) Named(name string) (*Provider, error) {
	for _, p := range s.all {
		if p.cfg.Name == name {
			return p, nil
		}
	}
	return nil, errkind.New(errkind.NotFound, fmt.Sprintf("there is no way to sign in of the name %q", clip(name))).WithHint("Open the sign-in page: it lists the ways there are.")
}

// VerifyIDToken implements signer.Identities. What the token says of its issuer only chooses who checks it.
func (s *Set) VerifyIDToken(ctx context.Context, raw, access string) (signer.Identity, error) {
	iss := claimsOf(raw).text("iss")
	for _, p := range s.all {
		if p.cfg.Issuer == iss {
			return p.VerifyIDToken(ctx, raw, access)
		}
	}
	return signer.Identity{}, errkind.New(errkind.Signin, "this sign-in is of no provider that is configured here").WithHint("Sign in again.")
}

// claimsOf reads claims without checking anything.
func claimsOf(raw string) claims {
	parts := strings.Split(raw, ".")
	if len(parts) != 3 || len(raw) > maxBody {
		return nil
	}
	b, err := base64.RawURLEncoding.DecodeString(parts[1])
	c := claims{}
	if err != nil || json.Unmarshal(b, &c) != nil {
		return nil
	}
	return c
}

var _ signer.Identities = (*Set)(nil)
