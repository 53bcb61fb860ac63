package requests

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/gateway/notifications"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/signer"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/recorder/ledger"
)

// syncGrants stores each grant in force that has no row, and ends rows of grants that the signer does not have. Rows can
// differ after a crash or a restore. Every right must be listed.
func (d *Desk) syncGrants(ctx context.Context, grants []signer.Consent) (err error) {
	inForce := map[string]bool{}
	for _, c := range grants {
		t, e := ledger.ParseTerms(c.Terms)
		if e == nil {
			inForce[t.Request] = true
			e = d.syncGrant(ctx, t, c)
		}
		err = errors.Join(err, e)
	}
	err = errors.Join(err, d.endOthers(ctx, inForce))
	if d.stale {
		err = errors.Join(err, d.changed(ctx))
	}
	return err
}

// syncSites stores the owners of the sites that the signer knows. Rows can differ after a crash or a restore.
func (d *Desk) syncSites(ctx context.Context) error {
	sites, err := d.cfg.Signer.Sites(ctx)
	for _, s := range sites {
		row, e := d.cfg.Rows.Site(ctx, s.Name)
		if errors.Is(e, store.ErrNotFound) {
			row, e = store.Site{Name: s.Name, ShownAs: s.Name, Created: d.cfg.Now()}, nil
		}
		if e == nil && !slices.Equal(slices.Sorted(slices.Values(texts(row.Owners))), slices.Sorted(slices.Values(texts(s.Owners)))) {
			row.Owners = s.Owners
			e = d.cfg.Rows.PutSite(ctx, row)
		}
		err = errors.Join(err, e)
	}
	return err
}

// followDevices gives requests that are pending or in force the site that their device has now: its owners answer them, and
// the signer judges by it too.
func (d *Desk) followDevices(ctx context.Context) error {
	most := store.Page{Number: 1, Size: store.MaxPage} // if there are more, their owners are those of before
	pending, _, err := d.cfg.Rows.Requests(ctx, store.RequestFilter{States: []string{store.RequestPending}, Page: most})
	granted, _, e := d.cfg.Rows.Requests(ctx, store.RequestFilter{States: []string{store.RequestApproved, store.RequestUsed}, EndsAfter: d.cfg.Now(), Page: most})
	err = errors.Join(err, e)
	for _, q := range append(pending, granted...) {
		dev, e := d.cfg.Rows.Device(ctx, q.Device)
		if errors.Is(e, store.ErrNotFound) || e == nil && (dev.Site == q.Site || dev.FP != q.DeviceFP) {
			continue
		}
		if e == nil {
			_, e = d.cfg.Rows.ChangeRequest(ctx, q.ID, func(r *store.Request) error { r.Site = dev.Site; return nil })
		}
		err = errors.Join(err, e)
	}
	return err
}

func texts(all []id.Principal) (out []string) {
	for _, p := range all {
		out = append(out, p.String())
	}
	return out
}

// endOthers ends the rows of grants that are not in force at the signer.
func (d *Desk) endOthers(ctx context.Context, inForce map[string]bool) error {
	now := d.cfg.Now()
	f := store.RequestFilter{EndsAfter: now, States: []string{store.RequestApproved, store.RequestUsed}, Page: store.Page{Number: 1, Size: store.MaxPage}}
	rows, _, err := d.cfg.Rows.Requests(ctx, f) // if there are more, a later round reaches them
	for _, q := range rows {
		if inForce[q.ID] {
			continue
		}
		about, e := d.tell(ctx, notifications.Withdrawn, &q)
		if e == nil {
			_, e = d.cfg.Rows.ChangeRequest(ctx, q.ID, func(r *store.Request) error {
				r.Ended, r.By, r.Answer = now, "the gateway", "the signer has no such grant"
				return move(r, withdraw)
			}, about)
		}
		err = errors.Join(err, e)
		d.stale = true
	}
	return err
}

// syncGrant stores the row of one grant. If the request was denied, withdrawn or expired here before the signer's answer
// was known, the grant is withdrawn.
func (d *Desk) syncGrant(ctx context.Context, t ledger.Terms, c signer.Consent) error {
	as := store.Request{ID: t.Request, Who: id.Principal{Issuer: t.Issuer, Subject: t.Subject}, Name: t.Name, Device: id.Device(t.Device),
		DeviceFP: t.DeviceFP, Rule: t.Rule, Actions: t.Actions, For: time.Duration(t.Seconds) * time.Second, Reason: t.Reason, Ticket: t.Ticket,
		State: store.RequestPending, Asked: c.From, Expires: c.From}
	row, err := d.cfg.Rows.Request(ctx, t.Request)
	if errkind.KindOf(err) == errkind.NotFound {
		if dev, err := d.cfg.Rows.Device(ctx, as.Device); err == nil {
			as.Site = dev.Site // or its owners would not see the grant
		}
		row, err = as, d.cfg.Rows.AddRequest(ctx, as, func(int, int) error { return nil })
	}
	switch {
	case err != nil:
		return err
	case row.State == store.RequestApproved || row.State == store.RequestUsed:
		return nil
	case row.State != store.RequestPending:
		d.stale = true
		return d.atSigner(ctx, authz.Person{Name: "the gateway"}, &row, "the request is "+row.State)
	}
	d.stale = true
	about, err := d.tellGranted(ctx, &row)
	if err == nil {
		_, err = d.cfg.Rows.ChangeRequest(ctx, t.Request, func(r *store.Request) error { return d.approved(r, as, signer.Approved{Consent: c}) }, about)
	}
	return err
}
