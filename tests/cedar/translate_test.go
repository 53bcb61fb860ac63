package cedar

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/cedar-policy/cedar-go"
)

// translation writes a world as Cedar policies, each under a name that says what it is from.
type translation struct {
	t testing.TB
	w world
	s *cedar.PolicySet
}

// translate gives the policies that permit and forbid what the world's policy and grants do.
//
// What opens is a permit: an allow rule, a grant. What closes is a forbid, and Cedar's forbids beat its permits as deny
// rules do. A require rule forbids unless what it wants is so.
func translate(t testing.TB, w world) *cedar.PolicySet {
	t.Helper()
	x := translation{t, w, cedar.NewPolicySet()}
	x.together()
	x.labels()
	for _, r := range w.policy.Denies {
		if !r.OnlyEmergency {
			x.add("deny "+r.ID, "forbid (principal, action, resource)", x.closes(r), "")
		}
	}
	for _, r := range w.policy.Requires {
		x.add("require "+r.ID, "forbid (principal, action, resource)", x.closes(r), x.need(r))
	}
	for _, r := range w.policy.Allows {
		x.add("allow "+r.ID, "permit (principal, action, resource)", x.opens(r), "")
	}
	for _, g := range w.grants {
		x.grant(g)
	}
	return x.s
}

// add makes one policy: its effect and scope, what must be so, and what makes an exception.
func (x translation) add(name, scope string, when []string, unless string) {
	x.t.Helper()
	for _, w := range when {
		scope += "\nwhen { " + w + " }"
	}
	if unless != "" {
		scope += "\nunless { " + unless + " }"
	}
	var p cedar.Policy
	if err := p.UnmarshalCedar([]byte(scope + ";")); err != nil {
		x.t.Fatalf("%s: %v\n%s", name, err, scope)
	}
	if !x.s.Add(cedar.PolicyID(name), &p) {
		x.t.Fatalf("%s stands there twice", name)
	}
}

// together forbids everything to whoever is in two groups of a set.
func (x translation) together() {
	for n, set := range x.w.policy.Never {
		for i, a := range set {
			for _, b := range set[i+1:] {
				x.add(fmt.Sprintf("together %d %s %s", n, a, b), fmt.Sprintf("forbid (principal in %s, action, resource)", group(a)), []string{"principal in " + group(b)}, "")
			}
		}
	}
}

// labels forbids everything on devices that lack a needed label, or have one or a value that is not known.
func (x translation) labels() {
	const all = "forbid (principal, action, resource)"
	declared := slices.Sorted(maps.Keys(x.w.policy.Labels))
	x.add("label declared", all, nil, set(declared)+".containsAll(resource.labels)")
	for _, name := range declared {
		l := x.w.policy.Labels[name]
		if l.Needed {
			x.add("label needed "+name, all, nil, has(name))
		}
		known := tag(name) + ` != ""`
		if len(l.OneOf) > 0 {
			known = set(l.OneOf) + ".contains(" + tag(name) + ")"
		}
		x.add("label known "+name, all, []string{has(name)}, known)
	}
}

// opens says when an allow rule gives something.
func (x translation) opens(r rule) []string {
	when := append(devices(r), names(r), x.role(r.Role))
	if r.Hours != "always" {
		when = append(when, x.w.policy.Hours[r.Hours].cedar(x.t, x.w.around))
	}
	return when
}

// grant permits what was approved, as far as the rule it came from still gives it.
func (x translation) grant(g grant) {
	r, there := x.w.policy.request(g.Rule)
	if !there || r.Emergency != g.Emergency {
		return // void
	}
	when := append(devices(r), names(r), "!(principal has machine)", x.role(r.Role), granted(g), fmt.Sprintf("context.now >= %s && context.now < %s", moments(g.From), moments(g.Until)))
	kind := "grant "
	if g.Emergency {
		kind = "emergency "
		for _, d := range x.w.policy.Denies {
			if d.OnlyEmergency {
				when = append(when, "!("+and(x.closes(d))+")")
			}
		}
	}
	x.add(kind+g.ID, fmt.Sprintf("permit (principal == %s, action, resource == %s)", principal(g.Who), device(g.Device)), when, "")
}

