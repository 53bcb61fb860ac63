package notices

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

// List gives notices, newest first, and how many the filter admits.
func (o *Outbox) List(ctx context.Context, f store.NoticeFilter) ([]store.Notice, int, error) {
	return o.cfg.Rows.Notices(ctx, f)
}

// Find gives the notice with an id, or with a unique beginning of it. Its errors are for people.
func (o *Outbox) Find(ctx context.Context, notice string) (store.Notice, error) {
	found, _, err := o.cfg.Rows.Notices(ctx, store.NoticeFilter{ID: notice, Page: store.Page{Size: 2}})
	switch {
	case err != nil:
		return store.Notice{}, err
	case len(found) == 0:
		return store.Notice{}, errkind.New(errkind.NotFound, "there is no notice of this id").WithHint("`sallyport notices list` shows them.")
	case len(found) > 1:
		return store.Notice{}, errkind.New(errkind.Usage, "more than one id begins with "+notice).WithHint("Give more of it.")
	}
	return found[0], nil
}

// Retry makes a dead letter pending again, for another 24 h, or lets a pending notice be tried at once. A notice that
// was sent is a Conflict.
func (o *Outbox) Retry(ctx context.Context, notice string) (store.Notice, error) {
	n, err := o.Find(ctx, notice)
	if err != nil {
		return n, err
	}
	n, err = o.cfg.Rows.ChangeNotice(ctx, n.ID, func(n *store.Notice) error {
		if n.State == store.NoticeSent {
			return errkind.New(errkind.Conflict, "this notice was sent already")
		}
		now := o.cfg.Now()
		n.State, n.Attempts, n.NextTry, n.GiveUp, n.Done = store.NoticePending, 0, now, now.Add(GiveUpAfter), time.Time{}
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
func (o *Outbox) Test(ctx context.Context, who id.Principal, webhook string) (store.Notice, error) {
	p, err := o.cfg.Rows.Principal(ctx, who)
	if err != nil {
		return store.Notice{}, err
	}
	channel, to := store.ChannelMail, p.Email
	switch {
	case webhook != "":
		if !slices.ContainsFunc(o.cfg.Webhooks, func(w Webhook) bool { return w.Name == webhook }) {
			return store.Notice{}, errkind.New(errkind.NotFound, fmt.Sprintf("no webhook %q is configured", webhook)).WithHint(o.webhookNames())
		}
		channel, to = store.ChannelWebhook+webhook, ""
	case o.cfg.Mail == nil:
		return store.Notice{}, errkind.New(errkind.Conflict, "no mail server is configured").WithHint("Write [mail] in the gateway's configuration: docs/config.md.")
	case to == "":
		return store.Notice{}, errkind.New(errkind.Conflict, "the gateway knows no verified mail address of you").
			WithHint("The provider must send the claim email. Built-in provider: `sallyport users add --email ADDRESS`. Then sign in again.")
	}
	e := Event{Kind: Test, At: o.cfg.Now().UTC().Truncate(time.Second), Link: o.cfg.Site, Requester: notify.Line(p.Name, longName)}
	n := o.notice(e, channel, to)
	if err := o.cfg.Rows.AddNotices(ctx, n); err != nil {
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
