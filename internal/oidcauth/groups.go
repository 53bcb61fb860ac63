package oidcauth

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
)

// completeWho reads a person from a token that the provider just gave, and from userinfo for claims that it lacks.
func (p *Provider) completeWho(ctx context.Context, v verified, raw, access string) (SignIn, error) {
	c, err := p.complete(ctx, v, raw, access, forPeople...)
	if err != nil {
		return SignIn{}, err
	}
	s, err := p.who(c.claims, raw)
	if c.signer {
		s.AccessToken = access
	}
	return s, err
}

// who reads somebody out of claims that have been checked.
func (p *Provider) who(c claims, raw string) (SignIn, error) {
	groups, err := p.groups(c)
	if err != nil {
		return SignIn{}, err
	}
	s := SignIn{Principal: id.Principal{Issuer: p.cfg.Issuer, Subject: c.text("sub")}, Provider: p.cfg.Name, Groups: groups,
		Name: nameOf(c), Username: c.shown("preferred_username"), Email: c.address(), SID: c.text("sid"), ACR: c.text("acr"), IDToken: raw}
	s.AMR, _ = c.texts("amr")
	s.IssuedAt, _ = c.time("iat")
	at, ok := c.time("auth_time")
	if !ok {
		at = s.IssuedAt
	}
	s.SignedInAt = at
	if ok { // without auth_time nobody says when it was: the provider may remember it since last week
		s.SecondFactorAt = p.secondFactor(s, at)
	}
	return s, nil
}

func (p *Provider) secondFactor(s SignIn, at time.Time) time.Time {
	if slices.ContainsFunc(s.AMR, func(a string) bool { return slices.Contains(p.cfg.AMR, a) }) || s.ACR != "" && slices.Contains(p.cfg.ACR, s.ACR) {
		return at
	}
	return time.Time{}
}

// groups maps what the provider sends to what policy names. What is not in the map does not exist. A list that is missing
// or cut off is not an empty list: a deny rule may hang on what is not there.
func (p *Provider) groups(c claims) ([]string, error) {
	if overage(c, p.cfg.GroupsClaim) {
		return nil, errkind.New(errkind.Denied, fmt.Sprintf("%s did not send your groups because there are too many of them, so nothing can be decided about you", p.cfg.ShownAs)).
			WithHint("Whoever runs the provider lets it send only the groups that are assigned to this application, or app roles.")
	}
	sent, ok := c.texts(p.cfg.GroupsClaim)
	if !ok {
		return nil, errkind.New(errkind.Denied, fmt.Sprintf("%s sent no list of groups (claim %q), so nothing can be decided about you", p.cfg.ShownAs, p.cfg.GroupsClaim)).
			WithHint("Ask the provider's administrator to send this claim in the id token or at its userinfo " +
				"endpoint. Check groups_claim and scopes in [[identity]]: docs/identity.md.")
	}
	mapped := []string{}
	for _, g := range sent {
		if to, ok := p.cfg.Groups[g]; ok && !slices.Contains(mapped, to) && (p.cfg.Counts == nil || p.cfg.Counts(g, to)) {
			mapped = append(mapped, to)
		}
	}
	slices.Sort(mapped)
	return mapped, nil
}

// overage recognises a provider that points elsewhere for the groups: by a distributed claim (OpenID Connect Core section
// 5.6.2, as Entra does) or by a flag.
func overage(c claims, claim string) bool {
	var names map[string]json.RawMessage
	if json.Unmarshal(c["_claim_names"], &names) == nil {
		if _, ok := names[claim]; ok {
			return true
		}
	}
	var flag any
	return json.Unmarshal(c["hasgroups"], &flag) == nil && (flag == true || flag == "true")
}
