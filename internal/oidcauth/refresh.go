package oidcauth

import (
	"context"
	"fmt"

	"golang.org/x/oauth2"

	"github.com/sallyport/sallyport/internal/errkind"
)

// Refresh asks the provider whether a sign-in still stands and who the person is now. The refresh token is used up where
// the provider rotates them. ErrEnded is in the chain when it does not stand any more; another error means that the
// provider did not say.
//
// If the provider sends no new id token, the sign-in is still valid and the SignIn is the old one. If the refresh
// succeeded and userinfo failed, the SignIn that is returned with the error has the new refresh token: the old one is
// used up.
func (p *Provider) Refresh(ctx context.Context, old SignIn) (SignIn, error) {
	m, _, err := p.discover(ctx)
	if err != nil {
		return SignIn{}, err
	}
	before := claimsOf(old.IDToken) // checked when it came; its key may be gone since
	t, err := p.oauth(m).TokenSource(p.with(ctx), &oauth2.Token{RefreshToken: old.RefreshToken}).Token()
	if err != nil {
		return SignIn{}, p.exchange(err)
	}
	raw, _ := t.Extra("id_token").(string)
	if raw == "" {
		old.RefreshToken = t.RefreshToken
		return old, nil
	}
	v, err := p.signed(ctx, raw)
	if err == nil {
		err = p.sameSignIn(before, v, t.AccessToken)
	}
	if err != nil {
		return SignIn{}, ended(err)
	}
	s, err := p.completeWho(ctx, v, raw, t.AccessToken)
	if errkind.KindOf(err) == errkind.Unavailable {
		old.RefreshToken = t.RefreshToken
		return old, err
	}
	s.RefreshToken = t.RefreshToken
	if s.SID == "" {
		s.SID = old.SID
	}
	return s, ended(err)
}

// sameSignIn is OpenID Connect Core section 12.2: the new token speaks of the same person and the same sign-in.
func (p *Provider) sameSignIn(before claims, now verified, access string) error {
	if err := p.timely(now.claims); err != nil {
		return err
	}
	was, _ := before.time("auth_time")
	is, ok := now.time("auth_time")
	switch {
	case now.text("sub") != before.text("sub"):
		return p.refused("refresh: another sub")
	case now.has("nonce") && now.text("nonce") != before.text("nonce"):
		return p.refused("refresh: another nonce")
	case before.has("auth_time") && ok && is.After(was):
		return p.refused("refresh: a later auth_time than that of the sign-in")
	case before.has("sid") && now.has("sid") && now.text("sid") != before.text("sid"):
		return p.refused("refresh: another sid")
	case now.has("at_hash") && now.token.VerifyAccessToken(access) != nil:
		return p.refused("refresh: at_hash")
	}
	return nil
}

// ended marks answers that were given and are not good: going on as before would be to trust them.
func ended(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrEnded, err)
}
