package main

import (
	"encoding/hex"
	"fmt"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/web/apitype"
)

// policySource is a policy out of files, or the one in force.
type policySource struct {
	Files []string `arg:"" optional:"" name:"file" help:"TOML files, which together are one policy; \"stored\", or nothing: the policy in force."`
}

func (s policySource) stored() bool {
	return len(s.Files) == 0 || len(s.Files) == 1 && s.Files[0] == "stored"
}

// storedPolicy fetches the policy in force, or an earlier version; 0 is the one in force.
func (a *app) storedPolicy(version int) (apitype.Policy, error) {
	var p apitype.Policy
	cl, err := a.client()
	if err != nil {
		return p, err
	}
	path := "/api/v1/policy"
	if version > 0 {
		path = fmt.Sprintf("/api/v1/policy/versions/%d", version)
	}
	if err := cl.Get(a.context(), path, nil, &p); err != nil {
		return p, err
	}
	if p.Files == nil {
		return p, errkind.New(errkind.Denied, "the text of the policy is for administrators and reviewers").WithHint("`sallyport policy status` shows which one is in force.")
	}
	return p, nil
}

func sentences(in []apitype.PolicyWord) []authz.Sentence {
	out := make([]authz.Sentence, len(in))
	for i, w := range in {
		out[i] = authz.Sentence(w)
	}
	return out
}

type policyWordsCmd struct {
	policySource
	JSON bool `name:"json" help:"Print a JSON array of kind, id, text and why, in the order of the text."`
	Why  bool `help:"Print what the policy gives as the reason under each rule."`
}

func (*policyWordsCmd) Help() string {
	return `Prints the whole policy in English, one rule a line and in a fixed order: what it is, who does what in the product, labels, hours,
roles, then allow, request, require and deny rules. What a rule leaves out is written out. The same files always give the same
lines, under the hash by which the log, devices and sessions name the policy; so the printed page can be signed.

  sallyport policy words policy.toml          files, without a gateway
  sallyport policy words stored               the policy in force; for administrators and reviewers

Exit status: 0 done, 1 something is wrong with the files, 2 a file cannot be read, 77 you may not read the stored one.`
}

func (c *policyWordsCmd) Run(a *app) error {
	title, words, err := c.words(a)
	if err != nil {
		return err
	}
	if c.JSON {
		return a.json(words)
	}
	fmt.Fprintln(a.stdout, title)
	for _, w := range words {
		fmt.Fprintln(a.stdout, safe(w.Kind+" "+w.ID+": "+w.Text))
		if c.Why && w.Why != "" {
			fmt.Fprintln(a.stdout, safe("    Why: "+w.Why))
		}
	}
	return nil
}

func (s policySource) words(a *app) (title string, words []authz.Sentence, err error) {
	if s.stored() {
		p, err := a.storedPolicy(0)
		return fmt.Sprintf("version %d, hash %s", p.Version, safe(p.SHA256)), sentences(p.Words), err
	}
	p, err := policyFiles(s).load(a)
	if err != nil {
		return "", nil, err
	}
	sum := p.SHA256()
	return "hash " + hex.EncodeToString(sum[:]), authz.Words(p), nil
}

type policyMatrixCmd struct {
	policySource
	CSV  bool `name:"csv" xor:"form" help:"Print comma-separated values for a spreadsheet. No cell is read as a formula."`
	JSON bool `name:"json" xor:"form" help:"Print a JSON array, for programs."`
}

func (*policyMatrixCmd) Help() string {
	return `One row for every group with every role, also where it gives nothing, and one for every class of devices that a rule chooses. Machines
come after the groups. A cell names rules; "where …" limits one to a part of the row's devices.

  sallyport policy matrix policy.toml --csv >matrix.csv
  sallyport policy matrix                     the policy in force; for administrators and reviewers

Exit status: 0 done, 1 something is wrong with the files, 2 a file cannot be read, 77 you may not read the stored one.`
}

func (c *policyMatrixCmd) Run(a *app) error {
	rows, err := c.rows(a)
	if err != nil {
		return err
	}
	if c.CSV {
		_, err := a.stdout.Write(authz.MatrixCSV(rows))
		return err
	}
	return show(a, listing{JSON: c.JSON}, rows, "The policy has neither groups nor roles.",
		"WHO ROLE DEVICES WITHOUT-ASKING BY-ASKING EMERGENCY MUST NEVER GIVES", func(r authz.MatrixRow) []string {
			return []string{r.Who, r.Role, r.Devices, r.Allow, r.Ask, r.Emergency, r.Must, r.Never, r.Gives}
		})
}

func (s policySource) rows(a *app) ([]authz.MatrixRow, error) {
	if !s.stored() {
		p, err := policyFiles(s).load(a)
		return authz.Matrix(p), err
	}
	cl, err := a.client()
	if err != nil {
		return nil, err
	}
	var got []apitype.PolicyRow
	if err := cl.Get(a.context(), "/api/v1/policy/matrix", nil, &got); err != nil {
		return nil, err
	}
	out := make([]authz.MatrixRow, len(got))
	for i, r := range got {
		out[i] = authz.MatrixRow(r)
	}
	return out, nil
}
