package main

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport/sallyport/internal/client"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/web/apitype"
)

type requestCmd struct {
	Ask      requestAskCmd      `cmd:"" default:"withargs" help:"Request a right on a device. This is the default: sallyport request DEVICE …"`
	List     requestListCmd     `cmd:"" aliases:"ls" help:"List requests: your own, and those that you can see."`
	Show     requestShowCmd     `cmd:"" help:"Show one request: what it is for, who must approve it, and who has."`
	Approve  requestApproveCmd  `cmd:"" help:"Approve a request, in full or in part."`
	Deny     requestDenyCmd     `cmd:"" help:"Deny a request, with a reason."`
	Withdraw requestWithdrawCmd `cmd:"" help:"Withdraw your own pending request. With a grant's id, withdraw the grant."`
}

type requestAskCmd struct {
	Device    string   `arg:"" help:"The device's name."`
	Action    []string `placeholder:"A" help:"What to ask for, as the policy writes it: shell, shell:root, files.read:/var/log. May repeat."`
	Role      string   `placeholder:"R" help:"Request everything that this role gives, instead of actions."`
	Login     string   `short:"l" placeholder:"L" help:"The login of the terminal, or of the role's rights."`
	For       span     `placeholder:"30m" default:"30m" help:"How long, starting with the last approval: 15m, 2h. Whole minutes."`
	Emergency bool     `help:"Request under an emergency rule. The gateway notifies the people whom the rule names, and an officer must review it."`
	Reason    string   `placeholder:"TEXT" help:"What it is for. Whoever approves reads it, and it is in the record."`
	Ticket    string   `placeholder:"T" help:"The ticket's number."`
	Rule      string   `placeholder:"ID" help:"Request under this rule. Default: the one that needs the fewest approvals."`
	Wait      bool     `help:"Return when the request is decided: status 0 if it was approved, 77 if not."`
	JSON      bool     `name:"json" help:"Print JSON, for programs."`
}

func (*requestAskCmd) Help() string {
	return `A request rule of the policy says what you can request, who must approve it, and for how long at most. After the last
approval you have the right for that long, and "sallyport shell" opens what was approved. A request that is not approved in time expires.

  sallyport request press-2 --action shell --for 15m --reason "replace the pump's sensor"
  sallyport request press-2 --role maintain --login svc --for 1h --reason TEXT --ticket T-17 --wait
  sallyport request press-2 --emergency --action shell --for 30m --reason "the line burns"
  sallyport request list --mine`
}

func (c *requestAskCmd) Run(a *app) error {
	minutes, err := wholeMinutes(c.For)
	if err != nil {
		return err
	}
	if (c.Role == "") == (len(c.Action) == 0) {
		return usageError("exactly one of --action and --role is required", "Give --action shell, or --role R. `sallyport devices show "+c.Device+"` shows what you can ask for.")
	}
	cl, err := a.client()
	if err != nil {
		return err
	}
	var q apitype.Request
	in := apitype.RequestNew{Device: c.Device, Rule: c.Rule, Emergency: c.Emergency, Role: c.Role, Actions: c.Action, Login: c.Login, Minutes: minutes, Reason: c.Reason, Ticket: c.Ticket}
	if err := cl.Post(a.context(), "/api/v1/requests", in, &q); err != nil {
		return err
	}
	if c.Wait && q.State == "pending" {
		fmt.Fprintf(a.stderr, "%s waits for %s until %s. Ctrl-C leaves it waiting.\n", q.ID, needed(q), at(&q.Expires))
		if q, err = decided(a, cl, q); err != nil {
			return err
		}
	}
	if err := showRequest(a, c.JSON, q); err != nil {
		return err
	}
	return c.verdict(q)
}

// verdict returns the error of --wait: a refusal unless the request was approved.
func (c *requestAskCmd) verdict(q apitype.Request) error {
	if !c.Wait || q.State == "approved" || q.State == "used" {
		return nil
	}
	text := fmt.Sprintf("the request was %s", q.State)
	if q.State == "expired" {
		text = "the request has expired: it was not approved in time"
	}
	if q.Answer != "" {
		text += fmt.Sprintf(" by %s: %s", q.Answered, q.Answer)
	}
	return errkind.New(errkind.Denied, text)
}

// wholeMinutes returns a length in minutes. A length that is not a whole number of minutes is an error.
func wholeMinutes(s span) (int, error) {
	d := time.Duration(s)
	if d < time.Minute || d%time.Minute != 0 {
		return 0, usageError("the time must be a whole number of minutes", "Write 15m or 2h.")
	}
	return int(d / time.Minute), nil
}

// decided waits until a request is not pending any more.
func decided(a *app, cl *client.Client, q apitype.Request) (apitype.Request, error) {
	for q.State == "pending" {
		select {
		case <-a.context().Done():
			return q, a.context().Err()
		case <-time.After(time.Second):
		}
		if err := cl.Get(a.context(), "/api/v1/requests/"+q.ID, nil, &q); err != nil {
			return q, err
		}
	}
	return q, nil
}

// needed says who must agree as well.
func needed(q apitype.Request) string {
	var out []string
	for _, n := range q.Needs {
		if left := n.Count - n.Have; left > 0 {
			switch {
			case n.From != "@owner":
				out = append(out, fmt.Sprintf("%d of %s", left, n.From))
			case left == 1:
				out = append(out, "the owner")
			default:
				out = append(out, fmt.Sprintf("%d owners", left))
			}
		}
	}
	return strings.Join(out, " and ")
}

