package api

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/internal/wire"
	"github.com/sallyport/sallyport/web/apitype"
)

func (a *API) registerPeople() {
	huma.Register(a.huma, complete(huma.Operation{OperationID: "get-signin", Method: http.MethodGet, Path: "/api/v1/signin", Tags: []string{"people"},
		Summary: "What the sign-in page shows"}), a.getSignIn)
	handle(a, huma.Operation{OperationID: "get-me", Method: http.MethodGet, Path: "/api/v1/me", Tags: []string{"people"}, Summary: "Who calls"}, a.getMe)
	handle(a, huma.Operation{OperationID: "sign-out-person", Method: http.MethodPost, Path: "/api/v1/people/sign-out",
		Tags: []string{"people"}, Middlewares: huma.Middlewares{a.asked}, Summary: "Sign a person out everywhere",
		Description: "Needs the duty administer. All browsers and command lines of the person are signed out, and " +
			"what they opened ends. API tokens stay. The person may sign in again."}, a.signOutPerson)
	handle(a, huma.Operation{OperationID: "get-work", Method: http.MethodGet, Path: "/api/v1/work", Tags: []string{"people"},
		Summary: "My work: what can be opened now, what can be asked for"}, a.getWork)
}

func (a *API) getSignIn(context.Context, *struct{}) (*answer[apitype.SignIn], error) {
	s := a.cfg.Site
	return body(apitype.SignIn{SiteName: s.Name, Notice: list(s.Notice), Providers: list(s.Providers), Demo: s.Demo})
}

func (a *API) getMe(ctx context.Context, who *Asker, _ *struct{}) (*answer[apitype.Me], error) {
	p := who.Person
	out := apitype.Me{Name: who.name(), Issuer: p.ID.Issuer, Subject: p.ID.Subject, Provider: who.Provider, Groups: list(p.Groups), Via: who.Via,
		SignedInAt: when(who.SignedInAt), SecondFactorAt: when(p.SecondFactorAt), Expires: who.Expires.UTC(),
		NoRefresh: who.NoRefresh, SiteName: a.cfg.Site.Name, Demo: a.cfg.Site.Demo, Mail: a.mailed(ctx, who),
		Roles: list(who.policy.Roles(p.Groups)), Duties: []string{}}
	if p.Machine != "" { // its maker's groups only close rules for it
		out.Groups, out.Roles = []string{}, []string{}
	}
	for _, d := range []authz.Duty{authz.DutyAdminister, authz.DutyApprove, authz.DutyReview, authz.DutyUnseal, authz.DutyOwn} {
		if who.has(d) {
			out.Duties = append(out.Duties, string(d))
		}
	}
	return body(out)
}

func (a *API) signOutPerson(ctx context.Context, who *Asker, in *struct{ Body apitype.PersonSignOut }) (
	*answer[apitype.PersonSignedOut], error) {
	if err := who.needs(authz.DutyAdminister); err != nil {
		return nil, err
	}
	if in.Body.User == "" || in.Body.Reason == "" || !wire.PlainText(in.Body.Reason, 500) {
		return nil, errkind.New(errkind.Usage, "signing a person out needs a name and a reason").
			WithHint("Write the reason as one line of at most 500 bytes, without control characters.")
	}
	p, err := a.person(ctx, who, in.Body.User)
	if err != nil {
		return nil, err
	}
	if p.Machine != "" {
		return nil, errkind.New(errkind.Usage, in.Body.User+" is a machine, which has no sign-in").
			WithHint("`sallyport token revoke` revokes its API token.")
	}
	n, err := a.cfg.SignOut(ctx, p.ID, who.Person.ID, in.Body.Reason)
	if err != nil {
		return nil, err
	}
	return body(apitype.PersonSignedOut{Ended: n, Name: p.Name, Subject: p.ID.Subject})
}

// recent is how many own sessions My work shows.
const recent = 10

