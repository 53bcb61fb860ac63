package oidcauth

import (
	"context"
	"slices"

	"github.com/coreos/go-oidc/v3/oidc"
)

// scopeGroups is not a scope of OpenID Connect Core, but dex, Okta, GitLab, Authelia and others send groups only for
// it.
const scopeGroups = "groups"

// scopes are the configured ones exactly as they are written, or the usual ones.
//
// A provider may support scopes that its discovery document does not list, so the list does not limit configured
// scopes. It does limit the usual ones: "scope values that are not understood SHOULD be ignored" (OpenID Connect Core
// 3.1.2.1), but Google answers offline_access with invalid_scope, lists only openid, email and profile, and no one
// could sign in. Without a list, the four scopes of the specification are sent, but not groups.
func (p *Provider) scopes(m metadata) []string {
	if len(p.cfg.Scopes) > 0 {
		return p.cfg.Scopes
	}
	all := []string{oidc.ScopeOpenID, "profile", "email", oidc.ScopeOfflineAccess}
	if len(m.Scopes) == 0 {
		return all
	}
	return slices.DeleteFunc(append(all, scopeGroups), func(s string) bool {
		return s != oidc.ScopeOpenID && !slices.Contains(m.Scopes, s)
	})
}

// Offline reports whether sign-ins request a refresh token. It reads the provider's metadata, at most an hour old; the
// error says why that failed.
func (p *Provider) Offline(ctx context.Context) (bool, error) {
	m, _, err := p.discover(ctx)
	return err == nil && p.asksOffline(m), err
}

// asksOffline reports whether sign-ins request a refresh token at all.
func (p *Provider) asksOffline(m metadata) bool {
	return slices.Contains(p.scopes(m), oidc.ScopeOfflineAccess)
}
