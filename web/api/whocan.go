package api

import (
	"context"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/web/apitype"
)

// whoCan begins with who sees the sessions on the device as its owner. Then it says which groups the policy lets do what on a device, and who of those known here is in them. A group nobody
// of whom has signed in yet is a row too: the right exists.
func (a *API) whoCan(ctx context.Context, who *Asker, in *struct {
	Device string `query:"device" required:"true" maxLength:"63"`
}) (*answer[[]apitype.WhoCan], error) {
	v, dev, err := a.device(ctx, who, in.Device)
	if err != nil {
		return nil, err
	}
	if !v.inside(dev) && !who.has(authz.DutyReview) {
		return nil, who.needs(authz.DutyAdminister)
	}
	people, err := a.cfg.Store.Principals(ctx)
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(people, func(x, y store.Principal) int {
		return strings.Compare(or(x.Name, x.ID.Subject), or(y.Name, y.ID.Subject))
	})
	out, err := a.ownersWho(ctx, v, dev, people)
	if err != nil {
		return nil, err
	}
	out = list(out)
	if dev.State != store.OK { // no session can start there, whatever the rules say
		return body(out)
	}
	for _, e := range v.snap.WhoCan(asked(dev), v.now) {
		row := shownAccess(e)
		before := len(out)
		for _, p := range people {
			if v.snap.Holds(&e, authz.Person{ID: p.ID, Groups: p.Groups}, asked(dev)) {
				row.User = or(p.Name, p.ID.Subject)
				out = append(out, row)
			}
		}
		if len(out) == before && e.Person.IsZero() { // a grant of somebody who has left the group gives nothing
			out = append(out, row)
		}
	}
	return body(out)
}

func shownAccess(e authz.Access) apitype.WhoCan {
	how := e.How
	if e.Terms != "" && e.How != authz.HowNow {
		how += ": " + e.Terms
	}
	return apitype.WhoCan{Group: e.Who, Action: e.Action, Role: e.Role, How: how, Rule: e.Rule, Grant: e.Grant, Until: when(e.Until), Conditions: e.Conditions, Except: e.Except}
}
