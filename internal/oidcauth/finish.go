package oidcauth

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"net/url"
	"strconv"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// Flow is one sign-in under way. The caller keeps it under its State, binds it to the browser by a cookie, and takes it
// out before Finish, so that it is used once whatever happens.
type Flow struct {
	Provider string
	State    string
	Nonce    string
	Verifier string
	MaxAge   time.Duration
	Consent  bool // prompt=consent was sent
}

// Start gives a new flow and the address at which it begins. Fresh asks the provider to see the person again, also when
// it still knows them.
func (p *Provider) Start(ctx context.Context, fresh bool) (Flow, string, error) {
	m, _, err := p.discover(ctx)
	if err != nil {
		return Flow{}, "", err
	}
	f := Flow{Provider: p.cfg.Name, State: random(), Nonce: random(), Verifier: oauth2.GenerateVerifier(),
		MaxAge: p.cfg.MaxAge, Consent: p.AsksConsent()}
	opts := []oauth2.AuthCodeOption{oidc.Nonce(f.Nonce), oauth2.S256ChallengeOption(f.Verifier)}
	if f.MaxAge > 0 {
		opts = append(opts, oauth2.SetAuthURLParam("max_age", strconv.Itoa(int(f.MaxAge.Seconds()))))
	}
	if prompt := prompts(fresh, f.Consent); prompt != "" {
		opts = append(opts, oauth2.SetAuthURLParam("prompt", prompt))
	}
	return f, p.oauth(m).AuthCodeURL(f.State, opts...), nil
}

func prompts(login, consent bool) string {
	switch {
	case login && consent:
		return "login consent"
	case login:
		return "login"
	case consent:
		return "consent"
	}
	return ""
}

// Finish takes what the provider sent back through the browser.
func (p *Provider) Finish(ctx context.Context, f Flow, q url.Values) (SignIn, error) {
	m, _, err := p.discover(ctx)
	if err != nil {
		return SignIn{}, err
	}
	if err := p.fromUs(m, f, q); err != nil {
		if f.Consent && q.Get("state") == f.State && q.Get("error") != "" {
			// The provider or the person may have refused consent.
			p.learnConsent(m, f, false)
		}
		return SignIn{}, err
	}
	t, err := p.oauth(m).Exchange(p.with(ctx), q.Get("code"), oauth2.VerifierOption(f.Verifier))
	if err != nil {
		return SignIn{}, p.exchange(err)
	}
	raw, ok := t.Extra("id_token").(string)
	if !ok || raw == "" {
		return SignIn{}, p.refused("no id token came back")
	}
	v, err := p.signed(ctx, raw)
	if err != nil {
		return SignIn{}, err
	}
	if err := p.timely(v.claims); err != nil {
		return SignIn{}, err
	}
	if err := p.fits(v, f.Nonce, t.AccessToken, f.MaxAge); err != nil {
		return SignIn{}, err
	}
	s, err := p.completeWho(ctx, v, raw, t.AccessToken)
	if err != nil {
		return SignIn{}, err
	}
	s.RefreshToken = t.RefreshToken
	p.learnConsent(m, f, t.RefreshToken != "")
	return s, nil
}

// fromUs checks the answer's own parameters. With several providers, iss is what keeps one from passing another's code
// off as its own (RFC 9207).
func (p *Provider) fromUs(m metadata, f Flow, q url.Values) error {
	for _, k := range []string{"state", "code", "iss", "error"} {
		if len(q[k]) > 1 {
			return p.refused(k + " stands twice in the answer")
		}
	}
	iss, has := q["iss"]
	switch {
	case f.Provider != p.cfg.Name || f.State == "" || q.Get("state") != f.State:
		return p.refused("state")
	case has && iss[0] != p.cfg.Issuer, !has && m.SendsIss:
		return p.refused("iss of the answer")
	case q.Get("error") != "":
		return p.answered(q.Get("error"), q.Get("error_description"))
	case q.Get("code") == "":
		return p.refused("neither code nor error came back")
	}
	return nil
}

// random makes 256 bits as text.
func random() string {
	b := make([]byte, 32)
	rand.Read(b)
	return base64.RawURLEncoding.EncodeToString(b)
}
