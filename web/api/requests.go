package api

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/gateway/requests"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/signer"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/internal/wire"
	"github.com/sallyport/sallyport/web/apitype"
)

// Desk takes requests and answers. *requests.Desk is one.
type Desk interface {
	Ask(ctx context.Context, a requests.Question) (store.Request, error)
	Approve(ctx context.Context, who authz.Person, by signer.Evidence, request string, less requests.Less) (store.Request, error)
	Deny(ctx context.Context, who authz.Person, request, why string) (store.Request, error)
	Withdraw(ctx context.Context, who authz.Person, request, why string, may bool) (store.Request, error)
	Speaks(who authz.Person, q *store.Request, owner bool) bool
	More(ctx context.Context, m requests.More) (store.Request, error)
	Review(ctx context.Context, who authz.Person, request, note string) (store.Request, error)
	Alone(ctx context.Context, change func() error) error
	Late(q store.Request) store.Request
	Used(ctx context.Context, session id.Session, grant string)
	WatchOnline(ctx context.Context, who id.Principal, dev store.Device) error
}

func (a *API) registerRequests() {
	op := func(name, method, path, summary, text string) huma.Operation {
		return huma.Operation{OperationID: name, Method: method, Path: path, Tags: []string{"requests"}, Summary: summary, Description: text}
	}
	const sees = "Everybody sees their own, and those that they can answer; owners those for their devices; the duties review, approve and administer see all."
	handle(a, op("list-requests", http.MethodGet, "/api/v1/requests", "Requests, newest first", sees), a.listRequests)
	ask := op("ask", http.MethodPost, "/api/v1/requests", "Ask for a right", "For a role or for single actions on a device, as a request rule of the policy lets the caller.")
	ask.Middlewares = huma.Middlewares{a.asked}
	handle(a, ask, a.askFor)
	handle(a, op("get-request", http.MethodGet, "/api/v1/requests/{id}", "One request", sees), a.getRequest)
	handle(a, op("approve-request", http.MethodPost, "/api/v1/requests/{id}/approve", "Approve a request in full or in part",
		"Needs the duty approve and a group that the rule names. For @owner: the duty own at this site, and a sign-in. Nobody can approve their own request."), a.approveRequest)
	handle(a, op("deny-request", http.MethodPost, "/api/v1/requests/{id}/deny", "Deny a request", "For those who can approve it."), a.denyRequest)
	handle(a, op("withdraw-request", http.MethodPost, "/api/v1/requests/{id}/withdraw", "Take back one's own request, or a grant",
		"A grant can be withdrawn by its holder, by owners of the site, and with the duty approve or administer."), a.withdrawRequest)
	handle(a, op("list-grants", http.MethodGet, "/api/v1/grants", "Grants, newest first", sees), a.listGrants)
	handle(a, op("review-grant", http.MethodPost, "/api/v1/grants/{id}/review", "Review an emergency grant",
		"Needs the duty review. Not for one's own, and not while the grant is in force."), a.reviewGrant)
	handle(a, op("get-grant", http.MethodGet, "/api/v1/grants/{id}", "One grant", sees), a.getGrant)
}

// RequestID is the part of an address that names a request. It is exported for huma, which fills embedded fields only then.
type RequestID struct {
	ID string `path:"id" minLength:"1" maxLength:"26" doc:"an id, a unique beginning of one, or last"`
}

type listRequests struct {
	Mine   bool   `query:"mine" doc:"only one's own"`
	Answer bool   `query:"answer" doc:"only those that the caller can answer now"`
	Review bool   `query:"to_review" doc:"only emergency grants that nobody has reviewed"`
	Device string `query:"device" maxLength:"63"`
	State  string `query:"state" maxLength:"100" doc:"one or more states, with commas between"`
	Page   int    `query:"page" minimum:"1" maximum:"100000" default:"1"`
	Size   int    `query:"size" minimum:"1" maximum:"500" default:"50"`
}

var requestStates = []string{store.RequestPending, store.RequestApproved, store.RequestUsed, store.RequestDenied, store.RequestWithdrawn, store.RequestExpired}

