package api

import (
	"context"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/web/apitype"
)

func (a *API) tellOnline(ctx context.Context, who *Asker, in *DeviceName) (*answer[apitype.Device], error) {
	if who.Token != "" {
		return nil, errkind.New(errkind.Denied, "an API token gets no mail").WithHint("Sign in with `sallyport login`.")
	}
	v, d, err := a.device(ctx, who, in.Name)
	if err != nil {
		return nil, err
	}
	if err := a.cfg.Desk.WatchOnline(ctx, who.Person.ID, d); err != nil {
		return nil, err
	}
	out := a.shownDevice(v, d)
	out.TellOnline = true
	return body(out)
}

func (a *API) cancelTellOnline(ctx context.Context, who *Asker, in *DeviceName) (*answer[apitype.Device], error) {
	v, d, err := a.device(ctx, who, in.Name)
	if err != nil {
		return nil, err
	}
	if err := a.cfg.Store.DropOnlineWatch(ctx, d.FP, who.Person.ID); err != nil {
		return nil, err
	}
	return body(a.shownDevice(v, d))
}

// awaited gives the devices that the caller waits for.
func (a *API) awaited(ctx context.Context, who *Asker) (map[[32]byte]bool, error) {
	all, err := a.cfg.Store.OnlineWatchesOf(ctx, who.Person.ID)
	out := map[[32]byte]bool{}
	for _, w := range all {
		out[w.FP] = true
	}
	return out, err
}

// mailed reports whether the gateway can send the caller mail.
func (a *API) mailed(ctx context.Context, who *Asker) bool {
	if who.Token != "" || a.cfg.Notifications == nil || !a.cfg.Notifications.Mails() {
		return false
	}
	p, err := a.cfg.Store.Principal(ctx, who.Person.ID)
	return err == nil && p.Email != ""
}
