package oidcauth

import "time"

// Values of Config.Prompt: when a sign-in requests the person's consent (prompt=consent).
const (
	PromptAuto   = "auto"   // once a sign-in has brought no refresh token
	PromptAlways = "always" // at every sign-in
	PromptNever  = "never"  // at no sign-in
)

// consentRest is how long consent is not requested again after it has brought no refresh token.
const consentRest = time.Hour

// consent is what earlier sign-ins showed about refresh tokens at this provider. Many providers give one only with the
// person's consent, which OpenID Connect Core section 11 requires for offline_access.
type consent struct {
	needed    bool      // a sign-in without consent brought no refresh token
	works     bool      // a sign-in with consent brought one
	restUntil time.Time // consent was useless lately
}

// AsksConsent reports whether the next sign-in requests the person's consent.
func (p *Provider) AsksConsent() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch p.cfg.Prompt {
	case PromptAlways:
		return true
	case PromptNever:
		return false
	}
	return p.consent.needed && !p.cfg.Now().Before(p.consent.restUntil)
}

// learnConsent notes whether a sign-in brought a refresh token. Once consent has brought a refresh token, a later
// sign-in without one does not turn consent off: that person may lack the right to one at the provider.
func (p *Provider) learnConsent(m metadata, f Flow, refresh bool) {
	if p.cfg.Prompt != PromptAuto || !p.asksOffline(m) {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case refresh:
		p.consent.works = p.consent.works || f.Consent
	case !f.Consent:
		p.consent.needed = true
	case !p.consent.works:
		p.consent.restUntil = p.cfg.Now().Add(consentRest)
	}
}
