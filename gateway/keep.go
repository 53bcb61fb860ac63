package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/internal/audit"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/store"
)

// verdict is a decision in the words that are shown and stored.
func verdict(d *authz.Decision, refusal *errkind.Error) string {
	if refusal != nil {
		return refusal.Text
	}
	if e := d.Explain(); e.Text != "" {
		return e.Text
	}
	return "allowed"
}

// inputs are the inputs of a decision, so that it can be repeated.
func (b *Broker) inputs(who authz.Person, dev store.Device, s *store.Session, more map[string]any) ([]byte, error) {
	in := map[string]any{"groups": who.Groups, "machine": who.Machine, "via_token": who.ViaToken,
		"second_factor_at": who.SecondFactorAt, "address": s.ClientAddr, "site": dev.Site, "labels": dev.Labels,
		"live": b.LiveOn(s.Device), "ticket": s.Ticket}
	for k, v := range more {
		in[k] = v
	}
	out, err := json.Marshal(in)
	if err != nil {
		return nil, fmt.Errorf("store decision: %w", err)
	}
	return out, nil
}

// decided is the log's event about a decision.
func decided(s *store.Session, action string, allowed bool, rule, text string) audit.Event {
	via := "sign-in"
	if s.ViaToken != "" {
		via = "token " + s.ViaToken
	}
	return audit.Event{Type: "decided", Actor: s.Principal.String(), Subject: s.ID.String(), Addr: s.ClientAddr,
		Fields: map[string]string{"device": string(s.Device), "action": action,
			"allowed": strconv.FormatBool(allowed), "rule": rule, "text": text, "via": via}}
}

// keepDecision stores the decision with its inputs, and the session's row, before the decision takes effect.
func (b *Broker) keepDecision(ctx context.Context, a *Ask, dev store.Device, s store.Session, d authz.Decision, refusal *errkind.Error) error {
	text, allowed := verdict(&d, refusal), refusal == nil
	in, err := b.inputs(a.Person, dev, &s, nil)
	if err != nil {
		return err
	}
	row := store.Decision{At: s.Asked, Principal: a.Person.ID, Device: a.Device, Action: s.Action, Allowed: allowed,
		Rule: d.Rule, Text: text, PolicySHA: s.PolicySHA, Session: s.ID, Inputs: in}
	event := decided(&s, s.Action, allowed, d.Rule, text)
	for name, at := range map[string]time.Time{"signed_in_at": a.SignedInAt, "second_factor_at": a.Person.SecondFactorAt} {
		if !at.IsZero() {
			event.Fields[name] = at.UTC().Format(time.RFC3339)
		}
	}
	err, kept := b.cfg.Audit.Regardless(ctx, event, func(event ...store.AuditEvent) error {
		return b.cfg.Store.AddDecided(ctx, s, row, event...)
	})
	// An unlogged decision can never be redeemed, so its row must not stay open.
	if kept == nil && err != nil && allowed {
		kept = b.notOpened(context.WithoutCancel(ctx), s.ID, b.cfg.Now())
	}
	return errors.Join(kept, err)
}

// keepChannelDecision stores the decision on a further channel with its inputs, before it takes effect.
func (b *Broker) keepChannelDecision(ctx context.Context, c *Channel, who authz.Person, d authz.Decision, refusal *errkind.Error) error {
	s, err := b.cfg.Store.Session(ctx, c.s.id)
	if err != nil {
		return err
	}
	text, allowed, n := verdict(&d, refusal), refusal == nil, strconv.FormatUint(uint64(c.n), 10)
	in, err := b.inputs(who, c.s.device, &s, map[string]any{"channel": c.n})
	if err != nil {
		return err
	}
	row := store.Decision{At: b.cfg.Now(), Principal: s.Principal, Device: s.Device, Action: c.action.String(), Allowed: allowed,
		Rule: d.Rule, Text: text, PolicySHA: b.cfg.Rules.Version().SHA256, Session: s.ID, Inputs: in}
	event := decided(&s, row.Action, allowed, d.Rule, text)
	event.Fields["channel"] = n
	err, kept := b.cfg.Audit.Regardless(ctx, event, func(event ...store.AuditEvent) error {
		return b.cfg.Store.AddDecision(ctx, row, event...)
	})
	return errors.Join(kept, err)
}
