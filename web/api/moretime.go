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
	handle(a, huma.Operation{OperationID: "more-time", Method: http.MethodPost, Path: "/api/v1/sessions/{id}/more-time", Tags: []string{"sessions"},
		Summary: "More time for a running session", Description: "One's own. If the policy and the grants of now let the session go on, it gets its " +
			"next pass and goes on without a break. Otherwise this asks for the same right once more, and the answer has the request. " +
			"Once that is approved, the session's terminal gets the notice more-time, and the same call gives the session its next pass."}, a.moreTime)
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
		return nil, errkind.New(errkind.Denied, "only the technician of a session can have more time for it")
	}
	until, moved, err := a.cfg.Broker.MoreTime(ctx, s.ID, who.Evidence)
	if err != nil {
		return nil, err
	}
	out := apitype.MoreTime{Until: until, Extended: moved}
	if moved {
		return body(out)
	}
	v, dev, err := a.device(ctx, who, string(s.Device))
	if err != nil {
		return nil, err
	}
	q, err := a.cfg.Desk.More(ctx, requests.More{Person: who.Person, Session: s, Device: dev, For: time.Duration(in.Body.Minutes) * time.Minute,
		Reason: in.Body.Reason, ViaToken: who.Token, Evidence: who.Evidence})
	if err != nil {
		return nil, err
	}
	if !q.From.IsZero() { // nobody had to approve it
		if out.Until, out.Extended, err = a.cfg.Broker.MoreTime(ctx, s.ID, who.Evidence); err != nil {
			return nil, err
		}
	}
	shown := a.shownRequest(&v, q)
	out.Request = &shown
	return body(out)
}
