package authz

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Policy is a loaded and checked policy. It never changes; a new version is a new Policy.
type Policy struct {
	name, contact string
	sum           [32]byte
	groups        []string
	never         [][]string
	people        []accounts
	duties        map[Duty][]string
	byToken       []Duty
	labels        []labelDef // in the order of the files
	hours         map[string]*window
	roles         map[string]*role
	roleOrder     []string
	rules         []*rule
	ignored       Problems
	byID          map[string]*rule
	index         index
}

// SHA256 names the policy: devices and the log repeat it. It covers the files' bytes in the order they were
// given, not their names.
func (p *Policy) SHA256() [32]byte { return p.sum }

// Name is what the policy calls itself.
func (p *Policy) Name() string { return p.name }

// Contact says whom people turn to about the policy; may be empty.
func (p *Policy) Contact() string { return p.contact }

// Groups gives the groups the policy declares.
func (p *Policy) Groups() []string { return slices.Clone(p.groups) }

// OnExpiry says what happens to running work when a rule's time is up.
func (p *Policy) OnExpiry(ruleID string) (finishCommand bool, atMost time.Duration) {
	r := p.byID[ruleID]
	if r == nil {
		return false, 0
	}
	return r.finish, r.finishAtMost
}

// labelDef declares a label.
type labelDef struct {
	name   string
	needed bool
	oneOf  []string // empty: any value
	line   int
}

func (l *labelDef) knows(value string) bool {
	return value != "" && (len(l.oneOf) == 0 || slices.Contains(l.oneOf, value))
}

func (l *labelDef) wrong(value string) string {
	return fmt.Sprintf("the label %q has the value %q; the policy knows %s", l.name, clip(value), quoted(l.oneOf))
}

func (p *Policy) labelNames() []string {
	out := make([]string, len(p.labels))
	for i := range p.labels {
		out[i] = p.labels[i].name
	}
	return out
}

func (p *Policy) labelDef(name string) *labelDef {
	for i := range p.labels {
		if p.labels[i].name == name {
			return &p.labels[i]
		}
	}
	return nil
}

// CheckLabels says which labels a device lacks, and which of its labels or values the policy does not know, one
// sentence each. If it says nothing, the device can be reached.
func (p *Policy) CheckLabels(site string, labels map[string]string) []string {
	d := &Device{Site: site, Labels: labels}
	var out []string
	for i := range p.labels {
		l := &p.labels[i]
		v, ok := d.label(l.name)
		switch {
		case !ok && l.needed:
			out = append(out, fmt.Sprintf("the label %q is missing, and the policy needs it", l.name))
		case ok && !l.knows(v):
			out = append(out, l.wrong(v))
		}
	}
	for _, name := range sortedKeys(labels) {
		if p.labelDef(name) == nil {
			out = append(out, fmt.Sprintf("the label %q is not declared in [labels] of the policy", clip(name)))
		}
	}
	return out
}

// CheckNewLabels says what is wrong with labels that are about to be set, one sentence each: a name that the policy
// does not declare, or a value that it does not know. It does not look for missing labels. A policy that declares no
// labels accepts any. An empty value removes a label.
func (p *Policy) CheckNewLabels(labels map[string]string) []string {
	if p == nil || len(p.labels) == 0 {
		return nil
	}
	var out []string
	for _, name := range sortedKeys(labels) {
		switch l, v := p.labelDef(name), labels[name]; {
		case v == "":
		case l == nil:
			out = append(out, fmt.Sprintf("the label %q is not declared; the policy declares %s", clip(name), quoted(p.labelNames())))
		case !l.knows(v):
			out = append(out, l.wrong(v))
		}
	}
	return out
}

// role is a set of actions that rules can give.
type role struct {
	name, why string
	file      string
	line      int
	kinds     Kind
	gives     []Pattern

	ignored string // why some or all of it gives nothing, for people; a policy of Load has none
}

