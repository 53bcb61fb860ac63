package authz

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/internal/id"
)

// Explanation states a decision in the caller's own terms. A refusal says what was refused, why, and the nearest way
// in. It names only rules that are about the caller.
type Explanation struct {
	Text    string `json:"text"`              // "You may not open a shell as root on press-7." and why, where there is more to say
	Nearest string `json:"nearest,omitempty"` // "R1 lets you ask for it: ticket, one shift lead, up to 4 h."
	CanAsk  []Way  `json:"can_ask,omitempty"` // nearest first
	Instead []Way  `json:"instead,omitempty"` // similar actions that are open now
}

// String gives the whole explanation in one line.
func (e Explanation) String() string {
	if e.Nearest == "" {
		return e.Text
	}
	return e.Text + " Nearest: " + e.Nearest
}

// Way is one way in.
type Way struct {
	Rule      string        `json:"rule"`
	Role      string        `json:"role,omitempty"`
	Action    string        `json:"action,omitempty"` // for Instead: the action that is open
	Text      string        `json:"text"`
	Emergency bool          `json:"emergency,omitempty"`
	AtMost    time.Duration `json:"at_most,omitempty"`
	AskFor    []string      `json:"ask_for,omitempty"`
	Agree     []Agree       `json:"agree,omitempty"`
	Open      []string      `json:"open,omitempty"` // what a require rule still wants before it helps
}

// Agree says who must agree to a request.
type Agree struct {
	From  string `json:"from"` // a group, or @owner
	Count int    `json:"count"`
}

// Invisible is the answer about a device that does not exist or that the caller may not see. It is the same for both,
// so that it does not tell which devices exist.
func Invisible(name id.Device) Explanation {
	return Explanation{
		Text: fmt.Sprintf("No machine of the name %s is visible to you.", clip(string(name))),
		Nearest: "`sallyport devices list` shows what you can reach and what you can ask for. " +
			"The duties administer, review and own open no session.",
	}
}

// Visible reports whether any rule or grant is about this person on this device, at whatever time.
func (s *Snapshot) Visible(who Person, d Device, now time.Time) bool {
	if s == nil || s.Policy == nil {
		return false
	}
	seen := false
	see := func(*rule) bool { seen = true; return false }
	s.Policy.visit(allow, &who, &d, see)
	if !seen {
		s.Policy.visit(request, &who, &d, see)
	}
	return seen
}

// Explain says why the decision is as it is, and what would help. It may cost a few hundred microseconds.
func (d Decision) Explain() Explanation {
	if d.Allowed {
		return Explanation{Text: d.permitted()}
	}
	if d.Reason == NoPolicy {
		return Explanation{Text: "There is no policy, so nobody may do anything.", Nearest: "an administrator applies one with `sallyport policy apply`."}
	}
	p := d.snap.Policy
	if d.Reason == NeverTogether {
		return Explanation{
			Text:    fmt.Sprintf("You are in the groups %s, which the policy never allows together, so you may do nothing.", list(p.together(d.asked.Person.Groups), "and")),
			Nearest: "whoever runs your accounts takes you out of one of them.",
		}
	}
	if !d.snap.Visible(d.asked.Person, d.asked.Device, d.at) {
		return Invisible(d.asked.Device.Name)
	}
	e := Explanation{Text: d.refusal(p), CanAsk: d.ways(p), Instead: d.instead(p)}
	e.Nearest = d.nearest(p, e)
	return e
}

func (d *Decision) permitted() string {
	by := "rule " + d.Rule
	if d.Grant != "" {
		by = fmt.Sprintf("grant %s of rule %s", d.Grant, d.Rule)
		if names := d.Approvers(); len(names) > 0 {
			by += ", approved by " + list(names, "and")
		}
	}
	until := ""
	if !d.Until.IsZero() {
		until = " until " + d.moment(d.Until)
	}
	return fmt.Sprintf("You may %s%s (%s).", d.doing(), until, by)
}

// Approvers names those who approved the grant that allows; nil if no grant allows or nobody had to approve.
func (d *Decision) Approvers() (names []string) {
	if d.Grant == "" {
		return nil
	}
	d.snap.eachGrant(&d.asked, func(g *Grant) bool {
		if g.ID != d.Grant {
			return true
		}
		for _, name := range g.Approvers {
			names = append(names, clip(name))
		}
		return false
	})
	return names
}