func (a *API) getWork(ctx context.Context, who *Asker, _ *struct{}) (*answer[apitype.MyWork], error) {
	v, devices, err := a.visible(ctx, who, a.cfg.Store.AllDevices)
	if err != nil {
		return nil, err
	}
	live, _, err := a.cfg.Store.Sessions(ctx, store.SessionFilter{Sight: who.own(), States: running, Page: store.Page{Size: 100}})
	if err != nil {
		return nil, err
	}
	last, _, err := a.cfg.Store.Sessions(ctx, store.SessionFilter{Sight: who.own(), Page: store.Page{Size: recent}})
	if err != nil {
		return nil, err
	}
	out := apitype.MyWork{Devices: []apitype.Work{}, Recent: []apitype.Session{}}
	for _, d := range devices {
		if w, mine := a.work(v, d); mine {
			w.Sessions = liveOn(who, live, d)
			out.Devices = append(out.Devices, w)
		}
	}
	slices.SortStableFunc(out.Devices, byUse)
	for _, s := range last {
		out.Recent = append(out.Recent, shownSession(who, s))
	}
	return body(out)
}

// byUse puts first what can be opened now.
func byUse(x, y apitype.Work) int {
	rank := func(w apitype.Work) int {
		switch {
		case len(w.CanOpen) > 0 && w.Refused == "":
			return 0
		case len(w.CanOpen) > 0:
			return 1
		}
		return 2
	}
	if d := rank(x) - rank(y); d != 0 {
		return d
	}
	return strings.Compare(string(x.Device.Name), string(y.Device.Name))
}

func liveOn(who *Asker, live []store.Session, d store.Device) []apitype.Session {
	var out []apitype.Session
	for _, s := range live {
		if s.Device == d.Name {
			out = append(out, shownSession(who, s))
		}
	}
	return out
}

// work says what the caller may do on one device; false if it is none of their work.
func (a *API) work(v view, d store.Device) (apitype.Work, bool) {
	if d.State == store.Waiting || d.State == store.Revoked {
		return apitype.Work{}, false
	}
	reach := v.snap.Reach(v.who.Person, asked(d), v.now)
	if !reach.Visible {
		return apitype.Work{}, false
	}
	w := apitype.Work{Device: a.shownDevice(v, d), CanOpen: a.rights(reach.Open), CanAsk: append(a.rights(reach.Later), a.rights(reach.Ask)...)}
	w.Refused = unfit(d, w)
	return w, true
}

// unfit says in a sentence why nothing can be opened now.
func unfit(d store.Device, w apitype.Work) string {
	name := string(d.Name)
	switch {
	case len(w.Device.Problems) > 0:
		return "Nobody can reach " + name + ": " + strings.Join(w.Device.Problems, "; ") + "."
	case d.State == store.Disputed:
		return name + " is disputed: two machines show the same key."
	case d.State != store.OK:
		return name + " is " + string(d.State) + "."
	case d.Frozen:
		return name + " is frozen by its owner."
	case !d.Online() && d.LastSeen.IsZero():
		return name + " has not been online yet."
	case !d.Online():
		return name + " is offline since " + d.LastSeen.UTC().Format("2006-01-02 15:04 UTC") + "."
	}
	return ""
}

func (a *API) rights(offers []authz.Offer) []apitype.Right {
	out := []apitype.Right{}
	for _, o := range offers {
		for _, r := range o.Rights {
			right := apitype.Right{Action: r.Action, Login: r.Login, Text: r.Text, Rule: o.Rule, Role: o.Role, Until: when(o.Until), MaxSeconds: int64(a.cfg.SessionTime / time.Second)}
			if o.Text != "" {
				right.Open = []string{o.Text}
			}
			right.Emergency = o.Via == "emergency"
			if o.Via == "request" || right.Emergency {
				right.AskMinutes, right.AskFor = int(o.AtMost/time.Minute), o.AskFor
				for _, n := range o.Agree {
					right.Agree = append(right.Agree, apitype.Need{From: n.From, Count: n.Count})
				}
			}
			out = append(out, right)
		}
	}
	return out
}