func (r *role) covers(a *Action) bool {
	if r.kinds&a.Kind == 0 {
		return false
	}
	for i := range r.gives {
		if r.gives[i].covers(a) {
			return true
		}
	}
	return false
}

type ruleKind uint8

const (
	allow ruleKind = iota
	request
	require
	deny
)

func (k ruleKind) String() string { return [...]string{"allow", "request", "require", "deny"}[k] }

// rule is any of the four kinds that have an id. Which fields are set depends on the kind.
type rule struct {
	kind     ruleKind
	id, why  string
	file     string
	line     int
	who      []string // groups and machine:NAME; unset with everyone
	everyone bool
	only     beings // for = "people" or "machines"
	devices  selector

	role *role   // allow, request
	open *window // allow; nil: always

	finish       bool // on_expiry
	finishAtMost time.Duration

	ask ask // request

	kinds         Kind      // require, deny: which actions, as kinds
	about         []Pattern // the same in detail
	aboutWords    []string  // as written; empty: all
	need          need      // require
	onlyEmergency bool      // deny
}

// opens reports a rule that gives something.
func (r *rule) opens() bool { return r.kind == allow || r.kind == request }

func (r *rule) emergency() bool { return r.ask.emergency }

// concerns reports whether a require or deny rule is about an action.
func (r *rule) concerns(a *Action) bool {
	if r.kinds&a.Kind == 0 {
		return false
	}
	for i := range r.about {
		if r.about[i].covers(a) {
			return true
		}
	}
	return false
}

type beings uint8

const (
	peopleAndMachines beings = iota
	peopleOnly
	machinesOnly
)

func (b beings) includes(p *Person) bool {
	return b == peopleAndMachines || (b == machinesOnly) == (p.Machine != "")
}

// ask is what a request rule says about asking.
type ask struct {
	atMost       time.Duration
	askFor       []string // "reason", "ticket"
	agree        []approval
	answerWithin time.Duration
	emergency    bool
	tell         []string
	reviewWithin time.Duration
}

type approval struct {
	from  string // a group or @owner
	count int
}

// need is what a require rule wants; unset fields want nothing.
type need struct {
	mfaWithin time.Duration
	from      []netip.Prefix
	attended  bool
	atOnce    int
	ticket    bool
	hours     *window
}

func (n *need) empty() bool {
	return n.mfaWithin == 0 && len(n.from) == 0 && !n.attended && n.atOnce == 0 && !n.ticket && n.hours == nil
}

// selector chooses devices by their labels: all of its conditions must hold. None: every device.
type selector []condition

type condition struct {
	label  string
	values []string // nil: any value
}

func (s selector) matches(d *Device) bool {
	for i := range s {
		v, ok := d.label(s[i].label)
		if !ok || s[i].values != nil && !slices.Contains(s[i].values, v) {
			return false
		}
	}
	return true
}

// within reports that every device s chooses is chosen by t as well.
func (s selector) within(t selector) bool {
	for _, want := range t {
		if !slices.ContainsFunc(s, func(c condition) bool {
			return c.label == want.label && (want.values == nil || c.values != nil && subset(c.values, want.values))
		}) {
			return false
		}
	}
	return true
}

// String writes the selector as people say it: "kind=press, maker=nord|sued".
func (s selector) String() string {
	if len(s) == 0 {
		return "all"
	}
	out := make([]string, len(s))
	for i, c := range s {
		v := "*"
		if c.values != nil {
			v = strings.Join(c.values, "|")
		}
		out[i] = c.label + "=" + v
	}
	return strings.Join(out, ", ")
}

func subset(a, b []string) bool {
	return !slices.ContainsFunc(a, func(x string) bool { return !slices.Contains(b, x) })
}

const machinePrefix = "machine:"

// MachineName is what a machine is called where a person's name would stand: as in a policy.
func MachineName(machine string) string { return machinePrefix + machine }
