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

type noticesCmd struct {
	List  noticesListCmd  `cmd:"" aliases:"ls" default:"1" help:"List notices: sent, pending, and dead letters."`
	Retry noticesRetryCmd `cmd:"" help:"Try again to send a notice."`
	Test  noticesTestCmd  `cmd:"" help:"Send a test mail to yourself, or a test to a webhook."`
}

type noticesListCmd struct {
	listing
	State string `placeholder:"S" help:"In this state: pending, sent, dead; several with commas between."`
	Page  int    `placeholder:"N" help:"Only this page. Default: the newest 500."`
	Size  int    `placeholder:"N" default:"50" help:"Notices on a page."`
}

func (*noticesListCmd) Help() string {
	return `A notice is one message to one receiver: a mail to a person, or a document to a webhook. "sent" means that the mail server
or the receiver has accepted it. A pending notice is tried for 24 h, after pauses from 30 s to 15 min. After that, or if its
receiver refuses it for good, it is a dead letter.

  sallyport notices list --state dead
  sallyport notices retry 7xq

Needs the duty administer.`
}

func (c *noticesListCmd) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	q := pageQuery(c.Page, c.Size)
	if c.State != "" {
		q.Set("state", c.State)
	}
	var p apitype.NoticePage
	if err := cl.Get(a.context(), "/api/v1/notices", q, &p); err != nil {
		return err
	}
	return show(a, c.listing, p.Notices, "There are no such notices.", "ID KIND CHANNEL TO DEVICE STATE ATTEMPTS CREATED NEXT-TRY ERROR", func(n apitype.Notice) []string {
		return []string{n.ID, n.Kind, n.Channel, n.To, string(n.Device), n.State, strconv.Itoa(n.Attempts), at(&n.Created), at(n.NextTry), n.Error}
	})
}

type noticesRetryCmd struct {
	Notice string `arg:"" help:"The notice's id, or a unique beginning of it."`
	JSON   bool   `name:"json" help:"Print JSON, for programs."`
}

func (*noticesRetryCmd) Help() string {
	return `A dead letter becomes pending for another 24 h. A pending notice is tried at once. Needs the duty administer.`
}

func (c *noticesRetryCmd) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	var n apitype.Notice
	if err := cl.Post(a.context(), "/api/v1/notices/"+url.PathEscape(c.Notice)+"/retry", struct{}{}, &n); err != nil {
		return err
	}
	return showNotice(a, c.JSON, n)
}

type noticesTestCmd struct {
	Webhook string `placeholder:"NAME" help:"Send to this webhook, and not by mail."`
	JSON    bool   `name:"json" help:"Print JSON, for programs."`
}

func (*noticesTestCmd) Help() string {
	return `The test goes through the outbox, as every notice does. The command waits for the first attempt, 60 s at most, and says
why it failed. The mail goes to your own address, as your provider gave it at your last sign-in. Needs the duty administer.`
}

func (c *noticesTestCmd) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	var n apitype.Notice
	if err := cl.Post(a.context(), "/api/v1/notices/test", apitype.NoticeTest{Webhook: c.Webhook}, &n); err != nil {
		return err
	}
	if n, err = attempted(a, cl, n); err != nil {
		return err
	}
	if err := showNotice(a, c.JSON, n); err != nil {
		return err
	}
	if n.State == "sent" {
		return nil
	}
	return errkind.New(errkind.Unavailable, "the test was not accepted: "+orDash(n.Error)).
		WithHint("Check [mail] or [[webhook]] in the gateway's configuration. `sallyport notices list` shows whether a later attempt succeeds.")
}

// attempted waits until the outcome of the first attempt is known, for a minute at most.
func attempted(a *app, cl *client.Client, n apitype.Notice) (apitype.Notice, error) {
	for end := time.Now().Add(time.Minute); n.State == "pending" && n.Error == "" && time.Now().Before(end); {
		select {
		case <-a.context().Done():
			return n, a.context().Err()
		case <-time.After(300 * time.Millisecond):
		}
		if err := cl.Get(a.context(), "/api/v1/notices/"+n.ID, nil, &n); err != nil {
			return n, err
		}
	}
	return n, nil
}

func showNotice(a *app, asJSON bool, n apitype.Notice) error {
	if asJSON {
		return a.json(n)
	}
	return page(a.stdout, []field{{"Notice", n.ID}, {"State", n.State}, {"Kind", n.Kind}, {"Channel", n.Channel}, {"To", n.To}, {"Request", n.Request},
		{"Device", string(n.Device)}, {"Attempts", fmt.Sprint(n.Attempts)}, {"Error", n.Error}, {"Created", at(&n.Created)}, {"Next attempt", at(n.NextTry)},
		{"Done", at(n.Done)}})
}