func (in *listRequests) filter() (store.RequestFilter, error) {
	f := store.RequestFilter{Device: id.Device(in.Device), ToReview: in.Review, Page: store.Page{Number: in.Page, Size: in.Size}}
	for _, s := range strings.Split(in.State, ",") {
		switch {
		case s == "":
		case slices.Contains(requestStates, s):
			f.States = append(f.States, s)
		default:
			return f, errkind.New(errkind.Usage, fmt.Sprintf("%q is not a state of a request", s)).WithHint("The states are " + strings.Join(requestStates, ", ") + ".")
		}
	}
	return f, nil
}

func (a *API) listRequests(ctx context.Context, who *Asker, in *listRequests) (*answer[apitype.RequestPage], error) {
	f, err := in.filter()
	if err != nil {
		return nil, err
	}
	if in.Mine {
		f.Who = who.Person.ID
	}
	rows, total, v, err := a.requestsFor(ctx, who, f, in.Answer)
	if err != nil {
		return nil, err
	}
	out := apitype.RequestPage{Requests: make([]apitype.Request, len(rows)), Total: total, Page: in.Page, Size: in.Size}
	for i := range rows {
		out.Requests[i] = a.shownRequest(&v, rows[i])
	}
	return body(out)
}

// speaks reports whether the caller can answer a pending request. An API token needs its scope.
func (a *API) speaks(v *view, q *store.Request) bool {
	return q.State == store.RequestPending && a.cfg.Now().Before(q.Expires) && a.named(v, q) &&
		!slices.ContainsFunc(q.Approvals, func(x store.Approval) bool { return v.snap.Policy.Same(x.Who, v.who.Person.ID) })
}

// named reports whether the caller can approve requests like this one.
func (a *API) named(v *view, q *store.Request) bool {
	owner := v.owns(q.Site)
	return (owner || v.who.has(authz.DutyApprove)) && a.cfg.Desk.Speaks(v.who.Person, q, owner)
}

// asked reports whether a request is the caller's own. A machine has none: its principal is its maker's.
func (v *view) asked(q *store.Request) bool {
	return q.Who == v.who.Person.ID && v.who.Person.Machine == ""
}

// mayWithdraw reports whether the caller can take back a pending request or take away a grant in force.
func (a *API) mayWithdraw(v *view, q *store.Request) bool {
	switch q.State {
	case store.RequestPending:
		return v.asked(q)
	case store.RequestApproved, store.RequestUsed:
		return a.cfg.Now().Before(q.Until) && (v.asked(q) || v.withdraws(q))
	}
	return false
}

// withdraws reports whether the caller can take away the grants of others on this device.
func (v *view) withdraws(q *store.Request) bool {
	return v.owns(q.Site) || v.who.any(authz.DutyApprove, authz.DutyAdminister)
}

func (v *view) owns(site string) bool { return site != "" && slices.Contains(v.sites, site) }

// request finds one by its id, a unique beginning of it, or as the newest.
func (a *API) request(ctx context.Context, who *Asker, name string, f store.RequestFilter) (store.Request, view, error) {
	if name != "last" {
		f.ID = name
	}
	rows, _, v, err := a.requestsFor(ctx, who, f, false)
	switch {
	case err != nil:
		return store.Request{}, v, err
	case len(rows) == 0 && f.Granted:
		return store.Request{}, v, errkind.New(errkind.NotFound, "no grant of this id is visible to you").WithHint("`sallyport grants list` shows them.")
	case len(rows) == 0:
		return store.Request{}, v, errkind.New(errkind.NotFound, "no request of this id is visible to you").WithHint("`sallyport request list` shows them.")
	case len(rows) > 1 && name != "last":
		return store.Request{}, v, errkind.New(errkind.Usage, fmt.Sprintf("more than one id begins with %s", name)).WithHint("Give more of it.")
	}
	return rows[0], v, nil
}

func (a *API) getRequest(ctx context.Context, who *Asker, in *RequestID) (*answer[apitype.Request], error) {
	q, v, err := a.request(ctx, who, in.ID, store.RequestFilter{})
	if err != nil {
		return nil, err
	}
	return body(a.shownRequest(&v, q))
}

