package requests

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/gateway/notices"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/store"
)

// recently is how long ago a person may have been seen last to get notices. The gateway does not learn that a person has
// left the company: their groups stay in its rows.
const recently = 90 * 24 * time.Hour

// Notices makes and sends notices. *notices.Outbox does.
type Notices interface {
	About(kind string, q store.Request, to []store.Principal) []store.Notice
	Wake()
}

// tell reads who is told of an event, before anything is changed. The function that it returns makes the notices about
// the changed request, for the transaction of the change.
func (d *Desk) tell(ctx context.Context, kind string, q *store.Request) (func(store.Request) []store.Notice, error) {
	if d.cfg.Notices == nil || kind == "" {
		return func(store.Request) []store.Notice { return nil }, nil
	}
	var to []store.Principal
	var err error
	if kind == notices.Asked {
		to, err = d.answerers(ctx, q)
	} else if p, e := d.cfg.Rows.Principal(ctx, q.Who); e == nil {
		to = append(to, p)
	} else if errkind.KindOf(e) != errkind.NotFound {
		err = e
	}
	return func(now store.Request) []store.Notice {
		switch {
		case kind == notices.Granted && now.State != store.RequestApproved: // other approvals are missing
			return nil
		case kind == notices.Granted && len(now.Approvals) == 0: // the requester did it
			return d.cfg.Notices.About(kind, now, nil)
		}
		return d.cfg.Notices.About(kind, now, to)
	}, err
}

// answerers lists the people who can answer a request, by their groups as last seen. The owners of the site are among them
// where the rule names them.
func (d *Desk) answerers(ctx context.Context, q *store.Request) (out []store.Principal, err error) {
	all, err := d.cfg.Rows.Principals(ctx)
	if err != nil {
		return nil, err
	}
	site, err := d.cfg.Rows.Site(ctx, q.Site)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	for _, p := range all {
		who, owner := authz.Person{ID: p.ID, Name: p.Name, Groups: p.Groups}, slices.Contains(site.Owners, p.ID)
		if d.cfg.Now().Sub(p.SeenAt) < recently && d.Speaks(who, q, owner) {
			out = append(out, p)
		}
	}
	return out, nil
}

// kindOf gives the kind of notice about the end of a request or grant; empty: none. taken: the grant is withdrawn by
// another person than its holder.
func kindOf(e event, taken bool) string {
	switch {
	case e == deny:
		return notices.Denied
	case e == withdraw && taken:
		return notices.Withdrawn
	}
	return ""
}

func (d *Desk) wake() {
	if d.cfg.Notices != nil {
		d.cfg.Notices.Wake()
	}
}
