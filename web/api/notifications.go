package api

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/gateway/notifications"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/web/apitype"
)

// Notifications is the outbox. *notifications.Outbox is one.
type Notifications interface {
	List(ctx context.Context, f store.NotificationFilter) ([]store.Notification, int, error)
	Find(ctx context.Context, notification string) (store.Notification, error)
	Retry(ctx context.Context, notification string) (store.Notification, error)
	Mails() bool
	Proposed(ctx context.Context, c notifications.Change, to []store.Principal)
	Test(ctx context.Context, who id.Principal, webhook string) (store.Notification, error)
}

func (a *API) registerNotifications() {
	op := func(name, method, path, summary, text string) huma.Operation {
		return huma.Operation{OperationID: name, Method: method, Path: path, Tags: []string{"notifications"}, Summary: summary,
			Description: text + " With the duty administer."}
	}
	handle(a, op("list-notifications", http.MethodGet, "/api/v1/notifications", "Notifications, newest first", "What was sent, waits to be sent, or could not be delivered."), a.listNotifications)
	handle(a, op("get-notification", http.MethodGet, "/api/v1/notifications/{id}", "One notification", "By its id or a unique beginning of it."), a.getNotification)
	handle(a, op("retry-notification", http.MethodPost, "/api/v1/notifications/{id}/retry", "Try again to send a notification",
		"A dead letter becomes pending for another day. A pending notification is tried at once."), a.retryNotification)
	test := op("test-notifications", http.MethodPost, "/api/v1/notifications/test", "Send a test", "A mail to the caller's own address, or a document to a webhook. The answer is the notification; read it again to see what came of it.")
	test.Middlewares = huma.Middlewares{a.asked}
	handle(a, test, a.testNotifications)
}

// NotificationID is the part of an address that names a notification. It is exported for huma, which fills embedded fields only then.
type NotificationID struct {
	ID string `path:"id" minLength:"1" maxLength:"26" doc:"an id, or a unique beginning of one"`
}

var notificationStates = []string{store.NotificationPending, store.NotificationSent, store.NotificationDead}

func (a *API) listNotifications(ctx context.Context, who *Asker, in *struct {
	State string `query:"state" maxLength:"40" doc:"one or more of pending, sent, dead, with commas between"`
	Page  int    `query:"page" minimum:"1" maximum:"100000" default:"1"`
	Size  int    `query:"size" minimum:"1" maximum:"500" default:"50"`
}) (*answer[apitype.NotificationPage], error) {
	if err := who.needs(authz.DutyAdminister); err != nil {
		return nil, err
	}
	f := store.NotificationFilter{Page: store.Page{Number: in.Page, Size: in.Size}}
	for _, s := range strings.Split(in.State, ",") {
		switch {
		case s == "":
		case slices.Contains(notificationStates, s):
			f.States = append(f.States, s)
		default:
			return nil, errkind.New(errkind.Usage, fmt.Sprintf("%q is not a state of a notification", s)).WithHint("The states are " + strings.Join(notificationStates, ", ") + ".")
		}
	}
	rows, total, err := a.cfg.Notifications.List(ctx, f)
	if err != nil {
		return nil, err
	}
	out := apitype.NotificationPage{Notifications: make([]apitype.Notification, len(rows)), Total: total, Page: in.Page, Size: in.Size}
	for i := range rows {
		out.Notifications[i] = shownNotification(rows[i])
	}
	return body(out)
}

func (a *API) getNotification(ctx context.Context, who *Asker, in *NotificationID) (*answer[apitype.Notification], error) {
	return a.oneNotification(who, func() (store.Notification, error) { return a.cfg.Notifications.Find(ctx, in.ID) })
}

func (a *API) retryNotification(ctx context.Context, who *Asker, in *NotificationID) (*answer[apitype.Notification], error) {
	return a.oneNotification(who, func() (store.Notification, error) { return a.cfg.Notifications.Retry(ctx, in.ID) })
}

func (a *API) testNotifications(ctx context.Context, who *Asker, in *struct{ Body apitype.NotificationTest }) (*answer[apitype.Notification], error) {
	return a.oneNotification(who, func() (store.Notification, error) {
		if who.Person.Machine != "" { // its principal is its maker's
			return store.Notification{}, errkind.New(errkind.Denied, "a service account cannot send a test").WithHint("Sign in as a person with the duty administer.")
		}
		return a.cfg.Notifications.Test(ctx, who.Person.ID, in.Body.Webhook)
	})
}

// oneNotification answers an administrator with one notification.
func (a *API) oneNotification(who *Asker, do func() (store.Notification, error)) (*answer[apitype.Notification], error) {
	if err := who.needs(authz.DutyAdminister); err != nil {
		return nil, err
	}
	n, err := do()
	if err != nil {
		return nil, err
	}
	return body(shownNotification(n))
}

func shownNotification(n store.Notification) apitype.Notification {
	return apitype.Notification{
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
