package main

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/web/apitype"
)

type policyCmd struct {
	Check   policyCheckCmd   `cmd:"" help:"Check files of a policy; needs no gateway."`
	Apply   policyApplyCmd   `cmd:"" help:"Store a new version. It holds at once, for live sessions too."`
	Status  policyStatusCmd  `cmd:"" help:"Show which policy is in force."`
	Explain policyExplainCmd `cmd:"" help:"May somebody do this, and if not, what is the nearest way in?"`
	WhoCan  policyWhoCanCmd  `cmd:"" help:"Who can do what on a device."`
}

// policyFiles are files that together are one policy.
type policyFiles struct {
	Files []string `arg:"" name:"file" help:"TOML files, which together are one policy."`
}

func (p policyFiles) read() ([]authz.File, error) {
	out := make([]authz.File, len(p.Files))
	for i, name := range p.Files {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, usageError("the policy cannot be read: "+err.Error(), "")
		}
		out[i] = authz.File{Name: name, Text: text}
	}
	return out, nil
}

// load reads and checks; problems are printed, one a line with file and line number.
func (p policyFiles) load(a *app) (*authz.Policy, error) {
	files, err := p.read()
	if err != nil {
		return nil, err
	}
	policy, problems := authz.Load(files...)
	for _, q := range problems {
		fmt.Fprintln(a.stderr, safe(q.String()))
	}
	if len(problems) > 0 {
		return nil, exitStatus(1)
	}
	return policy, nil
}

type policyCheckCmd struct {
	policyFiles
	JSON bool `name:"json" help:"Print problems as a JSON array, for programs."`
}

func (*policyCheckCmd) Help() string {
	return `Says what is wrong, where, and what to write instead. Exit status 0 if nothing is, 1 if something is. A rule that can never
match is a problem too.`
}

func (c *policyCheckCmd) Run(a *app) error {
	if c.JSON {
		files, err := c.read()
		if err != nil {
			return err
		}
		_, problems := authz.Load(files...)
		if problems == nil {
			problems = authz.Problems{}
		}
		if err := a.json(problems); err != nil || len(problems) == 0 {
			return err
		}
		return exitStatus(1)
	}
	p, err := c.load(a)
	if err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "%s: nothing is wrong. Its hash is %x.\n", safe(p.Name()), p.SHA256())
	return nil
}

type policyApplyCmd struct {
	policyFiles
	Reason string `short:"r" placeholder:"TEXT" help:"Why; kept with the version and in the log."`
}

func (c *policyApplyCmd) Run(a *app) error {
	if _, err := c.load(a); err != nil {
		return err
	}
	files, err := c.read()
	if err != nil {
		return err
	}
	in := apitype.PolicyApply{Reason: c.Reason}
	for _, f := range files {
		in.Files = append(in.Files, apitype.PolicyFile{Name: filepath.Base(f.Name), Text: string(f.Text)})
	}
	cl, err := a.client()
	if err != nil {
		return err
	}
	var p apitype.Policy
	if err := cl.Post(a.context(), "/api/v1/policy/apply", in, &p); err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "Version %d is in force. Its hash is %s.\n", p.Version, safe(p.SHA256))
	return nil
}

type policyStatusCmd struct {
	JSON bool `name:"json" help:"Print JSON, for programs."`
}

func (c *policyStatusCmd) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	var p apitype.Policy
	if err := cl.Get(a.context(), "/api/v1/policy", nil, &p); err != nil {
		return err
	}
	if c.JSON {
		return a.json(p)
	}
	return page(a.stdout, []field{{"version", strconv.Itoa(p.Version)}, {"hash", p.SHA256}, {"by", p.By}, {"since", at(&p.At)}, {"reason", p.Reason}})
}

type policyExplainCmd struct {
	Who    string `placeholder:"U" help:"A name or subject; machine:NAME for a service. Default: you."`
	Device string `required:"" placeholder:"D" help:"The device's name."`
	Action string `required:"" placeholder:"A" help:"What: shell:LOGIN, run:/bin/x a b, files.read:/path, ports:HOST:PORT, web:PAGE, desktop.view."`
	Ticket string `placeholder:"T" help:"As if this ticket were named."`
	JSON   bool   `name:"json" help:"Print JSON, for programs."`
}

func (*policyExplainCmd) Help() string {
	return `Exit status 0 if it is allowed, 77 if it is not.`
}

func (c *policyExplainCmd) Run(a *app) error {
	if _, err := authz.ParseAction(c.Action); err != nil {
		return usageError(err.Error(), "")
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
		fmt.Fprintln(a.stdout, safe(e.Text))
		if e.Nearest != "" {
			fmt.Fprintln(a.stdout, "Nearest: "+safe(e.Nearest))
		}
	}
	if err == nil && !e.Allowed {
		return exitStatus(errkind.Denied.Exit())
	}
	return err
}

type policyWhoCanCmd struct {
	oneDevice
	listing
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
	return show(a, c.listing, rows, "USER ACTION RULE HOW", func(w apitype.WhoCan) []string {
		return []string{w.User, w.Action, w.Rule, w.How}
	})
}
