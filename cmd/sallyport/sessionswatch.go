package main

import (
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/web/apitype"
)

type sessionsWatchCmd struct {
	oneSession
	oneChannel
	Raw bool `help:"Show the bytes as they are, in your terminal too. They can drive it: see above."`
}

func (*sessionsWatchCmd) Help() string {
	return `Shows what a channel of a running session has shown so far, and then what comes, until the channel ends. Everything
that is shown is in the record. You cannot type. It is for your own sessions, for the owner of the device, and for approvers
and reviewers. The log says who watches.

Programs on the device choose the escape sequences in their output. Without --raw the output is
shown as plain text.

Exit status: 77 if you may no longer watch, 1 if the connection broke.`
}

func (c *sessionsWatchCmd) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	q := c.query()
	q.Set("text", strconv.FormatBool(!c.Raw))
	out, errs := io.Writer(&sanitizer{w: a.stdout}), io.Writer(&sanitizer{w: a.stderr})
	if c.Raw {
		fmt.Fprintln(a.stderr, "sallyport: these are the bytes of the session, unfiltered; they can drive your terminal. Ctrl-C stops.")
		out, errs = a.stdout, a.stderr
	}
	in, err := cl.Stream(a.context(), c.path("/watch"), q)
	if err != nil {
		return err
	}
	defer in.Close()
	if err := watch(in, out, errs); err != nil {
		return err
	}
	fmt.Fprintf(a.stderr, "sallyport: the channel has ended; `sallyport sessions show %s` says why\n", cell(c.Session))
	return nil
}

// watch copies what comes to out and errs. The gateway's own text says why the watching ended.
func watch(in io.Reader, out, errs io.Writer) error {
	for {
		s, err := apitype.ReadWritten(in)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return cutOff(err)
		}
		to := out
		switch {
		case s.Stream == apitype.GatewayStream && len(s.Data) > 0:
			return errkind.New(errkind.Denied, cell(string(s.Data)))
		case s.Stream == stderrStream:
			to = errs
		}
		if _, err := to.Write(s.Data); err != nil {
			return err
		}
	}
}
