package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/web/apitype"
)

type policyCmd struct {
	Check    policyCheckCmd      `cmd:"" help:"Check files of a policy; needs no gateway."`
	Words    policyWordsCmd      `cmd:"" help:"Say each rule as one sentence, to read and to sign."`
	Matrix   policyMatrixCmd     `cmd:"" help:"What every group has of every role, on which devices."`
	Diff     policyDiffCmd       `cmd:"" help:"What differs between two policies, in words."`
	Apply    policyApplyCmd      `cmd:"" aliases:"propose" help:"Store a new version. It takes effect at once, unless it waits for a second administrator."`
	Confirm  proposalsConfirmCmd `cmd:"" help:"Confirm a change that another administrator proposed: as sallyport proposals confirm."`
	Status   policyStatusCmd     `cmd:"" help:"Show which policy is in force."`
	History  policyHistoryCmd    `cmd:"" help:"List the versions there were."`
	Rollback policyRollbackCmd   `cmd:"" help:"Apply an earlier version again, as a new one."`
	Explain  policyExplainCmd    `cmd:"" help:"Say whether a person may do this, and if not, what the nearest way to get access is."`
	WhoCan   policyWhoCanCmd     `cmd:"" help:"Who can do what on a device."`
}

func (*policyCmd) Help() string {
	return `The policy says who may do what on which devices; docs/policy.md is its language. From a draft to what is in force:

  sallyport policy check policy.toml          what is wrong, where, and what to write instead
  sallyport policy words policy.toml          each rule as one sentence
  sallyport policy diff policy.toml           what it changes
  sallyport policy apply policy.toml          put it into force`
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
			return nil, usageError("the policy cannot be read: "+err.Error(), "Name the TOML files that are the policy, one after the other.")
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

// warn prints rules that cannot work as written.
func (a *app) warn(p *authz.Policy) {
	for _, w := range p.Warnings() {
		fmt.Fprintln(a.stderr, "warning: "+safe(w.String()))
	}
}

type policyCheckCmd struct {
	policyFiles
	JSON bool `name:"json" help:"Print problems as a JSON array, for programs."`
}

func (*policyCheckCmd) Help() string {
	return `Reads the files as one policy and says what is wrong, where, and what to write instead: one problem a line, as FILE:LINE: what.
Nothing is sent anywhere. A rule that can never match is a problem too, and so is everything that would open a door by being lost
or misspelt: docs/policy.md is the language. Warnings name requests that nobody can approve and reviews that are due too early.

  sallyport policy check policy.toml
  sallyport policy check base.toml customers/*.toml

Exit status: 0 nothing is wrong, 1 something is, 2 a file cannot be read.`
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
	a.warn(p)
	fmt.Fprintf(a.stdout, "%s: nothing is wrong. Its hash is %x.\n", safe(p.Name()), p.SHA256())
	return nil
}

type policyApplyCmd struct {
	policyFiles
	Reason because `short:"r" placeholder:"TEXT" help:"Why; kept with the version and in the log."`
	JSON   bool    `name:"json" help:"Print the stored version as JSON, for programs."`
}

func (*policyApplyCmd) Help() string {
	return `Checks the files, has the signer store them as the next version, and prints what changed, in words. It holds at once: live
sessions are decided again, and those that it no longer allows are cut. Needs the duty administer. If it gives people
more rights and another person has that duty too, nothing changes yet. It waits as a proposal until that person confirms it.

  sallyport policy diff policy.toml && sallyport policy apply policy.toml --reason "office hours for suppliers"

Exit status: 0 stored, 1 it waits, or something is wrong with the files or the gateway, 2 a file cannot be read, 77 you may not.`
}

func (c *policyApplyCmd) Run(a *app) error {
	after, err := c.load(a)
	if err != nil {
		return err
	}
	a.warn(after)
	files, err := c.read()
	if err != nil {
		return err
	}
	in := apitype.PolicyApply{Reason: string(c.Reason)}
	for _, f := range files {
		in.Files = append(in.Files, apitype.PolicyFile{Name: filepath.Base(f.Name), Text: string(f.Text)})
	}
	return a.applyPolicy(in, authz.Words(after), c.JSON)
}

// applyPolicy stores a version and says what it changed.
func (a *app) applyPolicy(in apitype.PolicyApply, after []authz.Sentence, asJSON bool) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	var before, p apitype.Policy
	if err := cl.Get(a.context(), "/api/v1/policy", nil, &before); err != nil && errkind.KindOf(err) != errkind.NotFound {
		return err
	}
	if err := cl.Post(a.context(), "/api/v1/policy/apply", in, &p); err != nil {
		return err
	}
	if asJSON {
		return a.json(p)
	}
	if before.Words != nil {
		a.printChanges(authz.Changes(sentences(before.Words), after))
	}
	fmt.Fprintf(a.stdout, "Version %d is in force. Its hash is %s.\n", p.Version, safe(p.SHA256))
	if p.Unconfirmed {
		fmt.Fprintln(a.stderr, "It gives people more rights, and no second administrator could confirm it. It is marked unconfirmed in the log.")
	}
	return nil
}

type policyStatusCmd struct {
	JSON bool `name:"json" help:"Print JSON, for programs."`
}

func (*policyStatusCmd) Help() string {
	return `The version in force, its hash (which devices, sessions and the log repeat), and who applied it when and why.

Exit status: 0 done, 1 there is no policy yet, or the gateway cannot be reached.`
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
	return page(a.stdout, []field{{"version", strconv.Itoa(p.Version)}, {"hash", p.SHA256}, {"by", p.By}, {"proposed by", p.ProposedBy}, {"since", at(&p.At)}, {"reason", p.Reason}, {"confirmed", unconfirmedText(p.Unconfirmed)}})
}

// unconfirmedText is empty unless nobody confirmed a change that gave people more.
func unconfirmedText(unconfirmed bool) string {
	if !unconfirmed {
		return ""
	}
	return "no: it gives people more than before, and there was no second administrator"
}
