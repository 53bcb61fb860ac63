package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sallyport/sallyport/gateway/requests"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/web/apitype"
)

func (a *API) registerMoreTime() {
	more := huma.Operation{OperationID: "more-time", Method: http.MethodPost, Path: "/api/v1/sessions/{id}/more-time", Tags: []string{"sessions"},
		Summary: "Request more time for a running session", Description: "For the caller's own session. If the policy or a grant allows it for longer, the " +
			"session gets its next pass and continues. Otherwise the gateway makes a request for the same right and returns it. When it is " +
			"approved, the session's terminal gets the session message more-time. Call again then, with take."}
	more.Middlewares = huma.Middlewares{a.asked}
	handle(a, more, a.moreTime)
}

func (a *API) moreTime(ctx context.Context, who *Asker, in *struct {
	SessionID
	Body apitype.MoreTimeAsk
}) (*answer[apitype.MoreTime], error) {
	s, err := a.find(ctx, who, in.ID)
	if err == nil {
		err = who.mayOpen()
	}
	if err == nil {
		err = oneLine("reason", in.Body.Reason)
	}
	if err != nil {
		return nil, err
	}
	if !who.opened(s) {
		return nil, errkind.New(errkind.Denied, "only the technician of a session can request more time for it").
			WithHint("Ask them to press \"Request more time\", or open your own session.")
	}
	more, err := a.cfg.Broker.MoreTime(ctx, s.ID, who.Evidence)
	if err != nil {
		return nil, err
	}
	out := apitype.MoreTime{Until: more.Until, Extended: more.Moved}
	if more.Moved {
		a.cfg.Desk.Used(ctx, s.ID, more.Grant)
	}
	if more.Moved || in.Body.Take {
		return body(out)
	}
	v, dev, err := a.device(ctx, who, string(s.Device))
	if err != nil {
		return nil, err
	}
	q, err := a.cfg.Desk.More(ctx, requests.More{Person: who.Person, Session: s, Grant: more.Grant, Device: dev, For: time.Duration(in.Body.Minutes) * time.Minute,
		Reason: in.Body.Reason, ViaToken: who.Token, Evidence: who.Evidence})
	if err != nil {
		return nil, err
	}
	if !q.From.IsZero() { // nobody had to approve it
		if more, err = a.cfg.Broker.MoreTime(ctx, s.ID, who.Evidence); err != nil {
			return nil, err
		}
		out.Until, out.Extended = more.Until, more.Moved
		a.cfg.Desk.Used(ctx, s.ID, more.Grant)
	}
	shown := a.shownRequest(&v, q)
	out.Request = &shown
	return body(out)
}
