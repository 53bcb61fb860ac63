package requests

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/gateway/notifications"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/store"
)

// recently is how long ago a person may have been seen last to get notifications. The gateway does not learn that a person has
// left the company: their groups stay in its rows.
const recently = 90 * 24 * time.Hour

// Notifications makes and sends notifications. *notifications.Outbox does.
type Notifications interface {
	About(kind string, q store.Request, to []store.Principal) []store.Notification
	BackOnline(d store.Device, to []store.Principal) []store.Notification
	Mails() bool
	Wake()
}

// tell reads who is told of an event, before anything is changed. The function that it returns makes the notifications about
// the changed request, for the transaction of the change.
func (d *Desk) tell(ctx context.Context, kind string, q *store.Request) (func(store.Request) []store.Notification, error) {
	if d.cfg.Notifications == nil || kind == "" {
		return func(store.Request) []store.Notification { return nil }, nil
	}
	var to []store.Principal
	var err error
	switch kind {
	case notifications.Asked:
		to, err = d.answerers(ctx, q)
	case notifications.Overdue:
		to, err = d.reviewers(ctx, q)
	default:
		to, err = d.requester(ctx, q)
	}
	return func(now store.Request) []store.Notification { return d.cfg.Notifications.About(kind, now, to) }, err
}

// answerers lists the people who can answer a request, by their groups as last seen. The owners of the site are among them
// where the rule names them.
func (d *Desk) answerers(ctx context.Context, q *store.Request) ([]store.Principal, error) {
	return d.people(ctx, q.Site, func(p *store.Principal, owner bool) bool {
		return d.Speaks(authz.Person{ID: p.ID, Name: p.Name, Groups: p.Groups}, q, owner)
	})
}

// people lists the known people whom wants admits, which is told whether they own the site.
func (d *Desk) people(ctx context.Context, site string, wants func(p *store.Principal, owner bool) bool) (out []store.Principal, err error) {
	all, err := d.cfg.Rows.Principals(ctx)
	if err != nil {
		return nil, err
	}
	at, err := d.cfg.Rows.Site(ctx, site)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	for _, p := range all {
		if d.cfg.Now().Sub(p.SeenAt) < recently && wants(&p, slices.Contains(at.Owners, p.ID)) {
			out = append(out, p)
		}
	}
	return out, nil
}

func (d *Desk) requester(ctx context.Context, q *store.Request) ([]store.Principal, error) {
	p, err := d.cfg.Rows.Principal(ctx, q.Who)
	if errkind.KindOf(err) == errkind.NotFound {
		return nil, nil
	}
	return []store.Principal{p}, err
}

// tellGranted is tell for an approval, which may be the last. The requester is told, and those whom the rule names.
func (d *Desk) tellGranted(ctx context.Context, q *store.Request) (func(store.Request) []store.Notification, error) {
	if d.cfg.Notifications == nil {
		return func(store.Request) []store.Notification { return nil }, nil
	}
	requester, err := d.requester(ctx, q)
	if err != nil {
		return nil, err
	}
	named, err := d.named(ctx, q)
	return func(now store.Request) []store.Notification {
		switch {
		case now.State != store.RequestApproved: // other approvals are missing
			return nil
		case now.Emergency:
			return append(d.cfg.Notifications.About(notifications.Granted, now, nil), d.cfg.Notifications.About(notifications.Emergency, now, named)...)
		case len(now.Approvals) == 0: // the requester did it
			return d.cfg.Notifications.About(notifications.Granted, now, named)
		}
		return d.cfg.Notifications.About(notifications.Granted, now, append(requester, named...))
	}, err
}

// kindOf gives the kind of notification about the end of a request or grant; empty: none. taken: the grant is withdrawn by
// another person than its holder.
func kindOf(e event, taken bool) string {
	switch {
	case e == deny:
		return notifications.Denied
	case e == withdraw && taken:
		return notifications.Withdrawn
	}
	return ""
}

func (d *Desk) wake() {
	if d.cfg.Notifications != nil {
		d.cfg.Notifications.Wake()
	}
}
