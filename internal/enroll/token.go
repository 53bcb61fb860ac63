package enroll

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/sallyport/sallyport/internal/audit"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/internal/wire"
)

// Limits of a join code.
const (
	DefaultTTL = time.Hour
	MaxTTL     = 30 * 24 * time.Hour
	MaxUses    = 10_000
	maxLabels  = 64
	maxText    = 200
)

// TokenSpec says what a join code is good for.
type TokenSpec struct {
	Name   string // what the device will be called; empty: its own host name
	Site   string
	Labels map[string]string
	Uses   int           // 0: one
	TTL    time.Duration // 0: DefaultTTL
	Serial string        // expected serial of the machine; empty: any
}

// CreateToken makes a join code. The secret in it is stored as its hash only, so the code can be shown once.
func (o *Office) CreateToken(ctx context.Context, actor Actor, s TokenSpec) (wire.JoinCode, store.JoinToken, error) {
	if err := s.check(); err != nil {
		return wire.JoinCode{}, store.JoinToken{}, err
	}
	bundle, err := o.keepBundle(ctx)
	if err != nil {
		return wire.JoinCode{}, store.JoinToken{}, err
	}
	code := wire.JoinCode{URL: o.URL, Bundle: bundle, Noise: o.Noise}
	rand.Read(code.ID[:])
	rand.Read(code.Secret[:])
	if _, err := wire.ParseJoinCode(code.String()); err != nil {
		return code, store.JoinToken{}, errkind.New(errkind.Unavailable, "devices could not reach this gateway by the address it is configured with: "+o.URL).
			WithHint("Set the site's url to https://… (http only for a loopback address).").Because(err)
	}
	now := o.now().UTC()
	t := store.JoinToken{ID: code.ID, SecretHash: wire.Sum(code.Secret[:]), Name: s.Name, Site: s.Site, Labels: s.Labels, Uses: s.Uses, UsesLeft: s.Uses,
		Created: now, CreatedBy: actor.Name, Expires: now.Add(s.TTL), Serial: s.Serial, BundleHash: bundle}
	fields := map[string]string{"what": "code made", "site": s.Site, "uses": fmt.Sprint(s.Uses), "expires": t.Expires.Format(time.RFC3339), "name": s.Name, "serial": s.Serial}
	for k, v := range s.Labels {
		fields["label."+k] = v
	}
	err = o.Audit.Together(ctx, audit.Event{Type: "join", Actor: actor.ID, Subject: TokenID(t.ID), Fields: fields},
		func(event ...store.AuditEvent) error {
			return o.Store.AddJoinToken(ctx, t, event...)
		})
	if err != nil {
		return wire.JoinCode{}, store.JoinToken{}, err
	}
	return code, t, nil
}

func (s *TokenSpec) check() error {
	if s.Uses == 0 {
		s.Uses = 1
	}
	if s.TTL == 0 {
		s.TTL = DefaultTTL
	}
	if s.Name != "" {
		if _, err := id.ParseDevice(s.Name); err != nil {
			return usage(err.Error())
		}
	}
	if err := errors.Join(CheckUses(s.Uses), CheckTTL(s.TTL)); err != nil {
		return err
	}
	if !wire.PlainText(s.Serial, maxText) {
		return usage(fmt.Sprintf("the expected serial is longer than %d bytes or has control characters", maxText))
	}
	return checkPlace(s.Site, s.Labels)
}

// CheckUses refuses a number of uses that a join code cannot have.
func CheckUses(n int) error {
	if n < 1 || n > MaxUses {
		return errkind.New(errkind.Usage, fmt.Sprintf("a join code has 1 to %d uses, not %d", MaxUses, n)).WithHint("Leave it out for one use.")
	}
	return nil
}

// CheckTTL refuses a time that a join code cannot live for.
func CheckTTL(d time.Duration) error {
	if d < time.Minute || d > MaxTTL {
		return errkind.New(errkind.Usage, "a join code lives for a minute to 30 days, so that one that is forgotten somewhere is soon worth nothing").
			WithHint("Leave the time out for an hour, or make another code when this one has ended.")
	}
	return nil
}

// checkPlace checks a site and labels as far as they are text; what they may say is the policy's matter.
func checkPlace(site string, labels map[string]string) error {
	if !wire.PlainText(site, maxText) {
		return usage(fmt.Sprintf("the site is longer than %d bytes or has control characters", maxText))
	}
	if len(labels) > maxLabels {
		return usage(fmt.Sprintf("a device has at most %d labels", maxLabels))
	}
	for k, v := range labels {
		if !labelKey(k) {
			return usage(fmt.Sprintf("label %.70q: a label's name has 1 to 63 characters of a-z, 0-9, - and _, and begins with a letter", k))
		}
		if !wire.PlainText(v, maxText) {
			return usage(fmt.Sprintf("label %s: the value is longer than %d bytes or has control characters", k, maxText))
		}
	}
	return nil
}

func labelKey(k string) bool {
	for i, r := range k {
		letter := r >= 'a' && r <= 'z'
		if !letter && (i == 0 || (r < '0' || r > '9') && r != '-' && r != '_') {
			return false
		}
	}
	return len(k) >= 1 && len(k) <= 63
}

// keepBundle stores the bundle in force, because a code that names it may be redeemed when it no longer is.
func (o *Office) keepBundle(ctx context.Context) (wire.Hash, error) {
	signed, err := o.Signer.Bundle(ctx)
	if err != nil {
		return wire.Hash{}, err
	}
	hash := wire.Sum(signed.Body)
	_, err = o.Store.BundleByHash(ctx, hash)
	if !errors.Is(err, store.ErrNotFound) {
		return hash, err
	}
	b, err := wire.ParseBundle(signed)
	if err != nil {
		return hash, err
	}
	err = o.Store.AddBundle(ctx, store.Bundle{Serial: b.Serial, Body: signed.Body, Sig: signed.Sig, Hash: hash, At: o.now()})
	if errors.Is(err, store.ErrConflict) { // another call stored it meanwhile, or the serial is taken by another text
		_, err = o.Store.BundleByHash(ctx, hash)
	}
	return hash, err
}

// Tokens lists the join codes, newest first, each with who used it.
func (o *Office) Tokens(ctx context.Context) ([]store.JoinToken, error) {
	all, err := o.Store.JoinTokens(ctx)
	if err != nil {
		return nil, err
	}
	for i, t := range all {
		if t.UsesLeft == t.Uses {
			continue
		}
		if all[i], err = o.Store.JoinToken(ctx, t.ID); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// RevokeToken ends a join code. Devices that came by it stay.
func (o *Office) RevokeToken(ctx context.Context, actor Actor, token [16]byte) error {
	if _, err := o.Store.JoinToken(ctx, token); err != nil {
		return err
	}
	e := audit.Event{Type: "join", Actor: actor.ID, Subject: TokenID(token),
		Fields: map[string]string{"what": "code revoked"}}
	return errors.Join(o.Audit.Regardless(ctx, e, func(event ...store.AuditEvent) error {
		return o.Store.RevokeJoinToken(ctx, token, o.now(), actor.Name, event...)
	}))
}

// TokenID is a join code's name in listings; it is no secret.
func TokenID(token [16]byte) string { return hex.EncodeToString(token[:]) }

// ParseTokenID reads what TokenID writes.
func ParseTokenID(text string) (token [16]byte, err error) {
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw) != len(token) || hex.EncodeToString(raw) != text {
		return token, usage("a join code's id has 32 characters of 0-9 and a-f; `sallyport enroll-token list` shows them")
	}
	return [16]byte(raw), nil
}
