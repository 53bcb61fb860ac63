package api

import (
	"context"
	"strings"
	"time"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/web/apitype"
)

func (a *API) shownRequest(v *view, q store.Request) apitype.Request {
	q = a.cfg.Desk.Late(q)
	out := apitype.Request{ID: q.ID, Device: q.Device, Site: q.Site, Login: loginOf(q.Actions), Rule: q.Rule, Actions: q.Actions, Minutes: int(q.For / time.Minute),
		Reason: q.Reason, Ticket: q.Ticket, State: q.State, Needs: []apitype.Need{}, By: or(q.Name, q.Who.Subject), Subject: q.Who.Subject, Via: "web", Address: q.Address,
		Approvers: approverNames(q), Created: q.Asked, Expires: q.Expires, Decided: when(q.Decided), Answered: q.By, Answer: q.Answer,
		Mine: v.asked(&q), MayAnswer: a.speaks(v, &q), MayWithdraw: a.mayWithdraw(v, &q), Emergency: q.Emergency, Review: shownReview(v, &q)}
	if q.ViaToken != "" {
		out.Via = "token"
	}
	if !q.From.IsZero() {
		out.Grant, out.Ends = &q.ID, when(q.Until)
		if !q.Ended.IsZero() {
			out.Ends = when(q.Ended)
		}
	}
	var voices [][]string
	for _, x := range q.Approvals {
		voices = append(voices, x.For)
	}
	agree, _, _, _ := v.snap.Policy.Needs(q.Rule)
	missing := authz.Missing(agree, voices)
	for _, n := range agree {
		left := 0
		for _, m := range missing {
			if m.From == n.From {
				left = m.Count
			}
		}
		out.Needs = append(out.Needs, apitype.Need{From: n.From, Count: n.Count, Have: n.Count - left})
	}
	return out
}

func approverNames(q store.Request) []string {
	out := []string{}
	for _, x := range q.Approvals {
		out = append(out, or(x.Name, x.Who.Subject))
	}
	return out
}

// loginOf gives the login of the first terminal or command.
func loginOf(actions []string) string {
	for _, word := range actions {
		kind, rest, _ := strings.Cut(word, ":")
		if kind == authz.Shell.Word() || kind == authz.Run.Word() {
			login, _, _ := strings.Cut(rest, " ")
			return login
		}
	}
	return ""
}

func (a *API) listGrants(ctx context.Context, who *Asker, in *struct {
	Mine   bool   `query:"mine" doc:"only one's own"`
	Review bool   `query:"to_review" doc:"only emergency grants that nobody has reviewed"`
	Device string `query:"device" maxLength:"63"`
	Page   int    `query:"page" minimum:"1" maximum:"100000" default:"1"`
	Size   int    `query:"size" minimum:"1" maximum:"500" default:"50"`
}) (*answer[apitype.GrantPage], error) {
	f := store.RequestFilter{Device: id.Device(in.Device), Granted: true, ToReview: in.Review, Page: store.Page{Number: in.Page, Size: in.Size}}
	if in.Mine {
		f.Who = who.Person.ID
	}
	rows, total, v, err := a.requestsFor(ctx, who, f, false)
	if err != nil {
		return nil, err
	}
	out := apitype.GrantPage{Grants: make([]apitype.Grant, len(rows)), Total: total, Page: in.Page, Size: in.Size}
	for i := range rows {
		out.Grants[i] = shownGrant(&v, rows[i])
	}
	return body(out)
}

func (a *API) getGrant(ctx context.Context, who *Asker, in *RequestID) (*answer[apitype.Grant], error) {
	q, v, err := a.request(ctx, who, in.ID, store.RequestFilter{Granted: true})
	if err != nil {
		return nil, err
	}
	out := shownGrant(&v, q)
	if out.Used, err = a.usedUnder(ctx, who, &q); err != nil {
		return nil, err
	}
	return body(out)
}

// usedUnder gives the newest sessions under a grant, as far as the caller sees them. Their number and the time in them are
// of all sessions under it.
func (a *API) usedUnder(ctx context.Context, who *Asker, q *store.Request) (*apitype.GrantUse, error) {
	f := store.SessionFilter{Grant: q.ID, Page: store.Page{Number: 1, Size: store.MaxPage}}
	newest, total, err := a.cfg.Store.Sessions(ctx, f)
	if err != nil {
		return nil, err
	}
	sight, err := a.sight(ctx, who)
	if err != nil {
		return nil, err
	}
	if total == 0 && q.State == store.RequestUsed { // from before this was kept
		return nil, nil
	}
	out := &apitype.GrantUse{Sessions: []apitype.Session{}, Total: total}
	for _, s := range newest {
		if sees(sight, s) {
			out.Sessions = append(out.Sessions, shownSession(who, s))
		}
	}
	for page := newest; len(page) > 0; {
		for _, s := range page {
			out.Seconds += int64(overlap(q, s, a.cfg.Now()) / time.Second)
		}
		if len(page) < store.MaxPage {
			break
		}
		f.Before = page[len(page)-1].ID
		if page, _, err = a.cfg.Store.Sessions(ctx, f); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// overlap is how much of a session lies within the time of a grant.
func overlap(q *store.Request, s store.Session, now time.Time) time.Duration {
	if s.Started.IsZero() {
		return 0
	}
	from, to := latest(q.From, s.Started), now
	for _, end := range []time.Time{s.Ended, q.Ended, q.Until} {
		if !end.IsZero() && end.Before(to) {
			to = end
		}
	}
	return max(to.Sub(from), 0)
}

func latest(x, y time.Time) time.Time {
	if x.After(y) {
		return x
	}
	return y
}

func shownGrant(v *view, q store.Request) apitype.Grant {
	out := apitype.Grant{ID: q.ID, Device: q.Device, Site: q.Site, Login: loginOf(q.Actions), Actions: q.Actions, Who: or(q.Name, q.Who.Subject), Subject: q.Who.Subject,
		Rule: q.Rule, Approvers: approverNames(q), Starts: q.From, Ends: q.Until, State: "active", Reason: q.Reason, Ticket: q.Ticket, Mine: v.asked(&q),
		Emergency: q.Emergency, Review: shownReview(v, &q)}
	switch {
	case !q.Ended.IsZero():
		out.State, out.Withdrawn, out.By, out.Why = "withdrawn", when(q.Ended), q.By, q.Answer
	case !v.now.Before(q.Until):
		out.State = "ended"
	}
	return out
}
