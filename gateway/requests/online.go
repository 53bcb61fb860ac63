package requests

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/internal/wire"
)

const (
	// mostWatches bounds the devices that one person waits for.
	mostWatches = 50
	// watchFor is how long a person waits for a device. Nobody wants to be told of it a year later.
	watchFor = 30 * 24 * time.Hour
)

// WatchOnline remembers that a person wants to be told by mail when a device is online. The caller has checked that they can
// see it.
func (d *Desk) WatchOnline(ctx context.Context, who id.Principal, dev store.Device) error {
	p, err := d.cfg.Rows.Principal(ctx, who)
	switch {
	case err != nil:
		return err
	case d.cfg.Notifications == nil || !d.cfg.Notifications.Mails():
		return errkind.New(errkind.Conflict, "the gateway sends no mail").WithHint("An administrator configures the mail server: [mail] in docs/config.md.")
	case p.Email == "":
		return errkind.New(errkind.Conflict, "the gateway has no email address for you").WithHint("Your provider must send it. Then sign in again.")
	case !dev.ConnectedAt.IsZero():
		return errkind.New(errkind.Conflict, fmt.Sprintf("%s is online", dev.Name)).WithHint("Open a session.")
	case dev.State != store.OK:
		return errkind.New(errkind.Conflict, fmt.Sprintf("%s is %s, so nobody can open a session on it", dev.Name, dev.State)).WithHint("An administrator can say why.")
	}
	return d.cfg.Rows.AddOnlineWatch(ctx, store.OnlineWatch{FP: dev.FP, Who: who, Created: d.cfg.Now()}, func(others int) error {
		if others >= mostWatches {
			return errkind.New(errkind.TooMany, fmt.Sprintf("you wait for %d devices already", others)).WithHint("Cancel one of them.")
		}
		return nil
	})
}

// Online tells the people who wait for devices that these are online. A person who can no longer see a device is not told.
// What fails is tried again when the device comes online the next time.
func (d *Desk) Online(ctx context.Context, devices []wire.Hash) {
	for _, fp := range devices {
		if err := d.online(ctx, fp); err != nil && ctx.Err() == nil {
			d.cfg.Log.Warn("people who wait for a device were not told that it is online", slog.Any("error", err))
		}
	}
}

func (d *Desk) online(ctx context.Context, fp wire.Hash) error {
	if d.cfg.Notifications == nil || !d.cfg.Notifications.Mails() { // the wish stays until there is a mail server
		return nil
	}
	all, err := d.cfg.Rows.OnlineWatches(ctx, fp)
	if err != nil || len(all) == 0 {
		return err
	}
	dev, err := d.cfg.Rows.DeviceByFP(ctx, fp)
	if err != nil || dev.State != store.OK {
		return err
	}
	var to []store.Principal
	for _, w := range all {
		p, err := d.cfg.Rows.Principal(ctx, w.Who)
		if errors.Is(err, store.ErrNotFound) || d.cfg.Now().Sub(w.Created) > watchFor {
			continue
		}
		if err != nil {
			return err
		}
		if d.sees(ctx, &p, &dev) {
			to = append(to, p)
		}
	}
	if err := d.cfg.Rows.TakeOnlineWatches(ctx, fp, d.cfg.Notifications.BackOnline(dev, to)...); err != nil {
		return err
	}
	d.wake()
	return nil
}

// sees reports whether a person can see a device, by their groups as last seen.
func (d *Desk) sees(ctx context.Context, p *store.Principal, dev *store.Device) bool {
	snap := d.cfg.Rules.Snapshot()
	duties := snap.Policy.Duties(p.Groups)
	if slices.Contains(duties, authz.DutyAdminister) || slices.Contains(duties, authz.DutyApprove) || slices.Contains(duties, authz.DutyReview) {
		return true
	}
	if slices.Contains(duties, authz.DutyOwn) {
		if sites, err := d.cfg.Rows.SitesOwnedBy(ctx, p.ID); err == nil && slices.Contains(sites, dev.Site) {
			return true
		}
	}
	who := authz.Person{ID: p.ID, Name: p.Name, Groups: p.Groups}
	return snap.Visible(who, authz.Device{Name: dev.Name, Site: dev.Site, Labels: dev.Labels}, d.cfg.Now())
}
