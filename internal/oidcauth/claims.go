package oidcauth

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
)

// What clocks may differ by.
const (
	late    = time.Minute     // after exp
	early   = time.Minute     // before iat and nbf
	oldest  = 5 * time.Minute // iat of a token that we have just been given
	longest = 24 * time.Hour  // from iat to exp
)

// claims are a token's, by their exact names: the usual decoder would let "SUB" stand for "sub".
type claims map[string]json.RawMessage

func (c claims) text(name string) string {
	var s string
	if json.Unmarshal(c[name], &s) != nil {
		return ""
	}
	return s
}

// texts reads a list, or one text as a list of one.
func (c claims) texts(name string) ([]string, bool) {
	var list []string
	if json.Unmarshal(c[name], &list) == nil && list != nil {
		return list, true
	}
	var one string
	if json.Unmarshal(c[name], &one) == nil && c[name] != nil && string(c[name]) != "null" {
		return []string{one}, true
	}
	return nil, false
}

func (c claims) has(name string) bool { _, ok := c[name]; return ok }

// says reports a claim with a value.
func (c claims) says(name string) bool { return c.has(name) && string(c[name]) != "null" }

// time reads seconds since 1970.
func (c claims) time(name string) (time.Time, bool) {
	var n float64
	if json.Unmarshal(c[name], &n) != nil || c[name] == nil || n < 1 || n > 1<<40 {
		return time.Time{}, false
	}
	return time.Unix(int64(n), 0), true
}

// verified is a token whose signature, issuer and audience hold.
type verified struct {
	claims
	token *oidc.IDToken
}

// signed checks signature, algorithm, kind, issuer, audience and authorised party: what does not depend on when and why
// the token is shown.
func (p *Provider) signed(ctx context.Context, raw string) (verified, error) {
	m, keys, err := p.discover(ctx)
	if err != nil {
		return verified{}, err
	}
	if !canonical(raw) {
		return verified{}, p.refused("id token: not written as an encoder writes it")
	}
	if k := kind(raw); k != "" && !strings.EqualFold(k, "JWT") {
		return verified{}, p.refused(fmt.Sprintf("a token of the kind %q is not an id token", clip(k)))
	}
	v := oidc.NewVerifier(p.cfg.Issuer, keys, &oidc.Config{ClientID: p.cfg.ClientID, SupportedSigningAlgs: m.algorithms(), SkipExpiryCheck: true})
	t, err := v.Verify(ctx, raw)
	if err != nil {
		return verified{}, p.refused("id token: " + err.Error())
	}
	c := claims{}
	if err := t.Claims(&c); err != nil {
		return verified{}, p.refused("id token: claims cannot be read")
	}
	return verified{c, t}, p.meantForUs(c)
}

// canonical reports whether a token has three parts, each written in the only way that an encoder writes it. Decoders
// ignore line breaks and unused bits. The signer names a token by the hash of what is signed, so a token that was
// closed must not be writable in another way.
func canonical(raw string) bool {
	parts := strings.Split(raw, ".")
	for _, part := range parts {
		b, err := base64.RawURLEncoding.DecodeString(part)
		if err != nil || base64.RawURLEncoding.EncodeToString(b) != part {
			return false
		}
	}
	return len(parts) == 3
}

func (p *Provider) meantForUs(c claims) error {
	aud, _ := c.texts("aud")
	azp := c.text("azp")
	switch {
	case c.text("iss") != p.cfg.Issuer:
		return p.refused("id token: issuer")
	case !slices.Contains(aud, p.cfg.ClientID):
		return p.refused("id token: audience")
	case len(aud) > 1 && azp == "":
		return p.refused("id token: several audiences and no azp")
	case c.has("azp") && azp != p.cfg.ClientID:
		return p.refused("id token: azp is somebody else")
	case c.text("sub") == "" || len(c.text("sub")) > 255:
		return p.refused("id token: no sub")
	case c.has("events"):
		return p.refused("id token: this is a logout token")
	}
	return nil
}

// kind reads the header's typ. A header that cannot be read is refused by the library.
func kind(raw string) string {
	head, _, _ := strings.Cut(raw, ".")
	b, err := base64.RawURLEncoding.DecodeString(head)
	var h struct {
		Type string `json:"typ"`
	}
	if err != nil || json.Unmarshal(b, &h) != nil {
		return ""
	}
	return h.Type
}

// timely checks exp, iat and nbf of a token that was given to us just now.
func (p *Provider) timely(c claims) error {
	now := p.cfg.Now()
	exp, hasExp := c.time("exp")
	iat, hasIat := c.time("iat")
	nbf, hasNbf := c.time("nbf")
	switch {
	case !hasExp || !hasIat:
		return p.refused("id token: no exp or no iat")
	case c.has("nbf") && !hasNbf:
		return p.refused("id token: nbf cannot be read")
	case now.Sub(exp) > late:
		return p.clock("expired")
	case iat.Sub(now) > early, hasNbf && nbf.Sub(now) > early:
		return p.clock("from the future")
	case now.Sub(iat) > oldest:
		return p.clock("too old")
	}
	return p.lifetime(iat, exp)
}

// lifetime checks the time from iat to exp. A token that lives longer than it is evidence is accepted. The log says so
// once, because an administrator who set that lifetime expects sign-ins to last as long.
func (p *Provider) lifetime(iat, exp time.Time) error {
	switch life := exp.Sub(iat); {
	case life < 0:
		return p.refused("id token: exp is before iat")
	case life > longest:
		p.once.tooLong.Do(func() {
			p.cfg.Log.Warn("the id tokens of a provider are valid for too long, so its people cannot sign in",
				slog.String("provider", p.cfg.Name), slog.Duration("valid_for", life), slog.Duration("at_most", longest),
				slog.String("hint", "Shorten the lifetime of id tokens at the provider."))
		})
		return p.refused(fmt.Sprintf("id token: it is valid for %s, and at most %s is accepted", life, longest))
	case life > p.cfg.NoRefreshAtMost:
		p.once.outlives.Do(func() {
			p.cfg.Log.Info("the id tokens of a provider are valid for longer than they are accepted",
				slog.String("provider", p.cfg.Name), slog.Duration("valid_for", life),
				slog.Duration("no_refresh_at_most", p.cfg.NoRefreshAtMost))
		})
	}
	return nil
}

// fits checks what binds a token to this sign-in: nonce, access token, and when the person signed in.
func (p *Provider) fits(v verified, nonce, access string, maxAge time.Duration) error {
	if subtle.ConstantTimeCompare([]byte(v.text("nonce")), []byte(nonce)) != 1 || nonce == "" {
		return p.refused("id token: nonce")
	}
	if v.has("at_hash") {
		if err := v.token.VerifyAccessToken(access); err != nil {
			return p.refused("id token: at_hash")
		}
	}
	return p.recent(v.claims, maxAge)
}

// recent checks auth_time, which must be there when it was asked for by max_age.
func (p *Provider) recent(c claims, maxAge time.Duration) error {
	at, ok := c.time("auth_time")
	now := p.cfg.Now()
	switch {
	case !ok && (maxAge > 0 || c.has("auth_time")):
		return p.refused("id token: no auth_time, though max_age was sent; the provider must be told to send it")
	case ok && at.Sub(now) > early:
		return p.clock("from the future")
	case ok && maxAge > 0 && now.Sub(at) > maxAge+late:
		return p.refused("id token: auth_time is older than max_age")
	}
	return nil
}
