package authz

import "strings"

// index finds the rules that can concern a person on a device without looking at all of them: by subject
// first, then by the one label that most of a subject's rules choose devices by.
type index struct {
	everyone [4]*bucket            // by ruleKind: rules without who
	groups   [4]map[string]*bucket // by ruleKind, then group
	machines [4]map[string]*bucket // by ruleKind, then name
}

type bucket struct {
	label   string             // the label of byValue; empty: none
	byValue map[string][]*rule // rules that want one of certain values of label
	rest    []*rule
}

const everyone = "everyone"

func buildIndex(rules []*rule) index {
	var x index
	sets := [4]map[string][]*rule{}
	for k := range sets {
		sets[k], x.groups[k], x.machines[k] = map[string][]*rule{}, map[string]*bucket{}, map[string]*bucket{}
	}
	for _, r := range rules {
		for _, w := range r.subjects() {
			sets[r.kind][w] = append(sets[r.kind][w], r)
		}
	}
	for k := range sets {
		for who, rs := range sets[k] {
			if name, ok := strings.CutPrefix(who, machinePrefix); ok {
				x.machines[k][name] = newBucket(rs)
			} else if who == everyone {
				x.everyone[k] = newBucket(rs)
			} else {
				x.groups[k][who] = newBucket(rs)
			}
		}
	}
	return x
}

func (r *rule) subjects() []string {
	if r.everyone {
		return []string{everyone}
	}
	return r.who
}

func newBucket(rs []*rule) *bucket {
	b := &bucket{label: commonLabel(rs), byValue: map[string][]*rule{}}
	for _, r := range rs {
		values := r.devices.values(b.label)
		if values == nil {
			b.rest = append(b.rest, r)
		}
		for _, v := range values {
			b.byValue[v] = append(b.byValue[v], r)
		}
	}
	return b
}

// commonLabel gives the label with the most different values among the rules: it divides them best.
func commonLabel(rs []*rule) string {
	seen := map[string]map[string]bool{}
	best := ""
	for _, r := range rs {
		for _, c := range r.devices {
			for _, v := range c.values {
				if seen[c.label] == nil {
					seen[c.label] = map[string]bool{}
				}
				seen[c.label][v] = true
				if len(seen[c.label]) > len(seen[best]) {
					best = c.label
				}
			}
		}
	}
	return best
}

func (s selector) values(label string) []string {
	for i := range s {
		if s[i].label == label && label != "" {
			return s[i].values
		}
	}
	return nil
}

// visit calls use for every rule of a kind that is about this person on this device, until it returns false.
//
// An allow or request rule is about a machine only if it names the machine. For require and deny rules the machine is
// also a member of its maker's groups and of everyone.
func (p *Policy) visit(k ruleKind, who *Person, d *Device, use func(*rule) bool) {
	if who.Machine != "" {
		more := p.index.machines[k][who.Machine].visit(who, d, use)
		if opens := k == allow || k == request; opens || !more {
			return
		}
	}
	if !p.index.everyone[k].visit(who, d, use) {
		return
	}
	for _, g := range who.Groups {
		if !p.index.groups[k][g].visit(who, d, use) {
			return
		}
	}
}

func (b *bucket) visit(who *Person, d *Device, use func(*rule) bool) bool {
	if b == nil {
		return true
	}
	for _, r := range b.rest {
		if r.only.includes(who) && r.devices.matches(d) && !use(r) {
			return false
		}
	}
	if b.label == "" {
		return true
	}
	if v, ok := d.label(b.label); ok {
		for _, r := range b.byValue[v] {
			if r.only.includes(who) && r.devices.matches(d) && !use(r) {
				return false
			}
		}
	}
	return true
}
