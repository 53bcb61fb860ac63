package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/web/apitype"
)

func (a *API) registerRetention() {
	handle(a, huma.Operation{OperationID: "get-retention-report", Method: http.MethodGet,
		Path: "/api/v1/retention/report", Tags: []string{"evidence"},
		Summary:     "From when recordings may be deleted",
		Description: "With the duty review or administer. Nothing is deleted. Each date is the gateway's copy of what the log promised when the session began. Neither the log nor the recordings are read, and recordings without a row in the database are not counted."}, a.retentionReport)
}

func (a *API) retentionReport(ctx context.Context, who *Asker, _ *nothing) (*answer[apitype.Retention], error) {
	if !who.has(authz.DutyAdminister) {
		if err := who.needs(authz.DutyReview); err != nil {
			return nil, err
		}
	}
	now := a.cfg.Now().UTC()
	rows, err := a.cfg.Store.Retained(ctx, now)
	if err != nil {
		return nil, err
	}
	out := apitype.Retention{At: now, Groups: []apitype.Retained{}}
	for _, g := range rows {
		out.Groups = append(out.Groups, apitype.Retained{Class: g.Class, Month: g.Month, Recordings: g.Recordings,
			Bytes:  g.Bytes,
			Oldest: when(g.Oldest), First: when(g.First), Due: g.Due, DueBytes: g.DueBytes})
	}
	return body(out)
}
