package authz

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/internal/id"
)

// Explanation says a decision in the asker's own terms. A refusal is a signpost: what, why, and the nearest
// way in. It names only rules that are about the asker.
type Explanation struct {
	Text    string `json:"text"`              // "You may not open a shell as root on press-7." and why, where there is more to say
	Nearest string `json:"nearest,omitempty"` // "R1 lets you ask for it: ticket, one shift lead, up to 4 h."
	CanAsk  []Way  `json:"can_ask,omitempty"` // nearest first
	Instead []Way  `json:"instead,omitempty"` // what is open now and nearly the same
}

// String gives the whole in one line.
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
	Action    string        `json:"action,omitempty"` // for Instead: what is open
	Text      string        `json:"text"`
	Emergency bool          `json:"emergency,omitempty"`
	AtMost    time.Duration `json:"at_most,omitempty"`
	AskFor    []string      `json:"ask_for,omitempty"`
	Agree     []Agree       `json:"agree,omitempty"`
	Open      []string      `json:"open,omitempty"` // what a require rule still wants before it helps
}

// Agree is who must agree to a request.
type Agree struct {
	From  string `json:"from"` // a group, or @owner
	Count int    `json:"count"`
}

// Invisible is what somebody reads of a device that does not exist, and of one they may not see: the same.
func Invisible(name id.Device) Explanation {
	return Explanation{
		Text:    fmt.Sprintf("No machine of the name %s is visible to you.", clip(string(name))),
		Nearest: "`sallyport devices list` shows what you can reach and what you can ask for.",
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

// Explain says why, and what would help. It is made on demand and may cost a few hundred microseconds.
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
	}
	until := ""
	if !d.Until.IsZero() {
		until = " until " + d.moment(d.Until)
	}
	return fmt.Sprintf("You may %s%s (%s).", d.doing(), until, by)
}

func (d *Decision) doing() string { return phrase(&d.asked.Action, string(d.asked.Device.Name)) }

