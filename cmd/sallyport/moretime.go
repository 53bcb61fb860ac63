package main

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/internal/client"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/web/apitype"
)

type sessionsMoreTimeCmd struct {
	oneSession
	For    span    `placeholder:"30m" help:"How long to request, if a request is needed. Default: as long as the session's grant."`
	Reason because `short:"r" placeholder:"TEXT" help:"What the time is for. Default: the reason of its grant."`
	JSON   bool    `name:"json" help:"Print JSON, for programs."`
}

func (*sessionsMoreTimeCmd) Help() string {
	return `For your own running session. If the policy or a grant allows it for longer, it continues at once, without a break. If not, this
makes a request for the same right. When that is approved, "sallyport shell" and the browser take the new time by themselves.

  sallyport sessions more-time last --for 15m`
}

func (c *sessionsMoreTimeCmd) Run(a *app) error {
	in := apitype.MoreTimeAsk{Reason: string(c.Reason)}
	if c.For != 0 {
		var err error
		if in.Minutes, err = wholeMinutes(c.For); err != nil {
			return err
		}
	}
	cl, err := a.client()
	if err != nil {
		return err
	}
	var out apitype.MoreTime
	if err := cl.Post(a.context(), c.path("/more-time"), in, &out); err != nil {
		return err
	}
	if c.JSON {
		return a.json(out)
	}
	fmt.Fprintln(a.stdout, moreTimeText(out))
	return nil
}

func moreTimeText(out apitype.MoreTime) string {
	if out.Extended || out.Request == nil {
		return "The session continues until " + at(&out.Until) + "."
	}
	return fmt.Sprintf("Request %s for more time waits for %s. Without it the session ends at %s.", out.Request.ID, needed(*out.Request), at(&out.Until))
}

// moreTime gets more time for the session of a terminal, at the technician's wish or once it was granted.
type moreTime struct {
	cl      *client.Client
	session id.Session
	tell    func(text string)
	busy    atomic.Bool
}

// moreTimeTakes bounds a call. The gateway asks signer and device.
const moreTimeTakes = time.Minute

// ask makes a request, if one is needed. With take it only takes what is allowed already. It does not wait. A call while
// another one runs does nothing.
func (m *moreTime) ask(take bool) {
	if m.busy.Swap(true) {
		return
	}
	go func() {
		defer m.busy.Store(false)
		ctx, cancel := context.WithTimeout(context.Background(), moreTimeTakes)
		defer cancel()
		var out apitype.MoreTime
		if err := m.cl.Post(ctx, "/api/v1/sessions/"+m.session.String()+"/more-time", apitype.MoreTimeAsk{Take: take}, &out); err != nil {
			text, hint, _ := errkind.ForPeople(err)
			m.tell(strings.TrimSpace("more time refused: " + text + ". " + hint))
		} else if !out.Extended && !take { // otherwise the gateway says so itself
			m.tell(moreTimeText(out))
		}
	}()
}
