package client

import (
	"context"
	"errors"
	"time"

	"github.com/gorilla/websocket"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/reach"
	"github.com/sallyport/sallyport/web/apitype"
)

// askTime bounds the questions after a connection was lost: a person waits for the answer.
const askTime = 5 * time.Second

// askEvery is the pause between two of them.
const askEvery = 250 * time.Millisecond

// lastWord is the hint for a session whose end is not known here.
const lastWord = "The gateway ends the session when it notices. `sallyport sessions show last` says how it ended."

// lost explains why the terminal socket broke. The error of the socket alone cannot tell a gateway that was killed from a
// network that was cut, so the gateway is asked: whether it answers, and how the session ended.
func (t *Terminal) lost(err error) error {
	code := 0
	var c *websocket.CloseError
	if errors.As(err, &c) {
		code = c.Code
	}
	host := t.client.base.Host
	broken := reach.Broken(host, code, err)
	if t.Ready.Session == nil {
		return broken
	}
	ctx, cancel := context.WithTimeout(context.Background(), askTime)
	defer cancel()
	row, asked := t.ended(ctx)
	cause, network := reach.Of(asked)
	switch {
	case asked == nil && row.Reason == crashed:
		return errkind.New(errkind.Unavailable, "the gateway "+host+" was restarted, which ended the session").
			WithHint("Open a new session. What was recorded until then is kept.").Because(err)
	case asked == nil && row.Reason == byTerminal:
		return errkind.New(errkind.Unavailable, "the connection to "+host+" was lost, and the gateway ended the session").
			WithHint("The network or a proxy in between cut it. Open a new session.").Because(err)
	case asked == nil && row.Reason != "":
		return errkind.New(errkind.Unavailable, "the connection to "+host+" was lost; the session ended: "+row.Reason).
			WithHint(lastWord).Because(err)
	case asked != nil && restarting(asked):
		return errkind.New(errkind.Unavailable, "the gateway "+host+" has stopped or is restarting, which ended the session").
			WithHint("Try again in a minute; then `sallyport sessions show last` says how the session ended.").Because(err)
	case network && cause != reach.Silent:
		text, hint, _ := errkind.ForPeople(asked)
		return errkind.New(errkind.Unavailable, "the connection to "+host+" was lost: "+text).WithHint(hint).Because(err)
	}
	if e, ok := errkind.Of(broken); ok {
		return e.WithHint("The network or a proxy in between cut it. " + lastWord)
	}
	return broken
}

// Reasons of package gateway, which this package must not import.
const (
	crashed    = "gateway crashed" // the gateway found the session open when it started
	byTerminal = "technician"      // its terminal was closed, here by the network
)

// ended waits until the session's row has an end. A gateway that is starting is asked again, and so is one that has not
// noticed yet that its client is gone. When the time is up, the last answer counts.
func (t *Terminal) ended(ctx context.Context) (row apitype.Session, last error) {
	last = context.DeadlineExceeded
	for {
		err := t.client.Get(ctx, "/api/v1/sessions/"+t.Ready.Session.String(), nil, &row)
		if err != nil && ctx.Err() != nil {
			return row, last
		}
		last = err
		if err == nil && row.Ended != nil || err != nil && !restarting(err) {
			return row, err
		}
		select {
		case <-ctx.Done():
			return row, last
		case <-time.After(askEvery):
		}
	}
}

// restarting reports whether an error is one of a gateway that is down or starting, alone or behind a proxy.
func restarting(err error) bool {
	switch cause, network := reach.Of(err); {
	case network:
		return cause == reach.Refused || cause == reach.Upstream || cause == reach.NoGatewayNow || cause == reach.Closed
	default: // in the gateway's own words
		return errkind.KindOf(err) == errkind.Unavailable
	}
}