func (d *Decision) doing() string { return phrase(&d.asked.Action, string(d.asked.Device.Name)) }

// phrase writes an action on a device as a verb phrase.
func phrase(a *Action, device string) string {
	switch a.Kind {
	case Shell:
		return fmt.Sprintf("open a shell as %s on %s", a.Arg, device)
	case Run:
		return fmt.Sprintf("run %s as %s on %s", clip(a.command()), a.Arg, device)
	case FilesRead:
		return fmt.Sprintf("read %s on %s", clip(a.Arg), device)
	case FilesWrite:
		return fmt.Sprintf("write to %s on %s", clip(a.Arg), device)
	case Ports:
		return fmt.Sprintf("reach %s through %s", a.Arg, device)
	case Web:
		return fmt.Sprintf("open the page %s of %s", a.Arg, device)
	case DesktopView:
		return fmt.Sprintf("see the screen of %s", device)
	case DesktopControl:
		return fmt.Sprintf("control the screen of %s", device)
	}
	return "do nothing on " + device
}

func (d *Decision) refusal(p *Policy) string {
	doing := d.doing()
	switch d.Reason {
	case UnknownLabels:
		dev := d.asked.Device
		return fmt.Sprintf("You may not %s: %s.", doing, p.CheckLabels(dev.Site, dev.Labels)[0])
	case OutsideHours:
		w := p.byID[d.Rule].open
		return fmt.Sprintf("You may not %s now: rule %s is open %s, and it is %s there.", doing, d.Rule, w, weekTime(d.at, w))
	case DeniedByRule:
		return fmt.Sprintf("You may not %s: rule %s forbids it, whoever agreed. %s", doing, d.DeniedBy, sentence(p.byID[d.DeniedBy].why))
	case RequirementOpen:
		return fmt.Sprintf("You may not %s yet: %s.", doing, strings.Join(d.open(p), "; "))
	}
	return fmt.Sprintf("You may not %s.", doing)
}

func sentence(s string) string {
	if s == "" || strings.ContainsAny(s[len(s)-1:], ".?") {
		return s
	}
	return s + "."
}

// open says what every require rule that does not hold still wants.
func (d *Decision) open(p *Policy) []string {
	var out []string
	p.visit(require, &d.asked.Person, &d.asked.Device, func(x *rule) bool {
		if x.concerns(&d.asked.Action) {
			out = append(out, x.need.openFor(x.id, &d.asked, d.at)...)
		}
		return true
	})
	slices.Sort(out)
	return slices.Compact(out)
}

func (n *need) openFor(rule string, r *Request, now time.Time) []string {
	var out []string
	say := func(format string, args ...any) {
		out = append(out, fmt.Sprintf("rule %s wants ", rule)+fmt.Sprintf(format, args...))
	}
	if n.mfaWithin > 0 && !n.fresh(r, now) {
		say("%s", n.factorText(r))
	}
	if len(n.from) > 0 && !n.comesFrom(r) {
		say("you to come from %s", n.networks())
	}
	if n.attended && !r.Attended {
		say("somebody to stand beside %s", r.Device.Name)
	}
	if n.atOnce > 0 && r.LiveSessions >= n.atOnce {
		say("at most %s at once on %s, and there %s", count(n.atOnce, "session"), r.Device.Name, is(r.LiveSessions))
	}
	if n.ticket && r.Ticket == "" {
		say("a ticket to be named")
	}
	if n.hours != nil {
		if _, ok := n.hours.contains(now); !ok {
			say("work to be done %s, and it is %s there", n.hours, weekTime(now, n.hours))
		}
	}
	return out
}

func (n *need) factorText(r *Request) string {
	within := "a second factor proven within " + span(n.mfaWithin)
	if r.Person.ViaToken || r.Person.Machine != "" {
		return within + ", which an API token cannot prove"
	}
	return within
}

func (n *need) networks() string {
	out := make([]string, len(n.from))
	for i, prefix := range n.from {
		out[i] = prefix.String()
	}
	return list(out, "or")
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

func voices(as []Agree) int {
	n := 0
	for _, a := range as {
		n += a.Count
	}
	return n
}
