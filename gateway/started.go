package gateway

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/gateway/sessionline"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/wire"
	"github.com/sallyport/sallyport/recorder/format"
)

// opened takes the result of opening the channel. It returns nil, or the error with a text for people.
func (c *Channel) opened(line *sessionline.Channel, err error) error {
	if why := sessionline.Unrecorded(err); why != nil {
		return why
	}
	if errors.Is(err, sessionline.ErrNotStarted) {
		return c.notStarted()
	}
	if err != nil {
		return deviceSays(err)
	}
	c.line = line
	c.began()
	return nil
}

// notStarted gives the reason that the device reported before it answered. A program that could not be started was not
// refused by anybody, so it is another kind of error.
func (c *Channel) notStarted() error {
	e := c.firstRefusal()
	if e.Kind == 0 {
		if err := c.s.rec.Note(format.Note{Kind: "refused", Text: "the device gave no reason", Ch: &c.n}); err != nil {
			return err
		}
	}
	what := "shell"
	if len(c.start.Argv) > 0 {
		what = "command"
	}
	text := fmt.Sprintf("%s did not start the %s as %s: ", c.s.ask.Device, what, c.s.ask.Login) +
		told(e.Text, wire.MaxGrantText, "no reason was given")
	switch e.Source {
	case wire.SourceExec:
		return errkind.New(errkind.Unavailable, text).WithHint("The device's administrator can fix this. No rule forbids it.")
	case wire.SourceRequest:
		return errkind.New(errkind.Usage, text).WithHint(askPlainly)
	}
	return errkind.New(errkind.Denied, text).WithHint(askOwner)
}

// deviceSays turns the device's refusal of a channel into an error for people.
func deviceSays(err error) error {
	refused, ok := errors.AsType[*ssh.OpenChannelError](err)
	if !ok {
		return fmt.Errorf("open channel: %w", err)
	}
	text := told(strings.ToValidUTF8(refused.Message, "?"), wire.MaxGrantText, "no reason was given")
	return errkind.New(errkind.Denied, "the machine refused: "+text).WithHint(askOwner)
}