func showRequest(a *app, asJSON bool, q apitype.Request) error {
	if asJSON {
		return a.json(q)
	}
	waits := ""
	if q.State == "pending" {
		waits = needed(q) + ", until " + at(&q.Expires)
	}
	answer := q.Answer
	if q.Answered != "" {
		answer = q.Answered + ": " + q.Answer
	}
	return page(a.stdout, []field{{"Request", q.ID}, {"State", q.State}, {"Device", string(q.Device)}, {"Requested by", q.By}, {"Actions", strings.Join(q.Actions, ", ")},
		{"Minutes", strconv.Itoa(q.Minutes)}, {"Reason", q.Reason}, {"Ticket", q.Ticket}, {"Rule", q.Rule}, {"Waits for", waits},
		{"Approved by", strings.Join(q.Approvers, ", ")}, {"Answer", answer}, {"Requested", at(&q.Created)}, {"Requested from", q.Address}})
}

type requestListCmd struct {
	listing
	Mine   bool   `help:"Only your own."`
	Answer bool   `help:"Only those that wait for your answer."`
	Device string `placeholder:"D" help:"For this device."`
	State  string `placeholder:"S" help:"In this state: pending, approved, used, denied, withdrawn, expired; several with commas between."`
	Page   int    `placeholder:"N" help:"Only this page. Default: the newest 500."`
	Size   int    `placeholder:"N" default:"50" help:"Requests on a page."`
}

func (c *requestListCmd) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	q := pageQuery(c.Page, c.Size)
	for k, v := range map[string]string{"device": c.Device, "state": c.State, "mine": yes(c.Mine), "answer": yes(c.Answer)} {
		if v != "" {
			q.Set(k, v)
		}
	}
	var p apitype.RequestPage
	if err := cl.Get(a.context(), "/api/v1/requests", q, &p); err != nil {
		return err
	}
	return show(a, c.listing, p.Requests, "No request that you may see matches.", "ID DEVICE BY ACTIONS MINUTES STATE REQUESTED REASON", func(q apitype.Request) []string {
		return []string{q.ID, string(q.Device), q.By, strings.Join(q.Actions, ", "), strconv.Itoa(q.Minutes), q.State, at(&q.Created), q.Reason}
	})
}

// pageQuery asks for one page, or for the newest 500.
func pageQuery(page, size int) url.Values {
	if page == 0 {
		page, size = 1, 500
	}
	return url.Values{"page": {strconv.Itoa(page)}, "size": {strconv.Itoa(size)}}
}

func yes(b bool) string {
	if b {
		return "true"
	}
	return ""
}

type requestShowCmd struct {
	Request string `arg:"" help:"The request's id, a unique beginning of it, or last."`
	JSON    bool   `name:"json" help:"Print JSON, for programs."`
}

func (c *requestShowCmd) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	var q apitype.Request
	if err := cl.Get(a.context(), "/api/v1/requests/"+url.PathEscape(c.Request), nil, &q); err != nil {
		return err
	}
	return showRequest(a, c.JSON, q)
}

type requestApproveCmd struct {
	Request string   `arg:"" help:"The request's id, or a unique beginning of it."`
	For     span     `placeholder:"15m" help:"Approve for this long, at most as requested."`
	Action  []string `placeholder:"A" help:"Approve these actions alone. May repeat."`
	JSON    bool     `name:"json" help:"Print JSON, for programs."`
}

func (*requestApproveCmd) Help() string {
	return `Approving less changes the request for everybody, so earlier approvers must approve again. Nobody can approve their own request,
and each person counts once. The signer checks your approval with your own sign-in or API token. The log records it.

  sallyport request list --answer
  sallyport request approve 7xq --for 15m`
}

func (c *requestApproveCmd) Run(a *app) error {
	in := apitype.RequestApprove{Actions: c.Action}
	if c.For != 0 {
		var err error
		if in.Minutes, err = wholeMinutes(c.For); err != nil {
			return err
		}
	}
	return answerRequest(a, c.Request, "approve", in, c.JSON)
}

type requestDenyCmd struct {
	Request string `arg:"" help:"The request's id, or a unique beginning of it."`
	Reason  string `required:"" placeholder:"TEXT" help:"Why. The requester reads it."`
	JSON    bool   `name:"json" help:"Print JSON, for programs."`
}

func (c *requestDenyCmd) Run(a *app) error {
	return answerRequest(a, c.Request, "deny", apitype.RequestEnd{Reason: c.Reason}, c.JSON)
}

type requestWithdrawCmd struct {
	Request string `arg:"" help:"The request's id, or a unique beginning of it."`
	Reason  string `placeholder:"TEXT" help:"Why."`
	JSON    bool   `name:"json" help:"Print JSON, for programs."`
}

func (c *requestWithdrawCmd) Run(a *app) error {
	return answerRequest(a, c.Request, "withdraw", apitype.RequestEnd{Reason: c.Reason}, c.JSON)
}

func answerRequest(a *app, request, how string, in any, asJSON bool) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	var q apitype.Request
	if err := cl.Post(a.context(), "/api/v1/requests/"+url.PathEscape(request)+"/"+how, in, &q); err != nil {
		return err
	}
	return showRequest(a, asJSON, q)
}
