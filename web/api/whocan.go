package api

import (
	"cmp"
	"context"
	"slices"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/web/apitype"
)

// whoCan goes through everybody who is known here: a right that nobody holds is not an answer to the question.
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
	out := []apitype.WhoCan{}
	for _, p := range people {
		person := authz.Person{ID: p.ID, Name: p.Name, Groups: p.Groups, SecondFactorAt: v.now}
		reach := v.snap.Reach(person, asked(dev), v.now)
		name := or(p.Name, p.ID.Subject)
		out = append(out, rowsOf(name, "now", reach.Open)...)
		out = append(out, rowsOf(name, "at other times", reach.Later)...)
		out = append(out, rowsOf(name, "may ask", reach.Ask)...)
	}
	slices.SortStableFunc(out, func(x, y apitype.WhoCan) int {
		return cmp.Or(cmp.Compare(x.User, y.User), cmp.Compare(x.Action, y.Action))
	})
	return body(out)
}

func rowsOf(name, how string, offers []authz.Offer) []apitype.WhoCan {
	var out []apitype.WhoCan
	for _, o := range offers {
		said := how
		if o.Text != "" {
			said += ": " + o.Text
		}
		for _, r := range o.Rights {
			out = append(out, apitype.WhoCan{User: name, Action: r.Action, How: said, Rule: o.Rule})
		}
	}
	return out
}
