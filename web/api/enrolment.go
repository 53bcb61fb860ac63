package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/internal/enroll"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/web/apitype"
)

func (a *API) registerEnrolment() {
	handle(a, huma.Operation{OperationID: "list-enroll-tokens", Method: http.MethodGet, Path: "/api/v1/enroll-tokens", Tags: []string{"devices"},
		Summary: "Join codes, without the codes", Description: "Needs the duty administer."}, a.listEnrollTokens)
	handle(a, huma.Operation{OperationID: "create-enroll-token", Method: http.MethodPost, Path: "/api/v1/enroll-tokens", Tags: []string{"devices"},
		Summary: "Make a join code", Description: "Needs the duty administer. The code is shown once."}, a.createEnrollToken)
	handle(a, huma.Operation{OperationID: "revoke-enroll-token", Method: http.MethodDelete, Path: "/api/v1/enroll-tokens/{id}", Tags: []string{"devices"},
		DefaultStatus: http.StatusNoContent, Summary: "End a join code", Description: "Needs the duty administer. Devices that came by it stay."}, a.revokeEnrollToken)
}

func (a *API) listEnrollTokens(ctx context.Context, who *Asker, _ *struct{}) (*answer[[]apitype.EnrollToken], error) {
	if err := who.needs(authz.DutyAdminister); err != nil {
		return nil, err
	}
	rows, err := a.cfg.Office.Tokens(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]apitype.EnrollToken, len(rows))
	for i, t := range rows {
		out[i] = shownEnrollToken(t)
	}
	return body(out)
}

func shownEnrollToken(t store.JoinToken) apitype.EnrollToken {
	out := apitype.EnrollToken{ID: enroll.TokenID(t.ID), Name: t.Name, Site: t.Site, Labels: t.Labels, Uses: t.Uses, UsesLeft: t.UsesLeft, Created: t.Created.UTC(),
		CreatedBy: t.CreatedBy, Expires: t.Expires.UTC(), Revoked: when(t.Revoked), ExpectSerial: t.Serial}
	for _, u := range t.Used {
		out.UsedBy = append(out.UsedBy, fmt.Sprintf("%s, %s from %s at %s", u.Name, enroll.Fingerprint(u.FP), u.Addr, u.At.UTC().Format("2006-01-02 15:04 UTC")))
	}
	return out
}

// tokenSpec reads what is asked for. What is left out has a default; a 0 that somebody wrote is a mistake, as any other number
// that nobody could use.
func tokenSpec(b apitype.EnrollTokenNew) (enroll.TokenSpec, error) {
	s := enroll.TokenSpec{Name: b.Name, Site: b.Site, Labels: b.Labels, Uses: 1, TTL: enroll.DefaultTTL, Serial: b.ExpectSerial}
	if b.Uses != nil {
		s.Uses = *b.Uses
	}
	if b.TTLSeconds != nil { // bounded before it is a time, which a large number would turn over
		s.TTL = time.Duration(min(max(*b.TTLSeconds, -1), int64(enroll.MaxTTL/time.Second)+1)) * time.Second
	}
	return s, errors.Join(enroll.CheckUses(s.Uses), enroll.CheckTTL(s.TTL))
}

func (a *API) createEnrollToken(ctx context.Context, who *Asker, in *struct{ Body apitype.EnrollTokenNew }) (*answer[apitype.EnrollToken], error) {
	if err := who.needs(authz.DutyAdminister); err != nil {
		return nil, err
	}
	spec, err := tokenSpec(in.Body)
	if err == nil {
		err = who.fitting(spec.Labels)
	}
	if err != nil {
		return nil, err
	}
	code, t, err := a.cfg.Office.CreateToken(ctx, who.actor(), spec)
	if err != nil {
		return nil, err
	}
	out := shownEnrollToken(t)
	out.Code = code.String()
	out.Command = "sallyport-agent enroll " + out.Code
	return body(out)
}

func (a *API) revokeEnrollToken(ctx context.Context, who *Asker, in *struct {
	ID string `path:"id" maxLength:"32"`
}) (*nothing, error) {
	if err := who.needs(authz.DutyAdminister); err != nil {
		return nil, err
	}
	token, err := enroll.ParseTokenID(in.ID)
	if err != nil {
		return nil, err
	}
	return nil, a.cfg.Office.RevokeToken(ctx, who.actor(), token)
}
