package main

import (
	"fmt"
	"strconv"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/web/apitype"
)

type policyDiffCmd struct {
	Files []string `arg:"" optional:"" name:"file" help:"TOML files, which together are one policy; without them, two stored versions."`
	From  int      `placeholder:"N" help:"Version to begin from. Default: the one in force for files, else the one before it."`
	To    int      `placeholder:"N" help:"Version to compare with, where no files are given. Default: the one in force."`
	JSON  bool     `name:"json" help:"Print a JSON array of what changed, for programs."`
}

func (*policyDiffCmd) Help() string {
	return `Compares two policies sentence by sentence: "-" is what goes, "+" is what comes. Layout and comments make no difference.

  sallyport policy diff policy.toml           the policy in force with files
  sallyport policy diff                       the last change
  sallyport policy diff --from 3 --to 7       two versions

Exit status: 0 done, whether or not something differs; 1 something is wrong with the files; 2 usage; 77 you may not read the stored one.`
}

func (c *policyDiffCmd) Run(a *app) error {
	if len(c.Files) > 0 && c.To != 0 {
		return usageError("files are compared with one version: leave out --to", "--from N compares them with version N, without it with the one in force.")
	}
	before, after, err := c.sides(a)
	if err != nil {
		return err
	}
	changes := authz.Changes(before, after)
	if c.JSON {
		return a.json(changes)
	}
	if len(changes) == 0 {
		fmt.Fprintln(a.stderr, "nothing differs")
	}
	a.printChanges(changes)
	return nil
}

func (c *policyDiffCmd) sides(a *app) (before, after []authz.Sentence, err error) {
	from := c.From
	if len(c.Files) > 0 {
		p, err := policyFiles{c.Files}.load(a)
		if err != nil {
			return nil, nil, err
		}
		after = authz.Words(p)
	} else {
		p, err := a.storedPolicy(c.To)
		if err != nil {
			return nil, nil, err
		}
		after = sentences(p.Words)
		if from == 0 {
			from = p.Version - 1
		}
		if from == 0 {
			return nil, after, nil // nothing was before the first
		}
	}
	p, err := a.storedPolicy(from)
	return sentences(p.Words), after, err
}

func (a *app) printChanges(changes []authz.Change) {
	for _, c := range changes {
		for _, side := range []struct{ sign, text string }{{"-", c.Before}, {"+", c.After}} {
			if side.text != "" {
				fmt.Fprintln(a.stdout, safe(side.sign+" "+c.Kind+" "+c.ID+": "+side.text))
			}
		}
	}
}

type policyHistoryCmd struct{ listing }

func (*policyHistoryCmd) Help() string {
	return "Every version with its hash, who applied it, when and why; newest first. For administrators and reviewers."
}

func (c *policyHistoryCmd) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	var rows []apitype.Policy
	if err := cl.Get(a.context(), "/api/v1/policy/versions", nil, &rows); err != nil {
		return err
	}
	return show(a, c.listing, rows, "There are no versions yet. `sallyport policy apply` stores one.",
		"VERSION SINCE BY HASH REASON", func(p apitype.Policy) []string {
			return []string{strconv.Itoa(p.Version), at(&p.At), p.By, p.SHA256, p.Reason}
		})
}

type policyRollbackCmd struct {
	Version int     `arg:"" help:"The version to apply again."`
	Reason  because `short:"r" placeholder:"TEXT" help:"Why; kept with the version and in the log."`
	JSON    bool    `name:"json" help:"Print the stored version as JSON, for programs."`
}

func (*policyRollbackCmd) Help() string {
	return `Applies the files of an earlier version as a new one; the history keeps both. It is an apply like any other: it holds at once, and
needs the duty administer.`
}

func (c *policyRollbackCmd) Run(a *app) error {
	if c.Version < 1 {
		return usageError("versions are numbered from 1", "`sallyport policy history` lists them.")
	}
	p, err := a.storedPolicy(c.Version)
	if err != nil {
		return err
	}
	reason := fmt.Sprintf("back to version %d", c.Version)
	if c.Reason != "" {
		reason += ": " + string(c.Reason)
	}
	return a.applyPolicy(apitype.PolicyApply{Files: p.Files, Reason: reason}, sentences(p.Words), c.JSON)
}