// granted says what was approved. Control includes view, in a role and so in a part of it.
func granted(g grant) string {
	var out []string
	for _, word := range g.Actions {
		out = append(out, action(word))
		if word == "desktop.control" {
			out = append(out, action("desktop.view"))
		}
	}
	return or(out)
}

// closes says whom and what a require or deny rule is about.
func (x translation) closes(r rule) []string {
	when := devices(r)
	switch r.For {
	case "people":
		when = append(when, person)
	case "machines":
		when = append(when, "principal has machine")
	}
	if !r.everyone() {
		when = append(when, or([]string{inGroups(r), isMachine(r)}))
	}
	var about []string
	for _, word := range r.Actions {
		about = append(about, action(word))
		if word == "desktop.view" { // whoever may not see a screen may not control it
			about = append(about, action("desktop.control"))
		}
	}
	if about != nil {
		when = append(when, or(about))
	}
	return when
}

// need says what a require rule wants.
func (x translation) need(r rule) string {
	var out []string
	if r.MFAWithin != "" {
		out = append(out, fmt.Sprintf(`context has factor && context.factor <= context.began.offset(duration("1m")) && context.began.durationSince(context.factor) <= duration(%q)`, r.MFAWithin))
	}
	if r.From != nil {
		var nets []string
		for _, n := range r.From {
			nets = append(nets, fmt.Sprintf("context.address.isInRange(ip(%q))", n))
		}
		out = append(out, "context has address && "+or(nets))
	}
	if r.Attended {
		out = append(out, "context.attended")
	}
	if r.AtOnce > 0 {
		out = append(out, fmt.Sprintf("context.live + 1 <= %d", r.AtOnce))
	}
	if r.Ticket {
		out = append(out, `context.ticket != ""`)
	}
	if r.Hours != "" {
		out = append(out, x.w.policy.Hours[r.Hours].cedar(x.t, x.w.around))
	}
	return and(out)
}

const person = "!(principal has machine)"

// names says whom a rule lets in: people by their groups, a machine by its name alone.
func names(r rule) string {
	if r.everyone() {
		return person
	}
	return or([]string{person + " && " + inGroups(r), isMachine(r)})
}

func inGroups(r rule) string {
	var out []string
	for _, g := range r.groups() {
		out = append(out, group(g))
	}
	return "principal in [" + strings.Join(out, ", ") + "]"
}

func isMachine(r rule) string {
	return "principal has machine && " + set(r.machines()) + ".contains(principal.machine)"
}

// devices says which devices a rule chooses, one condition for each label.
func devices(r rule) []string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(r.labels())) {
		out = append(out, has(name)+wants(name, r.labels()[name]))
	}
	return out
}

func wants(name string, value any) string {
	switch values := words(value); {
	case value == "*":
		return ""
	case len(values) == 1:
		return " && " + tag(name) + " == " + quote(values[0])
	default:
		return " && " + set(values) + ".contains(" + tag(name) + ")"
	}
}

func has(name string) string { return "resource.hasTag(" + quote(name) + ")" }
func tag(name string) string { return "resource.getTag(" + quote(name) + ")" }

func group(name string) string       { return "Group::" + quote(name) }
func principal(id string) string     { return "Principal::" + quote(id) }
func device(name string) string      { return "Device::" + quote(name) }
func quote(s string) string          { return string(cedar.String(s).MarshalCedar()) }
func and(conditions []string) string { return join(conditions, "&&", "true") }
func or(conditions []string) string  { return join(conditions, "||", "false") }

func join(conditions []string, by, none string) string {
	if len(conditions) == 0 {
		return none
	}
	return "((" + strings.Join(conditions, ") "+by+" (") + "))"
}

func set(words []string) string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = quote(w)
	}
	return "[" + strings.Join(out, ", ") + "]"
}
