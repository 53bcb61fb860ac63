package sessionline

import (
	"context"
	"errors"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/recorder/format"
)

// receipt proves that something is durably recorded and may be sent on a channel. Only given makes one, and only the
// functions of this file send. A test checks both.
type receipt struct{ of *Channel }

// given turns the recording's answer into a receipt. If the session or channel has ended meanwhile, it returns the
// reason, and what was recorded is not sent. If the end is why the recording gave up, that is no error of the
// recording: the session may continue with its other channels.
func (c *Channel) given(ctx context.Context, recorded error) (receipt, error) {
	ended := context.Cause(ctx)
	if recorded != nil && (ended == nil || !errors.Is(recorded, ended)) {
		return receipt{}, &unrecorded{recorded}
	}
	if ended != nil {
		return receipt{}, ended
	}
	return receipt{c}, nil
}

// check refuses a receipt that given did not make, or that is for another channel.
func (c *Channel) check(r receipt) error {
	if r.of != c {
		return errors.New("nothing is sent without a receipt of the recording")
	}
	return nil
}

// unrecorded is the recording's own error. The session cannot continue after it.
type unrecorded struct{ error }

func (e *unrecorded) Unwrap() error { return e.error }

func (c *Channel) recordStart(ctx context.Context, s *Start) (receipt, error) {
	cols, rows := s.size()
	return c.given(ctx, c.line.rec.Start(c.n, cols, rows, s.text(c.n, c.line.login)))
}

func (c *Channel) recordInput(ctx context.Context, p []byte) (receipt, error) {
	return c.given(ctx, c.line.rec.Input(ctx, c.n, 0, p))
}

func (c *Channel) recordInputEnd(ctx context.Context) (receipt, error) {
	return c.given(ctx, c.line.rec.Note(format.Note{Kind: format.NoteInputEnd, Text: "the end of input was sent", Ch: &c.n}))
}

func (c *Channel) recordResize(ctx context.Context, cols, rows uint16) (receipt, error) {
	return c.given(ctx, c.line.rec.Resize(c.n, cols, rows))
}

func (c *Channel) recordSignal(ctx context.Context, name string) (receipt, error) {
	return c.given(ctx, c.line.rec.Note(format.Note{Kind: "signal", Text: name + " was sent to what runs", Ch: &c.n}))
}

// tell sends a request without waiting for an answer. message is the request's payload as a struct; nil: none.
func (c *Channel) tell(r receipt, kind string, message any) error {
	if err := c.check(r); err != nil {
		return err
	}
	_, err := c.ch.SendRequest(kind, false, marshal(message))
	return err
}

// ask sends a request and waits for the answer.
func (c *Channel) ask(r receipt, kind string, message any) (ok bool, err error) {
	if err := c.check(r); err != nil {
		return false, err
	}
	return c.ch.SendRequest(kind, true, marshal(message))
}

func (c *Channel) send(r receipt, p []byte) error {
	if err := c.check(r); err != nil {
		return err
	}
	_, err := c.ch.Write(p)
	return err
}

func (c *Channel) sendEnd(r receipt) error {
	if err := c.check(r); err != nil {
		return err
	}
	return c.ch.CloseWrite()
}

func marshal(message any) []byte {
	if message == nil {
		return nil
	}
	return ssh.Marshal(message)
}
