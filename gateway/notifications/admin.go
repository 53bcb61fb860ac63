package notifications

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/notify"
	"github.com/sallyport/sallyport/internal/store"
)

// List gives notifications, newest first, and how many the filter admits.
func (o *Outbox) List(ctx context.Context, f store.NotificationFilter) ([]store.Notification, int, error) {
	return o.cfg.Rows.Notifications(ctx, f)
}

// Find gives the notification with an id, or with a unique beginning of it. Its errors are for people.
func (o *Outbox) Find(ctx context.Context, notification string) (store.Notification, error) {
	found, _, err := o.cfg.Rows.Notifications(ctx, store.NotificationFilter{ID: notification, Page: store.Page{Size: 2}})
	switch {
	case err != nil:
		return store.Notification{}, err
	case len(found) == 0:
		return store.Notification{}, errkind.New(errkind.NotFound, "no notification has this id").WithHint("`sallyport notifications list` shows them.")
	case len(found) > 1:
		return store.Notification{}, errkind.New(errkind.Usage, "more than one id begins with "+notification).WithHint("Give more of it.")
	}
	return found[0], nil
}

// Retry makes a dead letter pending again, for another 24 h, or lets a pending notification be tried at once. A notification that
// was sent is a Conflict.
func (o *Outbox) Retry(ctx context.Context, notification string) (store.Notification, error) {
	n, err := o.Find(ctx, notification)
	if err != nil {
		return n, err
	}
	n, err = o.cfg.Rows.ChangeNotification(ctx, n.ID, func(n *store.Notification) error {
		if n.State == store.NotificationSent {
			return errkind.New(errkind.Conflict, "this notification was sent already")
		}
		now := o.cfg.Now()
		n.State, n.Attempts, n.NextTry, n.GiveUp, n.Done = store.NotificationPending, 0, now, now.Add(GiveUpAfter), time.Time{}
		return nil
	})
	if err != nil {
		return n, err
	}
	o.mu.Lock()
	if _, failing := o.rest[n.Channel]; failing {
		o.rest[n.Channel] = time.Time{} // still known as failing, and no pause
	}
	o.mu.Unlock()
	o.Wake()
	return n, nil
}

// Test stores a test: a mail to a person's own address, or a document for the webhook of this name. The caller sees by
// Find what comes of it.
func (o *Outbox) Test(ctx context.Context, who id.Principal, webhook string) (store.Notification, error) {
	p, err := o.cfg.Rows.Principal(ctx, who)
	if err != nil {
		return store.Notification{}, err
	}
	channel, to := store.ChannelMail, p.Email
	switch {
	case webhook != "":
		if !slices.ContainsFunc(o.cfg.Webhooks, func(w Webhook) bool { return w.Name == webhook }) {
			return store.Notification{}, errkind.New(errkind.NotFound, fmt.Sprintf("no webhook %q is configured", webhook)).WithHint(o.webhookNames())
		}
		channel, to = store.ChannelWebhook+webhook, ""
	case o.cfg.Mail == nil:
		return store.Notification{}, errkind.New(errkind.Conflict, "no mail server is configured").WithHint("Write [mail] in the gateway's configuration: docs/config.md.")
	case to == "":
		return store.Notification{}, errkind.New(errkind.Conflict, "the gateway has no email address for you").
			WithHint("The provider must send the claim email, and must not mark it as not verified. With the built-in provider the address is set when the user is added. Then sign in again.")
	}
	e := Event{Kind: Test, At: o.cfg.Now().UTC().Truncate(time.Second), Link: o.cfg.Site, Requester: notify.Line(p.Name, longName)}
	n := o.notification(e, channel, to)
	if err := o.cfg.Rows.AddNotifications(ctx, n); err != nil {
		return n, err
	}
	o.Wake()
	return n, nil
}

func (o *Outbox) webhookNames() string {
	var names []string
	for _, w := range o.cfg.Webhooks {
		names = append(names, w.Name)
	}
	if names == nil {
		return "Write [[webhook]] in the gateway's configuration: docs/config.md."
	}
	return "Configured are: " + strings.Join(names, ", ") + "."
}