func (a *API) askFor(ctx context.Context, who *Asker, in *struct{ Body apitype.RequestNew }) (*answer[apitype.Request], error) {
	if err := who.mayOpen(); err != nil {
		return nil, err
	}
	b := in.Body
	if (b.Role == "") == (len(b.Actions) == 0) {
		return nil, errkind.New(errkind.Usage, "exactly one of role and actions is required")
	}
	v, dev, err := a.device(ctx, who, b.Device)
	if err != nil {
		return nil, err
	}
	for what, text := range map[string]string{"reason": b.Reason, "ticket": b.Ticket} {
		if err := oneLine(what, text); err != nil {
			return nil, err
		}
	}
	q, err := a.cfg.Desk.Ask(ctx, requests.Question{Person: who.Person, Device: dev, Rule: b.Rule, Role: b.Role, Actions: b.Actions, Login: b.Login,
		Emergency: b.Emergency,
		For:       time.Duration(b.Minutes) * time.Minute, Reason: b.Reason, Ticket: b.Ticket, ViaToken: who.Token, Evidence: who.Evidence})
	if err != nil {
		return nil, err
	}
	return body(a.shownRequest(&v, q))
}

func (a *API) approveRequest(ctx context.Context, who *Asker, in *struct {
	RequestID
	Body apitype.RequestApprove
}) (*answer[apitype.Request], error) {
	q, v, err := a.answered(ctx, who, in.ID)
	if err != nil {
		return nil, err
	}
	less := requests.Less{For: time.Duration(in.Body.Minutes) * time.Minute, Actions: in.Body.Actions}
	if q, err = a.cfg.Desk.Approve(ctx, who.Person, who.Evidence, q.ID, less); err != nil {
		return nil, err
	}
	return body(a.shownRequest(&v, q))
}

// answered finds a request that the caller answers. It has to be named: last would be whichever came in meanwhile.
func (a *API) answered(ctx context.Context, who *Asker, name string) (store.Request, view, error) {
	if name == "last" {
		return store.Request{}, view{}, errkind.New(errkind.Usage, "`last` cannot be approved or denied: give the request's id").
			WithHint("`sallyport request list --answer` shows the ids.")
	}
	q, v, err := a.request(ctx, who, name, store.RequestFilter{})
	if err == nil && who.Via == ViaToken && !v.asked(&q) {
		err = who.needs(authz.DutyApprove)
	}
	return q, v, err
}

type endRequest struct {
	RequestID
	Body apitype.RequestEnd
}

func (a *API) denyRequest(ctx context.Context, who *Asker, in *endRequest) (*answer[apitype.Request], error) {
	if strings.TrimSpace(in.Body.Reason) == "" {
		return nil, errkind.New(errkind.Usage, "a reason is required to deny a request").WithHint("The requester reads it.")
	}
	if _, _, err := a.answered(ctx, who, in.ID); err != nil {
		return nil, err
	}
	return a.endRequest(ctx, who, in, func(_ *view, q store.Request) (store.Request, error) {
		return a.cfg.Desk.Deny(ctx, who.Person, q.ID, in.Body.Reason)
	})
}

func (a *API) withdrawRequest(ctx context.Context, who *Asker, in *endRequest) (*answer[apitype.Request], error) {
	return a.endRequest(ctx, who, in, func(v *view, q store.Request) (store.Request, error) {
		if in.ID == "last" { // the newest request that the caller may see
			return q, errkind.New(errkind.Usage, "a request is withdrawn by its id").WithHint("`sallyport request list --mine` shows the ids.")
		}
		if who.Person.Machine != "" {
			return q, errkind.New(errkind.Denied, "a service account cannot withdraw requests or grants")
		}
		return a.cfg.Desk.Withdraw(ctx, who.Person, q.ID, in.Body.Reason, v.withdraws(&q))
	})
}

func (a *API) endRequest(ctx context.Context, who *Asker, in *endRequest, end func(*view, store.Request) (store.Request, error)) (*answer[apitype.Request], error) {
	q, v, err := a.request(ctx, who, in.ID, store.RequestFilter{})
	if err == nil {
		err = oneLine("reason", in.Body.Reason)
	}
	if err == nil {
		q, err = end(&v, q)
	}
	if err != nil {
		return nil, err
	}
	return body(a.shownRequest(&v, q))
}

// oneLine refuses control characters, line breaks and characters that change the direction of writing: others read these
// texts, also on a device.
func oneLine(what, text string) error {
	if wire.PlainText(text, 4*authz.MaxReason) {
		return nil
	}
	return errkind.New(errkind.Usage, fmt.Sprintf("the %s has control characters or is too long", what)).WithHint("Write it as one line of plain text.")
}
