package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/sallyport/sallyport/internal/client"
	"github.com/sallyport/sallyport/web/apitype"
)

type sessionsExportCmd struct {
	oneSession
	oneChannel
	Out        string `short:"o" type:"path" placeholder:"FILE" help:"Where to; \"-\" is stdout. Default: a file named after the session."`
	Transcript bool   `xor:"form" help:"Output of one channel as plain text instead of the evidence."`
	Cast       bool   `xor:"form" help:"The terminal of one channel as asciicast instead of the evidence."`
}

func (*sessionsExportCmd) Help() string {
	return `The evidence has all channels of the session. A transcript or asciicast has one; where the record has more, stderr
says so.`
}

// form gives the address of what is saved, and how the name of its file ends.
func (c *sessionsExportCmd) form() (path, ending string) {
	switch {
	case c.Transcript:
		return "/transcript", c.mark() + ".txt"
	case c.Cast:
		return "/cast", c.mark() + ".cast"
	}
	return "/export", ".slyb"
}

func (c *sessionsExportCmd) Run(a *app) error {
	if !c.Transcript && !c.Cast && c.Channel != nil {
		return usageError("--channel goes with --transcript or --cast: the evidence always has all channels", "Leave it out.")
	}
	cl, err := a.client()
	if err != nil {
		return err
	}
	if err := c.recorded(a, cl); err != nil {
		return err
	}
	var s apitype.SessionDetail
	if err := cl.Get(a.context(), c.path(""), nil, &s); err != nil {
		return err
	}
	c.Session = s.ID.String()
	if !c.Transcript && !c.Cast { // the bundle carries a damaged record too, in which sallyport-verify finds the fault
		return c.save(a, cl)
	}
	t, err := c.timeline(a, cl)
	if err != nil {
		return err
	}
	c.tellOthers(a, c.oneSession, t)
	if err := c.save(a, cl); err != nil {
		return err
	}
	return c.endsEarly(t)
}

// save writes what was asked for to its file, or to stdout.
func (c *sessionsExportCmd) save(a *app, cl *client.Client) error {
	form, ending := c.form()
	in, err := cl.Stream(a.context(), c.path(form), c.query())
	if err != nil {
		return err
	}
	defer in.Close()
	if c.Out == "-" || strings.HasSuffix(c.Out, string(filepath.Separator)+"-") {
		_, err := io.Copy(a.stdout, in)
		return cutOff(err)
	}
	out := c.Out
	if out == "" {
		out = c.Session + ending
	}
	if err := saveFile(out, in); err != nil {
		return err
	}
	fmt.Fprintln(a.stderr, "saved "+out)
	return nil
}

// saveFile writes a file whole or not at all, for its user only: it holds what was typed and shown.
func saveFile(path string, in io.Reader) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".sallyport-*")
	if err != nil {
		return usageError("this cannot be saved: "+err.Error(), "Name another place with -o.")
	}
	defer os.Remove(f.Name()) // gone already where the rename went well
	_, err = io.Copy(f, in)
	if err := errors.Join(cutOff(err), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

type sessionsVerifyCmd struct {
	oneSession
	JSON bool `name:"json" help:"Print JSON, for programs."`
}

// notYet is the exit status while the session is still being opened: EX_TEMPFAIL of sysexits.h.
const notYet = 75

func (*sessionsVerifyCmd) Help() string {
	return `Exit status: 0 the record is complete and unaltered, 1 it is not, 75 the session is being opened, so there
is nothing to compare yet.`
}

// verify asks again for a moment while a session is being opened.
func (c *sessionsVerifyCmd) verify(a *app, cl *client.Client) (v apitype.Verdict, err error) {
	for range 10 {
		v = apitype.Verdict{}
		if err = cl.Post(a.context(), c.path("/verify"), nil, &v); err != nil || !v.NotYet {
			break
		}
		select {
		case <-a.context().Done():
			return v, context.Cause(a.context())
		case <-time.After(200 * time.Millisecond):
		}
	}
	return v, err
}

// checkWord is the word for the result of a check in the list.
func checkWord(k apitype.Check) string {
	switch {
	case k.NotYet:
		return "WAIT"
	case k.OK:
		return "ok  "
	}
	return "BAD "
}

func (c *sessionsVerifyCmd) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	if err := c.recorded(a, cl); err != nil {
		return err
	}
	v, err := c.verify(a, cl)
	if err != nil {
		return err
	}
	if c.JSON {
		err = a.json(v)
	} else {
		for _, k := range v.Checks {
			fmt.Fprintf(a.stdout, "%s  %s  %s: %s\n", checkWord(k), cell(k.Level), cell(k.Name), cell(k.Text))
		}
		fmt.Fprintln(a.stdout, cell(v.Summary))
	}
	if err == nil && v.NotYet {
		return exitStatus(notYet)
	}
	if err == nil && !v.OK {
		return exitStatus(1)
	}
	return err
}
