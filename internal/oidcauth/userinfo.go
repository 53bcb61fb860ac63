package oidcauth

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// forPeople are the claims of the standard scopes that are shown to people. No decision depends on them.
var forPeople = []string{"name", "email", "preferred_username"}

// overageClaims say that the groups are elsewhere. They are honoured in both the id token and userinfo.
var overageClaims = []string{"_claim_names", "hasgroups"}

// completed has an id token's claims, and the missing ones from the userinfo endpoint.
type completed struct {
	claims
	signer bool // the signer has to ask as well: the id token has no groups, or no name that shows something
}

// complete asks the userinfo endpoint (OpenID Connect Core section 5.3) for claims that the id token lacks: according
// to section 5.4, claims of a scope are returned there if an access token is issued. The id token is signed and takes
// precedence. Only groups and the claims for people are taken from userinfo, never amr, acr or auth_time: it describes
// a person and not how they signed in.
//
// No decision is possible without groups, so a failure to get them is returned. A name that could not be requested is
// left out. An answer about another person is always refused.
func (p *Provider) complete(ctx context.Context, v verified, raw, access string, wished ...string) (completed, error) {
	groups := p.cfg.GroupsClaim
	needed := !v.says(groups) && !overage(v.claims, groups)
	if !needed && !slices.ContainsFunc(wished, v.lacks) {
		return completed{claims: v.claims}, nil
	}
	said, err := p.userInfo(ctx, v, raw, access)
	switch {
	case errors.Is(err, errNoUserInfo), err != nil && !needed && !errors.Is(err, errOtherSub):
		return completed{claims: v.claims}, nil
	case err != nil:
		return completed{}, err
	}
	all := maps.Clone(v.claims)
	if all.lacks("email") { // what is said of an address goes with it
		delete(all, "email_verified")
		if said.says("email_verified") {
			all["email_verified"] = said["email_verified"]
		}
	}
	for _, n := range slices.Concat([]string{groups}, overageClaims, forPeople) {
		if all.lacks(n) && said.says(n) {
			all[n] = said[n]
		}
	}
	return completed{all, needed || v.lacks("name")}, nil
}

var (
	errNoUserInfo = errors.New("the provider has no userinfo endpoint")
	errOtherSub   = errors.New("userinfo: another sub than that of the id token")
)

// userInfo gives the endpoint's claims about an id token's person. It sends one request for each pair of tokens and
// keeps the answer while the id token is evidence. The id token alone is not a sufficient key: with deterministic
// signatures, two tokens of one second may have the same bytes.
func (p *Provider) userInfo(ctx context.Context, v verified, raw, access string) (claims, error) {
	sub, key := v.text("sub"), sha256.Sum256([]byte(raw+"\x00"+access))
	if c, ok := p.said.get(sub, key); ok {
		return c, nil
	}
	m, _, err := p.discover(ctx)
	switch {
	case err != nil:
		return nil, err
	case m.UserInfo == "":
		return nil, errNoUserInfo
	case !allowedURL(m.UserInfo):
		return nil, p.misconfigured(fmt.Sprintf("its address %q is neither https nor loopback", clip(m.UserInfo)),
			"Check the provider's discovery document.")
	case access == "" || len(access) > maxAccess:
		return nil, p.refused("userinfo: no access token, or one that is too long")
	}
	iat, _ := v.time("iat")
	c, err := p.said.once(sub, key, iat.Add(p.cfg.NoRefreshAtMost), func() (claims, error) {
		// Without this caller's cancellation: other callers may wait for the same answer.
		return p.askUserInfo(context.WithoutCancel(ctx), m.UserInfo, access, sub)
	})
	if errors.Is(err, errAskedOften) {
		return nil, p.askedOften()
	}
	return c, err
}

// maxAccess bounds an access token. It is opaque; a JWT with many groups has a few KiB.
const maxAccess = 64 << 10

// askUserInfo makes the request. The sub must be the id token's (section 5.3.2), or another person's groups would
// count.
func (p *Provider) askUserInfo(ctx context.Context, addr, access, sub string) (claims, error) {
	c := claims{}
	err := getJSON(ctx, p.http, addr, access, &c)
	var status statusError
	switch {
	case errors.As(err, &status) && (status.code == 401 || status.code == 403):
		return nil, p.refused(err.Error())
	case err != nil:
		return nil, p.noAnswer(fmt.Errorf("userinfo: %w", err))
	case c.text("sub") == "" || c.text("sub") != sub:
		return nil, p.refusedFor(errOtherSub)
	}
	return c.only(slices.Concat([]string{p.cfg.GroupsClaim, "email_verified"}, overageClaims, forPeople)...), nil
}

// only gives the claims that are used, copied out of the document that they came in: it is kept for as long as the
// sign-in, and a provider may put 512 KiB into it.
func (c claims) only(names ...string) claims {
	out := claims{}
	for _, n := range names {
		if v, ok := c[n]; ok {
			out[n] = slices.Clone(v)
		}
	}
	return out
}
