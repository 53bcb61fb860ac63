package oidcauth

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"github.com/sallyport/sallyport/internal/errkind"
)

// Logout names what a provider has ended: one session, or all of a person.
type Logout struct {
	Issuer, Subject, SID string
}

const logoutEvent = "http://schemas.openid.net/event/backchannel-logout"

// logoutWindow is how old a logout token may be. Its id is remembered longer than that.
const logoutWindow = 5 * time.Minute

// VerifyLogout checks a logout token (OpenID Connect Back-Channel Logout section 2.6), each of which counts once.
func (p *Provider) VerifyLogout(ctx context.Context, raw string) (Logout, error) {
	m, keys, err := p.discover(ctx)
	if err != nil {
		return Logout{}, err
	}
	if k := kind(raw); k != "" && !strings.EqualFold(k, "logout+jwt") && !strings.EqualFold(k, "JWT") {
		return Logout{}, badLogout("its kind")
	}
	v := oidc.NewVerifier(p.cfg.Issuer, keys, &oidc.Config{ClientID: p.cfg.ClientID, SupportedSigningAlgs: m.algorithms(), SkipExpiryCheck: true})
	t, err := v.VerifyLogout(ctx, raw)
	if err != nil {
		return Logout{}, badLogout(err.Error())
	}
	c := claims{}
	if err := t.Claims(&c); err != nil {
		return Logout{}, badLogout("its claims")
	}
	if err := p.logoutFits(c); err != nil {
		return Logout{}, err
	}
	if !p.jtis.first(c.text("jti")) {
		return Logout{}, badLogout("it was used already")
	}
	return Logout{Issuer: p.cfg.Issuer, Subject: c.text("sub"), SID: c.text("sid")}, nil
}

func (p *Provider) logoutFits(c claims) error {
	var events map[string]json.RawMessage
	var event map[string]json.RawMessage
	now := p.cfg.Now()
	exp, hasExp := c.time("exp")
	iat, hasIat := c.time("iat")
	switch {
	case c.text("iss") != p.cfg.Issuer:
		return badLogout("issuer")
	case json.Unmarshal(c["events"], &events) != nil || json.Unmarshal(events[logoutEvent], &event) != nil || event == nil:
		return badLogout("no logout event")
	case c.has("nonce"):
		return badLogout("it has a nonce, so it is an id token")
	case !hasExp || !hasIat || now.Sub(exp) > late || iat.Sub(now) > early || now.Sub(iat) > logoutWindow:
		return badLogout("exp or iat")
	case c.text("sub") == "" && c.text("sid") == "":
		return badLogout("neither sub nor sid")
	case c.text("jti") == "" || len(c.text("jti")) > 255:
		return badLogout("no jti")
	}
	return nil
}

func badLogout(why string) error {
	return errkind.New(errkind.Usage, "this is not a logout token that can be taken: "+clip(why))
}

// replays remembers the ids of logout tokens for as long as they would be taken.
type replays struct {
	now func() time.Time

	mu   sync.Mutex // guards seen
	seen map[string]time.Time
}

// mostReplays bounds it. All are signed by the provider, so only a provider can fill it.
const mostReplays = 50_000

func newReplays(now func() time.Time) *replays {
	return &replays{now: now, seen: map[string]time.Time{}}
}

// first reports whether an id is new, and remembers it. When it cannot remember it takes nothing.
func (r *replays) first(jti string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	if until, ok := r.seen[jti]; ok && now.Before(until) {
		return false
	}
	if len(r.seen) >= mostReplays {
		for k, until := range r.seen {
			if !now.Before(until) {
				delete(r.seen, k)
			}
		}
	}
	if len(r.seen) >= mostReplays {
		return false
	}
	r.seen[jti] = now.Add(logoutWindow + 2*early)
	return true
}
