package authz

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/internal/id"
)

// Access is one action that one rule or grant gives on a device: to whom, and on what conditions.
type Access struct {
	Who        string       `json:"who"` // a group, everyone, or machine:NAME
	Person     id.Principal `json:"person,omitzero"`
	Action     string       `json:"action"`
	Role       string       `json:"role"`
	Rule       string       `json:"rule"`
	Grant      string       `json:"grant,omitempty"`
	How        string       `json:"how"`                  // one of the How… words
	Terms      string       `json:"terms,omitempty"`      // hours of an allow rule, cost of a request rule
	Until      time.Time    `json:"until,omitzero"`       // when it closes by itself; zero: never
	Conditions []string     `json:"conditions,omitempty"` // of require rules, each with its rule
	Except     []string     `json:"except,omitempty"`     // what deny rules take away, each with its rule

	action Action
}

// How a person gets an action.
const (
	HowNow       = "now"            // without asking, if the conditions hold
	HowLater     = "at other times" // without asking, within the rule's hours
	HowAsk       = "may ask"
	HowEmergency = "in an emergency"
)

// WhoCan lists who may do what on a device, by which rule and under which conditions. It names groups, because a policy
// does not know people. It names people only if a grant does. It assumes nothing about them: each demand of a require
// rule is a condition. A group's entry is about people who are in no other group. Rules for other groups can only take
// rights away from it.
func (s *Snapshot) WhoCan(d Device, now time.Time) []Access {
	if s == nil || s.Policy == nil || !s.Policy.reachable(&d) {
		return nil
	}
	b := whoCan{p: s.Policy, d: d, now: now}
	for _, x := range s.Policy.rules {
		if x.opens() && x.devices.matches(&d) {
			for _, who := range x.subjects() {
				b.rule(x, who)
			}
		}
	}
	for i := range s.Grants {
		b.grant(&s.Grants[i])
	}
	slices.SortStableFunc(b.out, func(x, y Access) int {
		return cmp.Or(cmp.Compare(x.Who, y.Who), cmp.Compare(x.Person.String(), y.Person.String()), cmp.Compare(x.Action, y.Action), cmp.Compare(x.Rule, y.Rule), cmp.Compare(x.Grant, y.Grant))
	})
	return b.out
}

type whoCan struct {
	p   *Policy
	d   Device
	now time.Time
	out []Access
}

func (b *whoCan) rule(x *rule, who string) {
	e := Access{Who: who, Role: x.role.name, Rule: x.id, How: HowAsk}
	switch {
	case x.kind == allow:
		e.Terms = hoursWords(x.open)
		until, open := x.until(b.now)
		e.How, e.Until = HowNow, until
		if !open {
			e.How, e.Until = HowLater, time.Time{}
		}
	default:
		e.Terms = x.ask.terms()
		if x.emergency() {
			e.How = HowEmergency
		}
	}
	for i := range x.role.gives {
		b.actions(&x.role.gives[i], e, x.emergency())
	}
}

// grant lists the actions that an approved request still gives: those that its rule gives today, if the rule still
// names the person.
func (b *whoCan) grant(g *Grant) {
	x := b.p.byID[g.Rule]
	if g.Device != b.d.Name || b.now.Before(g.From) || !b.now.Before(g.Until) || x == nil || x.kind != request || x.emergency() != g.Emergency || !x.devices.matches(&b.d) {
		return
	}
	for _, who := range x.subjects() {
		e := Access{Who: who, Person: g.Who, Role: x.role.name, Rule: x.id, Grant: g.ID, How: HowNow, Until: g.Until}
		for _, p := range g.gives(x.role) {
			b.actions(&p, e, g.Emergency)
		}
	}
}

// actions adds the actions of a pattern, except those that a deny rule takes away from the subject entirely.
func (b *whoCan) actions(p *Pattern, e Access, emergency bool) {
	for _, a := range p.actions() {
		one := Pattern{kinds: a.Kind, any: p.any, arg: a.Arg, run: a.template}
		e := e
		e.action, e.Action, e.Conditions, e.Except = a, a.String(), nil, nil
		if !b.close(&one, &e, emergency) || slices.ContainsFunc(b.out, e.same) {
			continue
		}
		b.out = append(b.out, e)
	}
}

func (e *Access) same(f Access) bool {
	return e.Who == f.Who && e.Person == f.Person && e.Action == f.Action && e.Rule == f.Rule && e.Grant == f.Grant
}

// close adds what require and deny rules say to an action of the subject; false if nothing is left of it.
func (b *whoCan) close(a *Pattern, e *Access, emergency bool) bool {
	for _, x := range b.p.rules {
		if x.opens() || !x.binds(e.Who) || !x.devices.matches(&b.d) || x.onlyEmergency && !emergency {
			continue
		}
		// A machine has no second factor, so a rule that demands one excludes it.
		closes := x.kind == deny || x.need.mfaWithin > 0 && isMachine(e.Who)
		for i := range x.about {
			both, ok := x.about[i].meet(*a)
			switch whole := x.about[i].coversAll(a); {
			case !ok:
			case closes && whole:
				return false
			case closes:
				e.Except = also(e.Except, fmt.Sprintf("not to %s (%s)", both.words(), x.id))
			case whole:
				e.Conditions = also(e.Conditions, fmt.Sprintf("%s (%s)", strings.Join(x.need.words(), " and "), x.id))
			default:
				e.Conditions = also(e.Conditions, fmt.Sprintf("to %s, %s (%s)", both.words(), strings.Join(x.need.words(), " and "), x.id))
			}
		}
	}
	return true
}

func also(texts []string, text string) []string {
	if slices.Contains(texts, text) {
		return texts
	}
	return append(texts, text)
}

// Holds reports whether an entry of WhoCan is also for this person: in the group, and no deny rule for another of their
// groups takes it away.
func (s *Snapshot) Holds(e *Access, who Person, d Device) bool {
	switch {
	case s.Policy.conflict(who.Groups) || !e.Person.IsZero() && e.Person != who.ID:
		return false
	case who.Machine != "" && e.Who != machinePrefix+who.Machine, who.Machine == "" && e.Who != everyone && !slices.Contains(who.Groups, e.Who):
		return false
	}
	all, noEmergency := s.Policy.deniedBy(&Request{Person: who, Device: d, Action: e.action})
	return all == nil && (noEmergency == nil || !s.Policy.byID[e.Rule].emergency())
}
