package authz

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/internal/id"
)

// Reach lists everything that one person may do on one device now, may do later, and may ask for. "My work" shows it.
type Reach struct {
	Device  id.Device `json:"device"`
	Visible bool      `json:"visible"`
	Open    []Offer   `json:"open,omitempty"`  // now
	Ask     []Offer   `json:"ask,omitempty"`   // after an approval
	Later   []Offer   `json:"later,omitempty"` // at other hours, or once a require rule holds
}

// Offer lists the rights that one rule or grant gives.
type Offer struct {
	Rule   string        `json:"rule"`
	Grant  string        `json:"grant,omitempty"`
	Role   string        `json:"role"`
	Why    string        `json:"why"`
	Via    string        `json:"via"` // allow | request | emergency
	Logins []string      `json:"logins,omitempty"`
	Rights []Right       `json:"rights"`
	Until  time.Time     `json:"until,omitzero"`
	AtMost time.Duration `json:"at_most,omitempty"`
	Text   string        `json:"text,omitempty"` // Ask: "ticket, one shift lead, up to 4 h"; Later: what it waits for
	Agree  []Agree       `json:"agree,omitempty"`
	AskFor []string      `json:"ask_for,omitempty"`
}

// Right is one action of an offer.
type Right struct {
	Kind   string `json:"kind"`
	Text   string `json:"text"`
	Login  string `json:"login,omitempty"` // of a shell
	Action string `json:"action"`

	action Action
}

// Reach lists what is open, what opens later and what can be asked for.
func (s *Snapshot) Reach(who Person, d Device, now time.Time) Reach {
	out := Reach{Device: d.Name, Visible: s.Visible(who, d, now)}
	if !out.Visible || !s.Policy.reachable(&d) || s.Policy.conflict(who.Groups) {
		return out
	}
	b := reachBuilder{s: s, r: Request{Person: who, Device: d}, now: now, out: &out, seen: map[string]bool{}}
	s.Policy.visit(allow, &who, &d, func(x *rule) bool { b.actions(x.role.gives); return true })
	s.eachGrant(&b.r, func(g *Grant) bool { b.actions(given(g.Actions)); return true })
	s.Policy.visit(request, &who, &d, func(x *rule) bool { b.askable(x); return true })
	return out
}

// Logins gives the logins as which p may be started, for a person who has named none. They are those that are allowed
// now; if there are none, those allowed at other hours; if there are none, those that can be asked for. As in
// ActionFor, an exact command comes before a shell. Logins ignores p.Login.
func (r Reach) Logins(p Program) []string {
	for _, offers := range [][]Offer{r.Open, r.Later, r.Ask} {
		if logins := p.logins(offers); len(logins) > 0 {
			return logins
		}
	}
	return nil
}

func (p Program) logins(offers []Offer) []string {
	var exact, shells []string
	for _, o := range offers {
		for i := range o.Rights {
			a := &o.Rights[i].action
			if a.Kind == Run && p.exact() && a.template.fits(p.Argv) {
				exact = append(exact, a.Arg)
			}
		}
		shells = append(shells, o.Logins...)
	}
	if len(exact) > 0 {
		shells = exact
	}
	slices.Sort(shells)
	return slices.Compact(shells)
}

type reachBuilder struct {
	s    *Snapshot
	r    Request
	now  time.Time
	out  *Reach
	seen map[string]bool // actions and request rules already placed
}

// actions decides each action that patterns stand for and files it under the rule or grant that answered.
func (b *reachBuilder) actions(ps []Pattern) {
	for i := range ps {
		for _, a := range ps[i].actions() {
			word := a.String()
			if b.seen[word] {
				continue
			}
			b.seen[word] = true
			b.r.Action = a
			d := Decide(b.s, b.r, b.now)
			switch d.Reason {
			case Permitted:
				b.place(&b.out.Open, &d, "")
			case OutsideHours:
				b.place(&b.out.Later, &d, b.s.Policy.byID[d.Rule].open.String())
			case RequirementOpen:
				b.place(&b.out.Later, &d, strings.Join(d.open(b.s.Policy), "; "))
			}
		}
	}
}

func (b *reachBuilder) place(into *[]Offer, d *Decision, text string) {
	i := slices.IndexFunc(*into, func(o Offer) bool { return o.Rule == d.Rule && o.Grant == d.Grant && o.Text == text })
	if i < 0 {
		x := b.s.Policy.byID[d.Rule]
		i = len(*into)
		*into = append(*into, Offer{Rule: d.Rule, Grant: d.Grant, Role: x.role.name, Why: x.why, Via: x.via(), Until: d.Until, Text: text})
	}
	o := &(*into)[i]
	o.add(&d.asked.Action)
	if later(o.Until, d.Until) {
		o.Until = d.Until
	}
}

func (r *rule) via() string {
	if r.emergency() {
		return "emergency"
	}
	return r.kind.String()
}

func (o *Offer) add(a *Action) {
	right := Right{Kind: a.Kind.Word(), Text: a.right(), Action: a.String(), action: *a}
	if a.Kind == Shell {
		right.Login = a.Arg
		o.Logins = append(o.Logins, a.Arg)
	}
	o.Rights = append(o.Rights, right)
}

// given widens approved actions by those that come with them.
func given(approved []Pattern) []Pattern {
	out := make([]Pattern, len(approved))
	for i, p := range approved {
		out[i] = p.gives()
	}
	return out
}

// askable offers a request rule, without what is denied and unless all it gives is open already.
func (b *reachBuilder) askable(x *rule) {
	if b.seen["rule "+x.id] {
		return
	}
	b.seen["rule "+x.id] = true
	o := Offer{Rule: x.id, Role: x.role.name, Why: x.why, Via: x.via(), AtMost: x.ask.atMost, Text: x.ask.terms(), AskFor: x.ask.askFor, Agree: x.way().Agree}
	more := false
	for i := range x.role.gives {
		for _, a := range x.role.gives[i].actions() {
			b.r.Action = a
			all, noEmergency := b.s.Policy.deniedBy(&b.r)
			if all != nil || noEmergency != nil && x.emergency() {
				continue
			}
			more = more || !Decide(b.s, b.r, b.now).Allowed
			o.add(&a)
		}
	}
	if more {
		b.out.Ask = append(b.out.Ask, o)
	}
}

// actions gives the actions that stand for a pattern: the pattern's own words, with {word} left in a command.
func (p *Pattern) actions() []Action {
	if !p.any {
		return []Action{{Kind: p.kinds, Arg: p.arg, template: p.run}}
	}
	var out []Action
	for _, w := range kindWords {
		if p.kinds&w.kind != 0 && w.arg == "" {
			out = append(out, Action{Kind: w.kind})
		}
	}
	return out
}

// right writes an action as a right: "terminal as root".
func (a *Action) right() string {
	switch a.Kind {
	case Shell:
		return "terminal as " + a.Arg
	case Run:
		return "run " + a.command() + " as " + a.Arg
	case FilesRead:
		return "read " + a.Arg
	case FilesWrite:
		return "write to " + a.Arg
	case Ports:
		return "port " + a.Arg
	case Web:
		return "page " + a.Arg
	case DesktopView:
		return "see the screen"
	case DesktopControl:
		return "control the screen"
	}
	return fmt.Sprintf("action %d", a.Kind)
}
