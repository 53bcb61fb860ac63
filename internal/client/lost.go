package client

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/gorilla/websocket"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/reach"
	"github.com/sallyport/sallyport/web/apitype"
)

// askTime bounds the requests after a lost connection: a person waits for the answer.
const askTime = 5 * time.Second

// askEvery is the pause between two of them.
const askEvery = 250 * time.Millisecond

// lost explains why the terminal socket broke. The error of the socket alone cannot tell a gateway that was killed from
// a network that was cut, so this asks the gateway how the session ended, if it answers.
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
	say := func(c reach.Cause, text, hint string) error {
		return errkind.New(errkind.Unavailable, text).WithHint(hint).Because(&reach.Failure{Cause: c, Err: err})
	}
	switch {
	case asked == nil && row.Reason == crashed:
		return say(reach.Stopping, "the gateway "+host+" was restarted, which ended the session",
			"Open a new session. What was recorded until then is kept.")
	case asked == nil && row.Reason == byTerminal:
		return say(reach.Lost, "the connection to "+host+" was lost, and the gateway ended the session",
			"The network or a proxy in between cut it. Open a new session.")
	case asked == nil && row.Reason != "":
		return say(reach.Lost, "the connection to "+host+" was lost; the session ended: "+row.Reason,
			"`sallyport sessions show last` says more.")
	case asked != nil && restarting(asked):
		return say(reach.Stopping, "the gateway "+host+" has stopped or is restarting, which ended the session",
			"Try again in a minute; then `sallyport sessions show last` says how the session ended.")
	case unreachable(asked):
		text, hint, _ := errkind.ForPeople(asked)
		return say(reach.Lost, "the connection to "+host+" was lost: "+text, hint)
	}
	if e, ok := errkind.Of(broken); ok {
		return e.WithHint("The network or a proxy in between cut it. The gateway ends the session when it notices; " +
			"`sallyport sessions show last` says how.")
	}
	return broken
}

// Reasons of package gateway, which this package must not import.
const (
	crashed    = "gateway crashed" // the gateway found the session open when it started
	byTerminal = "technician"      // its terminal was closed; here the network closed it
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

// unreachable reports whether an error means that the gateway can no longer be reached.
func unreachable(err error) bool {
	cause, network := reach.Of(err)
	return network && slices.Contains([]reach.Cause{reach.NoRoute, reach.NameUnknown, reach.NameServer,
		reach.ProxyUnreachable, reach.ProxyTarget}, cause)
}
