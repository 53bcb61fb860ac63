package authz

import (
	"fmt"
	"slices"
	"strings"
)

// check looks at the policy as a whole, after every part was read: what is missing altogether, and rules that
// can never match. A rule without effect is a mistake its writer has not seen yet. A deny or require rule that
// concerns nothing that is allowed today is none: it is there for the day somebody allows it.
func (l *loader) check() {
	if len(l.problems) > 0 {
		return // one mistake would be reported twice
	}
	if l.p.name == "" {
		l.report(place{l.files[0].file, 1}, `name = "ACME remote service"`, "the policy has no name")
	}
	for _, r := range l.p.rules {
		at := place{r.file, r.line}
		if why, write := l.neverMatches(r); why != "" {
			l.report(at, write, "%s %q can never match: %s", r.kind, r.id, why)
		}
	}
}

func (l *loader) neverMatches(r *rule) (why, write string) {
	switch {
	case r.opens() && r.role.ignored != "": // its role gives nothing any more, which is reported for the role
		return "", ""
	case r.opens():
		return l.shut(r)
	case r.only == peopleOnly && len(r.who) > 0 && !slices.ContainsFunc(r.who, isPerson):
		return "it is for people, and who names only machines", "who with a group, or leave out for"
	case r.only == machinesOnly && len(r.who) > 0 && !slices.ContainsFunc(r.who, isMachine):
		return "it is for machines, and who names only groups", `who = ["machine:NAME"], or leave out for`
	}
	for _, w := range r.who {
		if isMachine(w) && !l.named(w) {
			return fmt.Sprintf("no allow or request rule names %q", w), "the machine as an allow rule names it"
		}
	}
	return "", ""
}

func isMachine(who string) bool { return strings.HasPrefix(who, machinePrefix) }
func isPerson(who string) bool  { return !isMachine(who) }

// named reports whether any rule lets this machine do anything.
func (l *loader) named(machine string) bool {
	return slices.ContainsFunc(l.p.rules, func(r *rule) bool { return r.opens() && slices.Contains(r.who, machine) })
}

// shut finds out whether other rules take away everything that an allow or request rule gives.
func (l *loader) shut(r *rule) (why, write string) {
	if r.kind == request && !r.everyone && !slices.ContainsFunc(r.who, isPerson) && len(r.ask.agree) > 0 {
		return "a machine cannot ask", "a group, or an allow rule for the machine"
	}
	left := slices.Clone(r.role.gives)
	var by []string
	for _, g := range l.p.rules {
		if !l.always(g, r) {
			continue
		}
		before := len(left)
		left = slices.DeleteFunc(left, func(p Pattern) bool {
			return slices.ContainsFunc(g.about, func(q Pattern) bool { return q.coversAll(&p) })
		})
		if len(left) < before {
			by = append(by, g.id)
		}
	}
	if len(left) > 0 {
		return "", ""
	}
	return fmt.Sprintf("%s leaves nothing of the role %q there", list(by, "and"), r.role.name), "other devices or another role"
}

// always reports that g forbids whatever r gives in g's actions, for every person and device of r.
func (l *loader) always(g, r *rule) bool {
	if !r.devices.within(g.devices) || !g.everyone && !(len(r.who) > 0 && subset(r.who, g.who)) {
		return false
	}
	machines := len(r.who) > 0 && !slices.ContainsFunc(r.who, isPerson)
	people := len(r.who) > 0 && !slices.ContainsFunc(r.who, isMachine)
	switch {
	case g.only == peopleOnly && !people, g.only == machinesOnly && !machines:
		return false
	case g.kind == deny:
		return !g.onlyEmergency || r.emergency()
	case g.kind == require:
		return g.need.mfaWithin > 0 && machines // a machine has no second factor
	}
	return false
}
