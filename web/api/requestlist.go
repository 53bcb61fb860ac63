package api

import (
	"context"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/internal/store"
)

// requestsFor lists the requests that a caller can see; with toAnswer only those that they can answer now.
func (a *API) requestsFor(ctx context.Context, who *Asker, f store.RequestFilter, toAnswer bool) ([]store.Request, int, view, error) {
	v, err := a.view(ctx, who)
	if err != nil {
		return nil, 0, v, err
	}
	f.Sight = v.requestSight()
	if toAnswer {
		f.Answer = a.answerable(&v)
	}
	rows, total, err := a.cfg.Store.Requests(ctx, f)
	return rows, total, v, err
}

// requestSight says what requests the caller sees: nil for all.
func (v *view) requestSight() *store.Sight {
	if v.who.any(authz.DutyReview, authz.DutyApprove, authz.DutyAdminister) {
		return nil
	}
	s := &store.Sight{Sites: v.sites}
	if v.who.Person.Machine == "" { // a machine's principal is its maker's
		s.Principal = v.who.Person.ID
	}
	return s
}

// answerable is speaks for the database. It asks of each rule whether the caller can approve any request under it, or only
// one for a site of theirs.
func (a *API) answerable(v *view) *store.Answer {
	out := &store.Answer{By: v.who.Person.ID, At: v.now, Sites: v.sites}
	for _, rule := range v.snap.Policy.RequestRules() {
		everywhere := a.named(v, &store.Request{Rule: rule})
		if everywhere || len(v.sites) > 0 && a.named(v, &store.Request{Rule: rule, Site: v.sites[0]}) {
			out.Rules = append(out.Rules, store.AnswerRule{Rule: rule, OwnSite: !everywhere})
		}
	}
	return out
}
