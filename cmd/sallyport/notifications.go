package main

import (
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/sallyport/sallyport/internal/client"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/web/apitype"
)

type notificationsCmd struct {
	List  notificationsListCmd  `cmd:"" aliases:"ls" default:"1" help:"List notifications: sent, pending, and dead letters."`
	Retry notificationsRetryCmd `cmd:"" help:"Try again to send a notification."`
	Test  notificationsTestCmd  `cmd:"" help:"Send a test mail to yourself, or a test to a webhook."`
}

type notificationsListCmd struct {
	listing
	State string `placeholder:"S" help:"In this state: pending, sent, dead; several with commas between."`
	Page  int    `placeholder:"N" help:"Only this page. Default: the newest 500."`
	Size  int    `placeholder:"N" default:"50" help:"Notifications on a page."`
}

func (*notificationsListCmd) Help() string {
	return `A notification is one message to one receiver: a mail to a person, or a document to a webhook. "sent" means that the mail server
or the receiver has accepted it. A pending notification is tried for 24 h, after pauses from 30 s to 15 min. After that, or if its
receiver refuses it for good, it is a dead letter.

  sallyport notifications list --state dead
  sallyport notifications retry 7xq

Needs the duty administer.`
}

func (c *notificationsListCmd) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	q := pageQuery(c.Page, c.Size)
	if c.State != "" {
		q.Set("state", c.State)
	}
	var p apitype.NotificationPage
	if err := cl.Get(a.context(), "/api/v1/notifications", q, &p); err != nil {
		return err
	}
	return show(a, c.listing, p.Notifications, "There are no such notifications.", "ID KIND CHANNEL TO DEVICE STATE ATTEMPTS CREATED NEXT-TRY ERROR", func(n apitype.Notification) []string {
		return []string{n.ID, n.Kind, n.Channel, n.To, string(n.Device), n.State, strconv.Itoa(n.Attempts), at(&n.Created), at(n.NextTry), n.Error}
	})
}

type notificationsRetryCmd struct {
	Notification string `arg:"" help:"The notification's id, or a unique beginning of it."`
	JSON         bool   `name:"json" help:"Print JSON, for programs."`
}

func (*notificationsRetryCmd) Help() string {
	return `A dead letter becomes pending for another 24 h. A pending notification is tried at once. Needs the duty administer.`
}

func (c *notificationsRetryCmd) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	var n apitype.Notification
	if err := cl.Post(a.context(), "/api/v1/notifications/"+url.PathEscape(c.Notification)+"/retry", struct{}{}, &n); err != nil {
		return err
	}
	return showNotification(a, c.JSON, n)
}

type notificationsTestCmd struct {
	Webhook string `placeholder:"NAME" help:"Send to this webhook, and not by mail."`
	JSON    bool   `name:"json" help:"Print JSON, for programs."`
}

func (*notificationsTestCmd) Help() string {
	return `The test goes through the outbox, as every notification does. The command waits for the first attempt, 60 s at most, and says
why an attempt failed. The mail goes to your own address, as your provider gave it at your last sign-in. Needs the duty administer.`
}

func (c *notificationsTestCmd) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	var n apitype.Notification
	if err := cl.Post(a.context(), "/api/v1/notifications/test", apitype.NotificationTest{Webhook: c.Webhook}, &n); err != nil {
		return err
	}
	if n, err = attempted(a, cl, n); err != nil {
		return err
	}
	if err := showNotification(a, c.JSON, n); err != nil {
		return err
	}
	if n.State == "sent" {
		return nil
	}
	why := "the attempt failed: " + n.Error
	if n.Error == "" {
		why = "the gateway made no attempt within 60 s"
	}
	return errkind.New(errkind.Unavailable, why).
		WithHint("Check [mail] or [[webhook]] in the gateway's configuration. `sallyport notifications list` shows whether a later attempt succeeds.")
}

// attempted waits until the outcome of the first attempt is known, for a minute at most.
func attempted(a *app, cl *client.Client, n apitype.Notification) (apitype.Notification, error) {
	for end := time.Now().Add(time.Minute); n.State == "pending" && n.Error == "" && time.Now().Before(end); {
		select {
		case <-a.context().Done():
			return n, a.context().Err()
		case <-time.After(300 * time.Millisecond):
		}
		if err := cl.Get(a.context(), "/api/v1/notifications/"+n.ID, nil, &n); err != nil {
			return n, err
		}
	}
	return n, nil
}

func showNotification(a *app, asJSON bool, n apitype.Notification) error {
	if asJSON {
		return a.json(n)
	}
	return page(a.stdout, []field{{"Notification", n.ID}, {"State", n.State}, {"Kind", n.Kind}, {"Channel", n.Channel}, {"To", n.To}, {"Request", n.Request},
		{"Device", string(n.Device)}, {"Attempts", fmt.Sprint(n.Attempts)}, {"Error", n.Error}, {"Created", at(&n.Created)}, {"Next attempt", at(n.NextTry)},
		{"Done", at(n.Done)}})
}
