package api

import (
	"context"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/web/apitype"
)

// shownReview gives the review of an emergency grant; nil for any other.
func shownReview(v *view, q *store.Request) *apitype.Review {
	if !q.Emergency {
		return nil
	}
	return &apitype.Review{Due: q.ReviewBy, Overdue: q.Reviewed.IsZero() && v.now.After(q.ReviewBy), At: when(q.Reviewed), By: q.Reviewer, Note: q.Review,
		MayReview: v.reviews(q)}
}

// reviews reports whether the caller can review an emergency grant now. The desk checks it again.
func (v *view) reviews(q *store.Request) bool {
	over := !q.Ended.IsZero() || !v.now.Before(q.Until)
	took := func(a store.Approval) bool { return v.snap.Policy.Same(a.Who, v.who.Person.ID) }
	return over && q.Reviewed.IsZero() && !v.snap.Policy.Same(q.Who, v.who.Person.ID) && !slices.ContainsFunc(q.Approvals, took) && v.who.has(authz.DutyReview)
}

func (a *API) reviewGrant(ctx context.Context, who *Asker, in *struct {
	RequestID
	Body apitype.ReviewNew
}) (*answer[apitype.Grant], error) {
	if err := who.needs(authz.DutyReview); err != nil {
		return nil, err
	}
	if in.ID == "last" {
		return nil, errkind.New(errkind.Usage, "a grant is reviewed by its id").WithHint("`sallyport grants list --to-review` shows the ids.")
	}
	if strings.TrimSpace(in.Body.Note) == "" {
		return nil, errkind.New(errkind.Usage, "a note is required for a review").WithHint("Write what you found.")
	}
	if err := oneLine("note", in.Body.Note); err != nil {
		return nil, err
	}
	q, v, err := a.request(ctx, who, in.ID, store.RequestFilter{Granted: true})
	if err != nil {
		return nil, err
	}
	if q, err = a.cfg.Desk.Review(ctx, who.Person, q.ID, in.Body.Note); err != nil {
		return nil, err
	}
	return body(shownGrant(&v, q))
}
