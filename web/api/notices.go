package api

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/web/apitype"
)

// Notices is the outbox. *notices.Outbox is one.
type Notices interface {
	List(ctx context.Context, f store.NoticeFilter) ([]store.Notice, int, error)
	Find(ctx context.Context, notice string) (store.Notice, error)
	Retry(ctx context.Context, notice string) (store.Notice, error)
	Test(ctx context.Context, who id.Principal, webhook string) (store.Notice, error)
}

func (a *API) registerNotices() {
	op := func(name, method, path, summary, text string) huma.Operation {
		return huma.Operation{OperationID: name, Method: method, Path: path, Tags: []string{"notices"}, Summary: summary,
			Description: text + " With the duty administer."}
	}
	handle(a, op("list-notices", http.MethodGet, "/api/v1/notices", "Notices, newest first", "What was sent, waits to be sent, or could not be delivered."), a.listNotices)
	handle(a, op("get-notice", http.MethodGet, "/api/v1/notices/{id}", "One notice", "By its id or a unique beginning of it."), a.getNotice)
	handle(a, op("retry-notice", http.MethodPost, "/api/v1/notices/{id}/retry", "Try again to send a notice",
		"A dead letter becomes pending for another day. A pending notice is tried at once."), a.retryNotice)
	test := op("test-notices", http.MethodPost, "/api/v1/notices/test", "Send a test", "A mail to the caller's own address, or a document to a webhook. The answer is the notice; read it again to see what came of it.")
	test.Middlewares = huma.Middlewares{a.asked}
	handle(a, test, a.testNotices)
}

// NoticeID is the part of an address that names a notice. It is exported for huma, which fills embedded fields only then.
type NoticeID struct {
	ID string `path:"id" minLength:"1" maxLength:"26" doc:"an id, or a unique beginning of one"`
}

var noticeStates = []string{store.NoticePending, store.NoticeSent, store.NoticeDead}

func (a *API) listNotices(ctx context.Context, who *Asker, in *struct {
	State string `query:"state" maxLength:"40" doc:"one or more of pending, sent, dead, with commas between"`
	Page  int    `query:"page" minimum:"1" maximum:"100000" default:"1"`
	Size  int    `query:"size" minimum:"1" maximum:"500" default:"50"`
}) (*answer[apitype.NoticePage], error) {
	if err := who.needs(authz.DutyAdminister); err != nil {
		return nil, err
	}
	f := store.NoticeFilter{Page: store.Page{Number: in.Page, Size: in.Size}}
	for _, s := range strings.Split(in.State, ",") {
		switch {
		case s == "":
		case slices.Contains(noticeStates, s):
			f.States = append(f.States, s)
		default:
			return nil, errkind.New(errkind.Usage, fmt.Sprintf("%q is not a state of a notice", s)).WithHint("The states are " + strings.Join(noticeStates, ", ") + ".")
		}
	}
	rows, total, err := a.cfg.Notices.List(ctx, f)
	if err != nil {
		return nil, err
	}
	out := apitype.NoticePage{Notices: make([]apitype.Notice, len(rows)), Total: total, Page: in.Page, Size: in.Size}
	for i := range rows {
		out.Notices[i] = shownNotice(rows[i])
	}
	return body(out)
}

func (a *API) getNotice(ctx context.Context, who *Asker, in *NoticeID) (*answer[apitype.Notice], error) {
	return a.oneNotice(who, func() (store.Notice, error) { return a.cfg.Notices.Find(ctx, in.ID) })
}

func (a *API) retryNotice(ctx context.Context, who *Asker, in *NoticeID) (*answer[apitype.Notice], error) {
	return a.oneNotice(who, func() (store.Notice, error) { return a.cfg.Notices.Retry(ctx, in.ID) })
}

func (a *API) testNotices(ctx context.Context, who *Asker, in *struct{ Body apitype.NoticeTest }) (*answer[apitype.Notice], error) {
	return a.oneNotice(who, func() (store.Notice, error) {
		if who.Person.Machine != "" { // its principal is its maker's
			return store.Notice{}, errkind.New(errkind.Denied, "a machine gets no mail")
		}
		return a.cfg.Notices.Test(ctx, who.Person.ID, in.Body.Webhook)
	})
}

// oneNotice answers an administrator with one notice.
func (a *API) oneNotice(who *Asker, do func() (store.Notice, error)) (*answer[apitype.Notice], error) {
	if err := who.needs(authz.DutyAdminister); err != nil {
		return nil, err
	}
	n, err := do()
	if err != nil {
		return nil, err
	}
	return body(shownNotice(n))
}

func shownNotice(n store.Notice) apitype.Notice {
	return apitype.Notice{
		ID:       n.ID,
		Kind:     n.Kind,
		Request:  n.Request,
		Device:   n.Device,
		Channel:  n.Channel,
		To:       n.To,
		State:    n.State,
		Attempts: n.Attempts,
		Error:    n.Error,
		Created:  n.Created,
		NextTry:  when(n.NextTry),
		Done:     when(n.Done),
	}
}
