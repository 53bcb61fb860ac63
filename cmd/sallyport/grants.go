package main

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/sallyport/sallyport/web/apitype"
)

type grantsCmd struct {
	List     grantsListCmd     `cmd:"" aliases:"ls" default:"1" help:"List grants, which are approved requests."`
	Show     grantsShowCmd     `cmd:"" help:"Show one grant."`
	Review   grantsReviewCmd   `cmd:"" help:"Review an emergency grant."`
	Withdraw grantsWithdrawCmd `cmd:"" aliases:"revoke" help:"Take a grant away. Sessions that nothing else allows end within a second."`
}

type grantsListCmd struct {
	listing
	Mine   bool   `help:"Only your own."`
	Device string `placeholder:"D" help:"For this device."`
	Review bool   `name:"to-review" help:"Only emergency grants that nobody has reviewed."`
	Page   int    `placeholder:"N" help:"Only this page. Default: the newest 500."`
	Size   int    `placeholder:"N" default:"50" help:"Grants on a page."`
}

func (c *grantsListCmd) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	q := pageQuery(c.Page, c.Size)
	if c.Mine {
		q.Set("mine", "true")
	}
	if c.Review {
		q.Set("to_review", "true")
	}
	if c.Device != "" {
		q.Set("device", c.Device)
	}
	var p apitype.GrantPage
	if err := cl.Get(a.context(), "/api/v1/grants", q, &p); err != nil {
		return err
	}
	return show(a, c.listing, p.Grants, "You can see no grants. `sallyport request DEVICE …` asks for one.",
		"ID DEVICE USER ACTIONS STATE STARTS ENDS APPROVERS REVIEW", func(g apitype.Grant) []string {
			return []string{g.ID, string(g.Device), g.Who, strings.Join(g.Actions, ", "), g.State, at(&g.Starts), at(&g.Ends), strings.Join(g.Approvers, ", "), reviewText(g.Review)}
		})
}

type grantsShowCmd struct {
	Grant string `arg:"" help:"The grant's id, a unique beginning of it, or last."`
	JSON  bool   `name:"json" help:"Print JSON, for programs."`
}

func (c *grantsShowCmd) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	var g apitype.Grant
	if err := cl.Get(a.context(), "/api/v1/grants/"+url.PathEscape(c.Grant), nil, &g); err != nil {
		return err
	}
	return showGrant(a, c.JSON, g)
}

func showGrant(a *app, asJSON bool, g apitype.Grant) error {
	if asJSON {
		return a.json(g)
	}
	withdrawn := ""
	if g.Withdrawn != nil {
		withdrawn = at(g.Withdrawn) + " by " + g.By + ": " + g.Why
	}
	return page(a.stdout, []field{{"Grant", g.ID}, {"State", g.State}, {"Device", string(g.Device)}, {"Granted to", g.Who}, {"Actions", strings.Join(g.Actions, ", ")},
		{"Starts", at(&g.Starts)}, {"Ends", at(&g.Ends)}, {"Rule", g.Rule}, {"Approved by", strings.Join(g.Approvers, ", ")}, {"Reason", g.Reason},
		{"Ticket", g.Ticket}, {"Withdrawn", withdrawn}, {"Used", usedText(g)}, {"Review", reviewText(g.Review)}})
}

type grantsWithdrawCmd struct {
	Grant  string `arg:"" help:"The grant's id, a unique beginning of it, or last."`
	Reason string `placeholder:"TEXT" help:"Why. Its holder reads it."`
	JSON   bool   `name:"json" help:"Print JSON, for programs."`
}

func (*grantsWithdrawCmd) Help() string {
	return `The holder, the owners of the device's site, and anyone with the duty approve or administer can withdraw a grant. Sessions
under it end within a second, unless a rule or another grant allows them, and their records say why.`
}

func (c *grantsWithdrawCmd) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	var g apitype.Grant // last means the newest grant, and not the newest request
	if err := cl.Get(a.context(), "/api/v1/grants/"+url.PathEscape(c.Grant), nil, &g); err != nil {
		return err
	}
	return answerRequest(a, g.ID, "withdraw", apitype.RequestEnd{Reason: c.Reason}, c.JSON)
}

// reviewText says how the review of an emergency grant stands; empty for any other grant.
func reviewText(r *apitype.Review) string {
	switch {
	case r == nil:
		return ""
	case r.At != nil:
		return "EMERGENCY, reviewed " + at(r.At) + " by " + r.By + ": " + r.Note
	case r.Overdue:
		return "EMERGENCY, review OVERDUE since " + at(&r.Due)
	}
	return "EMERGENCY, review due " + at(&r.Due)
}

type grantsReviewCmd struct {
	Grant string `arg:"" help:"The grant's id, or a unique beginning of it."`
	Note  string `placeholder:"TEXT" required:"" help:"What you found."`
	JSON  bool   `name:"json" help:"Print JSON, for programs."`
}

func (*grantsReviewCmd) Help() string {
	return `An emergency grant must be reviewed within the time that its rule names, by somebody with the duty review who neither used
nor approved it. The review is possible once the grant has ended, and is an entry of the log.

  sallyport grants list --to-review
  sallyport sessions list --device press-2
  sallyport grants review 7xqk --note "pump fire, three sessions, as described"`
}

func (c *grantsReviewCmd) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	var g apitype.Grant
	if err := cl.Post(a.context(), "/api/v1/grants/"+url.PathEscape(c.Grant)+"/review", apitype.ReviewNew{Note: c.Note}, &g); err != nil {
		return err
	}
	return showGrant(a, c.JSON, g)
}

// usedText says what was done under a grant, beside what was granted.
func usedText(g apitype.Grant) string {
	if g.Used == nil {
		return ""
	}
	if g.Used.Total == 0 {
		return "no session"
	}
	sessions := "1 session"
	if g.Used.Total > 1 {
		sessions = fmt.Sprintf("%d sessions", g.Used.Total)
	}
	granted := g.Ends.Sub(g.Starts)
	return fmt.Sprintf("%s, %s in total; granted for %s", sessions, time.Duration(g.Used.Seconds)*time.Second, granted.Round(time.Second))
}
