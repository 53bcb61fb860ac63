package main

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/web/apitype"
)

type policyExplainCmd struct {
	Who    string `placeholder:"U" help:"A name, or one word of it; a user name; a subject; machine:NAME for a service. Default: you."`
	Device string `required:"" placeholder:"D" help:"The device's name."`
	Action string `required:"" placeholder:"A" help:"What: shell, shell:LOGIN, run:LOGIN /bin/x a b, files.read:/path, files.write:/path, ports:HOST:PORT, web:PAGE, desktop.view, desktop.control."`
	Ticket string `placeholder:"T" help:"As if this ticket were named."`
	JSON   bool   `name:"json" help:"Print JSON, for programs."`
}

func (*policyExplainCmd) Help() string {
	return `Decides as for a session, without opening one, and says why and what the nearest way in is. About somebody else (duty administer
or review) it says what they would be told now; when they last proved a second factor and where they come from is not known to
the gateway then and is not taken as given, and the answer says so.

  sallyport policy explain --device press-7 --action shell:root
  sallyport policy explain --who jana --device press-7 --action "run:svc /opt/press/bin/selftest --module drive"

Exit status: 0 it is allowed as things stand, 77 it is not, 2 the action is not written as one.`
}

// actionForms is said with an action that is none.
const actionForms = "Write it as the policy does, such as shell:root or files.read:/var/log; `sallyport policy explain --help` lists the forms."

func (c *policyExplainCmd) Run(a *app) error {
	if _, err := authz.ParseAction(c.Action); err != nil && c.Action != "shell" { // as the only login that there is
		return usageError(err.Error(), actionForms)
	}
	cl, err := a.client()
	if err != nil {
		return err
	}
	q := url.Values{"device": {c.Device}, "action": {c.Action}}
	if c.Who != "" {
		q.Set("user", c.Who)
	}
	if c.Ticket != "" {
		q.Set("ticket", c.Ticket)
	}
	var e apitype.Explanation
	if err := cl.Get(a.context(), "/api/v1/policy/explain", q, &e); err != nil {
		return err
	}
	if c.JSON {
		err = a.json(e)
	} else {
		a.printExplanation(e)
	}
	if err == nil && !e.Allowed {
		return exitStatus(errkind.Denied.Exit())
	}
	return err
}

func (a *app) printExplanation(e apitype.Explanation) {
	fmt.Fprintln(a.stdout, safe(e.Text))
	if e.Nearest != "" {
		fmt.Fprintln(a.stdout, "Nearest: "+safe(e.Nearest))
	}
	for _, w := range e.CanAsk {
		if !strings.HasPrefix(e.Nearest, w.Text) {
			fmt.Fprintln(a.stdout, "Also: "+safe(w.Text))
		}
	}
}

type policyWhoCanCmd struct {
	oneDevice
	listing
}

func (*policyWhoCanCmd) Help() string {
	return `Every action that a rule or a grant gives on the device: to whom, how, by which rule, and what must be so as well. A group nobody
of whom has signed in yet has a row without a user. Nothing is taken as given: what require rules want stands under CONDITIONS,
and what deny rules take away of it begins with "not". For administrators and reviewers, and for the owner of the device.

HOW: "now" is without asking, "at other times" outside the hours of the rule, "may ask" after whoever it names agreed, "in an
emergency" at once and loudly.`
}

func (c *policyWhoCanCmd) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	var rows []apitype.WhoCan
	if err := cl.Get(a.context(), "/api/v1/policy/who-can", url.Values{"device": {c.Device}}, &rows); err != nil {
		return err
	}
	return show(a, c.listing, rows, "No rule or grant allows any action on this device.",
		"USER GROUP ACTION HOW RULE CONDITIONS", func(w apitype.WhoCan) []string {
			rule := w.Rule
			if w.Grant != "" {
				rule += ", grant " + w.Grant
			}
			return []string{w.User, w.Group, w.Action, w.How, rule, strings.Join(append(w.Conditions, w.Except...), "; ")}
		})
}
