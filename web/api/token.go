package api

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/signer"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/internal/wire"
	"github.com/sallyport/sallyport/web/apitype"
	"github.com/sallyport/sallyport/web/login"
)

func (a *API) registerTokens() {
	handle(a, huma.Operation{OperationID: "list-tokens", Method: http.MethodGet, Path: "/api/v1/tokens", Tags: []string{"people"}, Summary: "One's own API tokens; administrators see all"}, a.listTokens)
	handle(a, huma.Operation{OperationID: "create-token", Method: http.MethodPost, Path: "/api/v1/tokens", Tags: []string{"people"}, Middlewares: huma.Middlewares{a.asked},
		Summary: "Make an API token", Description: "Shown once. A token cannot make another one."}, a.createToken)
	handle(a, huma.Operation{OperationID: "revoke-token", Method: http.MethodDelete, Path: "/api/v1/tokens/{id}", Tags: []string{"people"},
		DefaultStatus: http.StatusNoContent, Summary: "Revoke an API token", Description: "One's own, or any with the duty administer. What it has opened ends."}, a.revokeToken)
}

func shownToken(t store.APIToken) apitype.Token {
	return apitype.Token{ID: t.ID, Name: t.Name, Machine: t.Machine, Scopes: list(t.Scopes), Network: t.Network, Created: t.Created.UTC(), Expires: t.Expires.UTC(),
		LastUsed: when(t.LastUsed), Revoked: when(t.Revoked)}
}

func (a *API) listTokens(ctx context.Context, who *Asker, _ *struct{}) (*answer[[]apitype.Token], error) {
	of := who.Person.ID
	if who.has(authz.DutyAdminister) {
		of = id.Principal{} // everybody's
	}
	rows, err := a.cfg.Store.APITokens(ctx, of)
	if err != nil {
		return nil, err
	}
	out := []apitype.Token{}
	for _, t := range rows {
		if of.IsZero() || who.holds(t) {
			out = append(out, shownToken(t))
		}
	}
	return body(out)
}

var scopes = []string{ScopeSession, string(authz.DutyAdminister), string(authz.DutyApprove), string(authz.DutyExport), string(authz.DutyReview)}

func (a *API) createToken(ctx context.Context, who *Asker, in *struct{ Body apitype.TokenNew }) (*answer[apitype.Token], error) {
	if who.Via == ViaToken {
		return nil, errkind.New(errkind.Denied, "an API token cannot make another one").WithHint("Sign in with `sallyport login`.")
	}
	t, err := a.newToken(who, in.Body)
	if err != nil {
		return nil, err
	}
	text := login.PrefixToken + rand.Text() + rand.Text()
	t.Hash = wire.Sum([]byte(text))
	leaf, err := a.cfg.Signer.PutToken(ctx, who.Evidence, signer.Token{ID: t.ID, Hash: t.Hash, Principal: t.Principal, Name: who.name(), Groups: who.Person.Groups,
		Machine: t.Machine, Scopes: t.Scopes, Network: t.Network, Expires: t.Expires})
	if err != nil {
		return nil, err
	}
	err = a.cfg.Store.AddAPIToken(ctx, t)
	if err := errors.Join(err, a.cfg.Audit.Index(ctx, leaf.Index, "token", who.Person.ID.String(), t.ID)); err != nil {
		return nil, err
	}
	out := shownToken(t)
	out.Text = text
	return body(out)
}

// newToken checks what is asked for. A machine's name is worth what the policy says of it, so only administrators give one.
func (a *API) newToken(who *Asker, in apitype.TokenNew) (store.APIToken, error) {
	now := a.cfg.Now().UTC()
	t := store.APIToken{ID: strings.ToLower(rand.Text()[:12]), Name: in.Name, Principal: who.Person.ID, Machine: in.Machine, Scopes: in.Scopes, Network: in.Network,
		Created: now, Expires: now.Add(time.Duration(in.TTLSeconds) * time.Second)}
	for _, s := range in.Scopes {
		if !slices.Contains(scopes, s) {
			return t, errkind.New(errkind.Usage, fmt.Sprintf("%q is not a scope", s)).WithHint("The scopes are " + strings.Join(scopes, ", ") + ".")
		}
		if s == ScopeSession {
			continue
		}
		if err := who.needs(authz.Duty(s)); err != nil {
			return t, err
		}
		if !who.policy.ByToken(authz.Duty(s)) {
			return t, errkind.New(errkind.Denied, fmt.Sprintf("the policy lets no API token use the duty %q", s)).WithHint("See by_token in the policy.")
		}
	}
	if in.Machine != "" {
		if err := who.needs(authz.DutyAdminister); err != nil {
			return t, err
		}
	}
	switch _, err := netip.ParsePrefix(in.Network); {
	case len(in.Scopes) == 0:
		return t, errkind.New(errkind.Usage, "a token without scopes can do nothing").WithHint("The scopes are " + strings.Join(scopes, ", ") + ".")
	case !wire.PlainText(in.Name, 80) || !wire.PlainText(in.Machine, 80):
		return t, errkind.New(errkind.Usage, "the name of a token or a machine is longer than 80 bytes or has control characters").WithHint("Write it shorter, as one line of plain text.")
	case in.Network != "" && err != nil:
		return t, errkind.New(errkind.Usage, fmt.Sprintf("%q is not a network", in.Network)).WithHint("Write it as 198.51.100.0/24.")
	case in.TTLSeconds < 60 || in.TTLSeconds > int64(signer.MaxTokenTime/time.Second):
		return t, errkind.New(errkind.Usage, "a token lives for a minute to 90 days").WithHint("Ask for less, and make another one when it has ended.")
	}
	return t, nil
}

func (a *API) revokeToken(ctx context.Context, who *Asker, in *struct {
	ID string `path:"id" maxLength:"64"`
}) (*nothing, error) {
	t, err := a.cfg.Store.APIToken(ctx, in.ID)
	if err == nil && !who.holds(t) && !who.has(authz.DutyAdminister) {
		err = store.NotFound("API token", in.ID)
	}
	if err != nil {
		return nil, err
	}
	ctx = context.WithoutCancel(ctx) // begun, it is done
	leaf, known := a.cfg.Signer.RevokeToken(ctx, t.ID, "by "+who.name()+", "+who.Person.ID.String())
	if known != nil && errkind.KindOf(known) != errkind.NotFound {
		return nil, known
	}
	if err := a.cfg.Store.RevokeAPIToken(ctx, t.ID, a.cfg.Now()); err != nil {
		return nil, err
	}
	a.cfg.Broker.EndAllOf(login.TokenKey(t.ID), "the API token was revoked")
	if known != nil {
		return nil, nil
	}
	return nil, a.cfg.Audit.Index(ctx, leaf.Index, "token", who.Person.ID.String(), t.ID)
}