// phrase says an action on a device as a verb.
func phrase(a *Action, device string) string {
	switch a.Kind {
	case Shell:
		return fmt.Sprintf("open a shell as %s on %s", a.Arg, device)
	case Run:
		return fmt.Sprintf("run %s on %s", clip(joinWords(a.Argv)), device)
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

// ways gives the request rules that lead to the action, nearest first: fewest to agree, least to give.
func (d *Decision) ways(p *Policy) []Way {
	if d.Reason == UnknownLabels {
		return nil
	}
	all, noEmergency := p.deniedBy(&d.asked)
	var out []Way
	p.visit(request, &d.asked.Person, &d.asked.Device, func(x *rule) bool {
		shut := all != nil || x.emergency() && noEmergency != nil
		again := slices.ContainsFunc(out, func(w Way) bool { return w.Rule == x.id })
		if x.role.covers(&d.asked.Action) && !shut && !again {
			w := x.way()
			w.Open = d.open(p)
			out = append(out, w)
		}
		return true
	})
	slices.SortStableFunc(out, func(a, b Way) int {
		return cmp.Or(compareBool(a.Emergency, b.Emergency), cmp.Compare(voices(a.Agree), voices(b.Agree)),
			cmp.Compare(len(a.AskFor), len(b.AskFor)), cmp.Compare(b.AtMost, a.AtMost), cmp.Compare(a.Rule, b.Rule))
	})
	return out
}

func (r *rule) way() Way {
	w := Way{Rule: r.id, Role: r.role.name, Emergency: r.ask.emergency, AtMost: r.ask.atMost, AskFor: r.ask.askFor}
	for _, a := range r.ask.agree {
		w.Agree = append(w.Agree, Agree{From: a.from, Count: a.count})
	}
	lets := " lets you ask for it: "
	if r.ask.emergency {
		lets = " lets you in at once in an emergency: "
	}
	w.Text = r.id + lets + r.ask.terms() + "."
	return w
}

// instead finds other actions of the same kind that are open on the device now: another login, most often.
func (d *Decision) instead(p *Policy) []Way {
	var out []Way
	seen := map[string]bool{}
	p.visit(allow, &d.asked.Person, &d.asked.Device, func(x *rule) bool {
		for i := range x.role.gives {
			a, ok := x.role.gives[i].example(d.asked.Action.Kind)
			if !ok || seen[a.String()] {
				continue
			}
			seen[a.String()] = true
			r := d.asked
			r.Action = a
			if other := Decide(d.snap, r, d.at); other.Allowed {
				out = append(out, Way{Rule: other.Rule, Role: x.role.name, Action: a.String(),
					Text: fmt.Sprintf("you may %s now (rule %s).", phrase(&a, string(r.Device.Name)), other.Rule)})
			}
		}
		return true
	})
	return out
}

// example turns a role's pattern into an action of the kind, if it stands for exactly one.
func (p *Pattern) example(k Kind) (Action, bool) {
	if p.kinds&k == 0 || p.any && k&(DesktopView|DesktopControl) == 0 {
		return Action{}, false
	}
	if k == Run && slices.ContainsFunc(p.argv, func(w string) bool { return w == anyWord || w == anyNumber }) {
		return Action{}, false
	}
	return Action{Kind: k, Arg: p.arg, Argv: p.argv}, true
}

// nearest picks the way in that takes least: what the asker can do alone at once, then asking, then something
// like it that is open, then waiting, and last whom to turn to.
func (d *Decision) nearest(p *Policy, e Explanation) string {
	if d.Reason == UnknownLabels {
		return fmt.Sprintf("an administrator mends the labels of %s.", d.asked.Device.Name)
	}
	if d.Reason == RequirementOpen {
		if step := d.step(p); step != "" {
			return step
		}
	}
	if len(e.CanAsk) > 0 {
		w := e.CanAsk[0]
		if len(w.Open) > 0 && d.Reason != RequirementOpen {
			return w.Text + " Then " + strings.Join(w.Open, "; ") + "."
		}
		return w.Text
	}
	if len(e.Instead) > 0 {
		return e.Instead[0].Text
	}
	if w := p.wait(d); w != "" {
		return w
	}
	return or(map[bool]string{true: p.contact + " answers for the policy."}[p.contact != ""], "an administrator can change the policy.")
}

// step says what the asker can do alone when a requirement is all that is missing.
func (d *Decision) step(p *Policy) string {
	r := d.asked
	var steps []string
	p.visit(require, &r.Person, &r.Device, func(x *rule) bool {
		n := &x.need
		if !x.concerns(&r.Action) {
			return true
		}
		if n.mfaWithin > 0 && !n.fresh(&r, d.at) {
			if r.Person.Machine != "" {
				return true
			}
			steps = append(steps, map[bool]string{true: "sign in as yourself, with your second factor", false: "prove your second factor again"}[r.Person.ViaToken])
		}
		if n.ticket && r.Ticket == "" {
			steps = append(steps, "name a ticket")
		}
		if len(n.from) > 0 && !n.comesFrom(&r) {
			steps = append(steps, "come from "+n.networks())
		}
		if n.attended && !r.Attended {
			steps = append(steps, fmt.Sprintf("have somebody stand beside %s and say so", r.Device.Name))
		}
		if n.atOnce > 0 && r.LiveSessions >= n.atOnce {
			steps = append(steps, "wait until a session there has ended")
		}
		return true
	})
	if len(steps) == 0 {
		return ""
	}
	slices.Sort(steps)
	return list(slices.Compact(steps), "and") + "."
}

// wait says when a rule that gives the action opens next.
func (p *Policy) wait(d *Decision) string {
	if d.Reason != OutsideHours {
		return ""
	}
	r := p.byID[d.Rule]
	if at, ok := r.open.opens(d.at); ok {
		return fmt.Sprintf("rule %s opens %s.", r.id, weekTime(at, r.open))
	}
	return ""
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
