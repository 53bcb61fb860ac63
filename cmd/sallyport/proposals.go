package main

import (
	"bufio"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/internal/client"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/web/apitype"
)

type proposalsCmd struct {
	List     proposalsListCmd     `cmd:"" aliases:"ls" default:"1" help:"List the changes that wait for a second administrator."`
	Show     proposalsShowCmd     `cmd:"" help:"Show what a change would give to whom."`
	Confirm  proposalsConfirmCmd  `cmd:"" help:"Confirm a change that another administrator proposed. It takes effect at once."`
	Withdraw proposalsWithdrawCmd `cmd:"" help:"Withdraw your own proposal or another administrator's."`
}

func (*proposalsCmd) Help() string {
	return `A change of the policy, of a device's labels, of a site's owners or of group mappings that gives people more rights waits for a second
administrator, as soon as two people have the duty administer. A proposal that nobody confirms expires after 14 days. The one
who made it cannot confirm it.

  sallyport proposals show 7xqk
  sallyport proposals confirm 7xqk`
}

type proposalsListCmd struct{ listing }

func (c *proposalsListCmd) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	var rows []apitype.Proposal
	if err := cl.Get(a.context(), "/api/v1/proposals", nil, &rows); err != nil {
		return err
	}
	return show(a, c.listing, rows, "No change waits for a second administrator.", "ID CHANGE BY SINCE GAINS DEVICES REASON", func(p apitype.Proposal) []string {
		return []string{p.ID, changeName(p), p.By, at(&p.At), strconv.Itoa(p.Count), strconv.Itoa(p.Devices), p.Reason}
	})
}

func changeName(p apitype.Proposal) string {
	if p.Subject == "" {
		return p.Kind
	}
	return p.Kind + " of " + p.Subject
}

// oneProposal is the argument of commands about one proposal.
type oneProposal struct {
	ID string `arg:"" name:"id" help:"The proposal's id, or a unique beginning of it."`
}

func (p oneProposal) path(rest string) string {
	return "/api/v1/proposals/" + url.PathEscape(p.ID) + rest
}

type proposalsShowCmd struct {
	oneProposal
	JSON bool `name:"json" help:"Print JSON, for programs."`
}

func (c *proposalsShowCmd) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	var p apitype.Proposal
	if err := cl.Get(a.context(), c.path(""), nil, &p); err != nil {
		return err
	}
	if c.JSON {
		return a.json(p)
	}
	return showProposal(a, p)
}

func expiryText(at1 *time.Time) string {
	if at1 == nil {
		return "never: the configuration proposes it"
	}
	return at(at1)
}

// showProposal prints what would change, and then what that gives to whom.
func showProposal(a *app, p apitype.Proposal) error {
	err := page(a.stdout, []field{{"Proposal", p.ID}, {"Change", changeName(p)}, {"Proposed by", p.By}, {"Proposed", at(&p.At)},
		{"Expires", expiryText(p.Expires)}, {"Entry", strconv.FormatUint(p.Entry, 10)}, {"Reason", p.Reason}, {"Concerns", fmt.Sprintf("devices: %d, people known here: %d", p.Devices, p.People)}})
	if err != nil {
		return err
	}
	fmt.Fprintln(a.stdout, "\nWhat changes:")
	for _, c := range p.Changes {
		fmt.Fprintln(a.stdout, "  "+safe(c.What))
		for _, line := range [][2]string{{"-", c.Before}, {"+", c.After}} {
			if line[1] != "" {
				fmt.Fprintf(a.stdout, "    %s %s\n", line[0], safe(line[1]))
			}
		}
	}
	fmt.Fprintln(a.stdout, "\nWhat people gain:")
	for _, g := range p.Gains {
		shown := authz.Gain{Who: g.Who, What: g.What, How: g.How, Rule: g.Rule, Devices: g.Devices, More: g.More, Where: g.Where}
		fmt.Fprintln(a.stdout, "  "+safe(shown.String()))
	}
	return nil
}

type proposalsConfirmCmd struct {
	oneProposal
	Entry uint64 `placeholder:"N" help:"The entry of the log that show printed. Required where nobody can be asked."`
	JSON  bool   `name:"json" help:"Print the change as JSON, for programs."`
}

func (*proposalsConfirmCmd) Help() string {
	return `Needs the duty administer and a sign-in. It shows what you would confirm, and asks. Where it cannot ask, --entry says which
proposal you have read: the number that "sallyport proposals show" prints. If the change would now give
more than was proposed, it is not made. It becomes your proposal, and another administrator has to confirm it.

Exit status: 0 it is in force, 1 it is not, 77 you may not confirm it.`
}

func (c *proposalsConfirmCmd) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	entry, err := c.read(a, cl)
	if err != nil {
		return err
	}
	var p apitype.Proposal
	if err := cl.Post(a.context(), c.path("/confirm"), apitype.ProposalConfirm{Entry: entry}, &p); err != nil {
		return err
	}
	if c.JSON {
		return a.json(p)
	}
	fmt.Fprintf(a.stdout, "The change is in force: %s, proposed by %s.\n", safe(changeName(p)), safe(p.By))
	return nil
}

// read gives the entry of what the person has read. Without --entry it shows the proposal and asks.
func (c *proposalsConfirmCmd) read(a *app, cl *client.Client) (uint64, error) {
	if c.Entry != 0 {
		return c.Entry, nil
	}
	if !isTerminal(a.stdout) || c.JSON {
		return 0, usageError("nobody can be asked here whether this is the change that you have read",
			"Read it with \"sallyport proposals show\", and repeat the number of its entry: --entry N.")
	}
	var p apitype.Proposal
	if err := cl.Get(a.context(), c.path(""), nil, &p); err != nil {
		return 0, err
	}
	if err := showProposal(a, p); err != nil {
		return 0, err
	}
	fmt.Fprint(a.stdout, "\nConfirm this change? [y/N] ")
	line, _ := bufio.NewReader(a.stdin).ReadString('\n')
	if answer := strings.ToLower(strings.TrimSpace(line)); answer != "y" && answer != "yes" {
		return 0, errkind.New(errkind.Conflict, "nothing was changed")
	}
	return p.Entry, nil
}

type proposalsWithdrawCmd struct {
	oneProposal
	Reason because `short:"r" placeholder:"TEXT" help:"Why. It is in the log."`
}

func (c *proposalsWithdrawCmd) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	if err := cl.Post(a.context(), c.path("/withdraw"), apitype.Reason{Reason: string(c.Reason)}, nil); err != nil {
		return err
	}
	fmt.Fprintln(a.stdout, "The proposal was withdrawn. Nothing has changed.")
	return nil
}
