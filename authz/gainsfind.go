package authz

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/internal/id"
)

// finder compares the rules of two policies once, and then only looks up which of them match a device: there may be thousands
// of devices.
type finder struct {
	before, after *Policy
	closers       []*rule // of before
	offers        []offer
	limits        []limit
	classes       []*class
	byKey         map[string]*class
}

// offer is what one rule after the change gives to one subject.
type offer struct {
	gain   Gain
	rule   int     // of after
	before ruleSet // rules that gave as easily all that the rule gives, and the rule itself if it gave this
	always bool    // one of them did so on all devices of the rule
	at     []int
}

// limit is what one rule before the change forbids or binds to a condition.
type limit struct {
	gains  []Gain
	rule   int     // of before
	after  ruleSet // rules that forbid as much
	given  ruleSet // rules after the change that give something of it
	always bool    // one of after does so on all devices of the rule, or no rule can give it there
	at     []int
}

// class are devices that the same rules match.
type class struct {
	was, is ruleSet
	devices []id.Device
}

// ruleSet is a set of rules of a policy, by their numbers.
type ruleSet []uint64

func (b ruleSet) has(i int) bool { return b[i/64]>>(i%64)&1 == 1 }
func (b ruleSet) add(i int)      { b[i/64] |= 1 << (i % 64) }
func (b ruleSet) meets(o ruleSet) bool {
	for i := range b {
		if b[i]&o[i] != 0 {
			return true
		}
	}
	return false
}

// chosen gives the rules of a policy that satisfy a condition.
func (p *Policy) chosen(holds func(*rule) bool) ruleSet {
	out := make(ruleSet, len(p.rules)/64+1)
	for i, r := range p.rules {
		if holds(r) {
			out.add(i)
		}
	}
	return out
}

func newFinder(before, after *Policy) *finder {
	f := &finder{before: before, after: after, byKey: map[string]*class{}}
	for _, b := range before.rules {
		if !b.opens() {
			f.closers = append(f.closers, b)
		}
	}
	for i, r := range after.rules {
		if r.opens() {
			f.offer(i, r)
		}
	}
	for i, b := range before.rules {
		if !b.opens() {
			f.limit(i, b)
		}
	}
	return f
}

// offer compares a rule with those before. What it gives together must have been given together: one session has all that
// one rule gives.
func (f *finder) offer(n int, r *rule) {
	for _, who := range r.subjects() {
		gave := func(b *rule, p *Pattern) bool { return b.gaveAll(r, who, p, f.closers) }
		together := f.before.chosen(func(b *rule) bool {
			return every(r.role.gives, func(p Pattern) bool { return gave(b, &p) })
		})
		for i := range r.role.gives {
			p := &r.role.gives[i]
			o := offer{gain: Gain{Who: who, What: p.String(), How: r.how(), Rule: r.id}, rule: n, before: slices.Clone(together)}
			for j, b := range f.before.rules {
				if b.id == r.id && gave(b, p) {
					o.before.add(j)
				}
				o.always = o.always || o.before.has(j) && r.devices.within(b.devices)
			}
			f.offers = append(f.offers, o)
		}
	}
}

func (f *finder) limit(n int, b *rule) {
	l := limit{rule: n, always: true}
	l.given = f.after.chosen(func(r *rule) bool {
		gives := r.opens() && b.touches(r.role)
		l.always = l.always && !(gives && r.devices.overlaps(b.devices))
		return gives
	})
	l.after = f.after.chosen(func(r *rule) bool {
		closes := r.closesAll(b)
		l.always = l.always || closes && b.devices.within(r.devices)
		return closes
	})
	for _, who := range b.subjects() {
		l.gains = append(l.gains, Gain{Who: who, What: b.aboutText() + b.only.words(), How: GainLimit, Rule: b.id})
	}
	f.limits = append(f.limits, l)
}

func (f *finder) find(devices []DeviceChange) (out []Gain) {
	for i := range devices {
		f.class(&devices[i])
	}
	for n, c := range f.classes {
		for i := range f.offers {
			if o := &f.offers[i]; c.is.has(o.rule) && !c.was.meets(o.before) {
				o.at = append(o.at, n)
			}
		}
		for i := range f.limits {
			if l := &f.limits[i]; c.was.has(l.rule) && !c.is.meets(l.after) && c.is.meets(l.given) {
				l.at = append(l.at, n)
			}
		}
	}
	unions := map[string]Gain{}
	for i := range f.offers {
		o := &f.offers[i]
		out = f.add(out, unions, o.at, o.always, f.after.rules[o.rule], o.gain)
	}
	for i := range f.limits {
		l := &f.limits[i]
		out = f.add(out, unions, l.at, l.always, f.before.rules[l.rule], l.gains...)
	}
	slices.SortStableFunc(out, func(a, b Gain) int { return cmp.Compare(a.key(), b.key()) })
	return out
}

// add adds gains on the devices of some classes; without any, on devices that may come.
func (f *finder) add(out []Gain, unions map[string]Gain, at []int, always bool, r *rule, gains ...Gain) []Gain {
	if len(at) == 0 && always {
		return out
	}
	for _, g := range gains {
		if len(at) == 0 {
			g.Where = r.devices.String()
			out = append(out, g)
			continue
		}
		key := fmt.Sprint(at)
		on, known := unions[key]
		if !known {
			var all []id.Device
			for _, n := range at {
				all = append(all, f.classes[n].devices...)
			}
			on.on(all)
			unions[key] = on
		}
		g.Devices, g.More, g.Sum = on.Devices, on.More, on.Sum
		out = append(out, g)
	}
	return out
}

// class puts a device to those that the same rules match.
func (f *finder) class(d *DeviceChange) {
	was, is := f.before.matching(&d.Before), f.after.matching(&d.After)
	key := fmt.Sprint(was, is)
	c := f.byKey[key]
	if c == nil {
		c = &class{was: was, is: is}
		f.byKey[key] = c
		f.classes = append(f.classes, c)
	}
	c.devices = append(c.devices, d.After.Name)
}

// matching gives the rules for a device; none if nobody reaches it.
func (p *Policy) matching(d *Device) ruleSet {
	reachable := p.reachable(d)
	return p.chosen(func(r *rule) bool { return reachable && r.devices.matches(d) })
}

// how is how a rule that opens gives what it gives.
func (r *rule) how() string {
	var out string
	switch {
	case r.kind == allow && r.open == nil:
		out = HowNow
	case r.kind == allow:
		out = "in " + r.open.String()
	case r.emergency():
		out = HowEmergency + ": " + r.ask.terms()
	default:
		out = HowAsk + ": " + r.ask.terms()
	}
	if r.finish {
		out += strings.TrimSuffix(r.expiryWords(), ".")
	}
	return out
}

func (b beings) words() string {
	return [...]string{peopleAndMachines: "", peopleOnly: ", as a person", machinesOnly: ", as a machine"}[b]
}
