package requests

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/internal/audit"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/store"
)

// Deny denies a request, with a reason. One person who could approve it is enough.
func (d *Desk) Deny(ctx context.Context, who authz.Person, request, why string) (store.Request, error) {
	return d.end(ctx, who, request, why, deny, func(q *store.Request) error {
		owner, err := d.owner(ctx, who, q)
		if err == nil && !d.Speaks(who, q, owner) {
			err = errkind.New(errkind.Denied, "you cannot answer this request").WithHint(whoAnswers)
		}
		return err
	})
}

// Withdraw takes back a request, or takes away a grant. Everybody can withdraw their own. may: the caller's duties allow
// withdrawing any grant. Another person's pending request is denied instead.
func (d *Desk) Withdraw(ctx context.Context, who authz.Person, request, why string, may bool) (store.Request, error) {
	return d.end(ctx, who, request, why, withdraw, func(q *store.Request) error {
		granted := !q.From.IsZero()
		switch {
		case who.ID == q.Who, granted && may:
			if granted && !d.cfg.Now().Before(q.Until) {
				return errkind.New(errkind.Conflict, "this grant has ended already")
			}
			return nil
		case granted:
			return errkind.New(errkind.Denied, "you cannot withdraw this grant").
				WithHint("Its holder can, the owners of the site, and anyone with the duty approve or administer.")
		}
		return errkind.New(errkind.Denied, "only the requester can withdraw a request").WithHint("Someone who can approve it can deny it: `sallyport request deny R --reason TEXT`.")
	})
}

// end ends a request or grant, first at the signer. A denial is an event of its own in the log.
func (d *Desk) end(ctx context.Context, who authz.Person, request, why string, e event, may func(*store.Request) error) (store.Request, error) {
	q, err := d.cfg.Rows.Request(ctx, request)
	if err == nil {
		err = may(&q)
	}
	if err != nil {
		return q, err
	}
	unlock, err := d.lock(ctx)
	if err != nil {
		return q, err
	}
	defer unlock()
	if q, err = d.cfg.Rows.Request(ctx, request); err != nil {
		return q, err
	}
	if err := may(&q); err != nil { // again: it may have changed while this waited
		return q, err
	}
	if q = d.Late(q); next[q.State][e] == "" {
		return q, move(&q, e)
	}
	granted := !q.From.IsZero()
	about, err := d.tell(ctx, kindOf(e, granted && who.ID != q.Who), &q)
	if err != nil {
		return q, err
	}
	ctx = context.WithoutCancel(ctx)
	if err := d.atSigner(ctx, who, &q, why); err != nil {
		return q, err
	}
	if e == deny {
		event := audit.Event{Type: "denied", Actor: who.ID.String(), Subject: string(q.Device), Fields: map[string]string{"request": q.ID, "why": why}}
		if err := d.cfg.Audit.Record(ctx, event); err != nil {
			return q, err
		}
	}
	now := d.cfg.Now()
	q, err = d.cfg.Rows.ChangeRequest(ctx, request, func(r *store.Request) error {
		r.By, r.Answer = who.Name, why
		if granted {
			r.Ended = now
		} else {
			r.Decided = now
		}
		return move(r, e)
	}, about)
	d.wake()
	if err == nil && granted {
		err = d.changed(ctx)
	}
	return q, err
}

// atSigner ends the request at the signer, which may not know it. A conflict means that an earlier attempt ended it and its
// row was not stored.
func (d *Desk) atSigner(ctx context.Context, by authz.Person, q *store.Request, why string) error {
	out, err := d.cfg.Signer.WithdrawGrant(ctx, q.ID, fmt.Sprintf("%s: %s", by.Name, why))
	switch errkind.KindOf(err) {
	case errkind.Conflict, errkind.NotFound:
		return nil
	}
	if err != nil {
		return err
	}
	actor := "" // the gateway
	if !by.ID.IsZero() {
		actor = by.ID.String()
	}
	return d.cfg.Audit.Index(ctx, out.Index, "withdrawn", actor, string(q.Device))
}

// Used notes that a session was opened or goes on under a grant; empty: a rule allows it by itself.
func (d *Desk) Used(ctx context.Context, session id.Session, grant string) {
	if grant == "" {
		return
	}
	ctx = context.WithoutCancel(ctx)
	err := d.cfg.Rows.UseGrant(ctx, grant, session)
	if err == nil {
		_, err = d.cfg.Rows.ChangeRequest(ctx, grant, func(q *store.Request) error { return move(q, use) })
	}
	if err != nil {
		d.cfg.Log.Error("a grant was used, and its row does not say so", slog.String("session", session.String()), slog.Any("error", err))
	}
}
