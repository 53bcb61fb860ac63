package authz

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/internal/id"
)

// Gain is something that people can do after a change and could not do before it.
type Gain struct {
	Who     string      `json:"who"`  // a group, everyone, or machine:NAME
	What    string      `json:"what"` // an action word; of a limit and of a duty, words for people
	How     string      `json:"how"`  // one of the How… or Gain… words
	Rule    string      `json:"rule,omitempty"`
	Devices []id.Device `json:"devices,omitempty"` // in ascending order; none: it concerns no device in particular
	More    int         `json:"more,omitempty"`    // devices that are not listed
}

// String says a gain in one line.
func (g Gain) String() string {
	out := g.Who + ": " + g.What + ", " + g.How
	if g.Rule != "" {
		out += ", rule " + g.Rule
	}
	switch n := len(g.Devices) + g.More; {
	case n == 1:
		out += ", on " + string(g.Devices[0])
	case n > 1:
		out += fmt.Sprintf(", on %d devices", n)
	}
	return out
}

// IsFor reports whether a person may be among those who gain it.
func (g *Gain) IsFor(who Person) bool {
	return g.Who == everyone || g.Who == who.ID.String() || slices.Contains(who.Groups, g.Who)
}

// CountDevices counts the devices on which somebody gains something.
func CountDevices(gains []Gain) int {
	seen := map[id.Device]bool{}
	for _, g := range gains {
		for _, d := range g.Devices {
			seen[d] = true
		}
	}
	return len(seen)
}

// Expected reports whether gains are among those that people know of: the same on the same devices, or on fewer.
func Expected(gains, known []Gain) bool {
	return every(gains, func(g Gain) bool {
		return slices.ContainsFunc(known, func(k Gain) bool {
			return k.key() == g.key() && every(g.Devices, func(d id.Device) bool {
				_, there := slices.BinarySearch(k.Devices, d)
				return there
			})
		})
	})
}

// Ways to gain something without a rule that gives it.
const (
	GainLimit = "without a limit" // a require or deny rule was removed or weakened
	GainDuty  = "as a duty"
	GainToken = "by API token"
	GainBoth  = "in more than one of the groups" // such people were refused everything
	GainOwner = "as an owner of the site"
)

// DeviceChange is a device before and after a change. A change of the policy alone leaves it as it is.
type DeviceChange struct{ Before, After Device }

// Unchanged gives devices as a change leaves them that is not about them.
func Unchanged(devices ...Device) []DeviceChange {
	out := make([]DeviceChange, len(devices))
	for i, d := range devices {
		out[i] = DeviceChange{d, d}
	}
	return out
}

// Gains lists what people gain by a change of the policy or of devices. If it lists nothing, then nobody can do or ask
// for anything afterwards that they could not do or ask for before. It compares rule by rule, so it can name a gain that
// other rules together gave already. before may be nil: then everything is a gain.
func Gains(before, after *Policy, devices []DeviceChange) []Gain {
	if after == nil {
		return nil
	}
	if before == nil {
		before = &Policy{}
	}
	f := finder{before: before, after: after, known: map[string][]Gain{}, at: map[string]int{}}
	for i := range devices {
		f.device(&devices[i])
	}
	for i := range f.out {
		slices.Sort(f.out[i].Devices)
	}
	slices.SortStableFunc(f.out, func(a, b Gain) int { return strings.Compare(a.key(), b.key()) })
	return append(f.out, f.everywhere()...)
}

// OwnerGain is what somebody gains who becomes an owner of the site of some devices, in ascending order.
func OwnerGain(who id.Principal, devices []id.Device) Gain {
	return Gain{Who: who.String(), What: dutyWhat[DutyOwn], How: GainOwner, Devices: devices}
}

// key names a gain without its devices.
func (g *Gain) key() string { return strings.Join([]string{g.Who, g.What, g.How, g.Rule}, "\x00") }

type finder struct {
	before, after *Policy
	known         map[string][]Gain // by the rules that match a device: many devices have the same
	at            map[string]int    // where a gain is in out
	out           []Gain
}

func (f *finder) device(c *DeviceChange) {
	was, wasKey := f.before.matching(&c.Before)
	is, isKey := f.after.matching(&c.After)
	found, ok := f.known[wasKey+isKey]
	if !ok {
		found = append(opened(was, is), loosened(was, is)...)
		f.known[wasKey+isKey] = found
	}
	for _, g := range found {
		i, ok := f.at[g.key()]
		if !ok {
			i = len(f.out)
			f.at[g.key()] = i
			f.out = append(f.out, g)
		}
		f.out[i].Devices = append(f.out[i].Devices, c.After.Name)
	}
}

// matching gives the rules for a device, none if nobody reaches it, and a key that is the same for the same rules.
func (p *Policy) matching(d *Device) (out []*rule, key string) {
	if !p.reachable(d) {
		return nil, "-;"
	}
	var numbers strings.Builder
	for i, r := range p.rules {
		if r.devices.matches(d) {
			out = append(out, r)
			fmt.Fprint(&numbers, i, ",")
		}
	}
	return out, numbers.String() + ";"
}

// opened lists what the rules give that those before did not give as easily.
func opened(was, is []*rule) (out []Gain) {
	for _, r := range is {
		if !r.opens() {
			continue
		}
		for _, who := range r.subjects() {
			for i := range r.role.gives {
				p := r.role.gives[i]
				if !slices.ContainsFunc(was, func(b *rule) bool { return b.gaveAll(r, who, &p) }) {
					out = append(out, Gain{Who: who, What: p.String(), How: r.how(), Rule: r.id})
				}
			}
		}
	}
	return out
}

// how is how a rule that opens gives what it gives.
func (r *rule) how() string {
	switch {
	case r.kind == allow && r.open == nil:
		return HowNow
	case r.kind == allow:
		return "in " + r.open.String()
	case r.emergency():
		return HowEmergency
	}
	return HowAsk
}

// loosened lists what rules before forbade or bound to a condition, that none does any more, and that a rule gives.
func loosened(was, is []*rule) (out []Gain) {
	for _, b := range was {
		if b.opens() || slices.ContainsFunc(is, func(r *rule) bool { return r.closesAll(b) }) {
			continue
		}
		given := func(r *rule) bool { return r.opens() && b.touches(r.role) }
		if !slices.ContainsFunc(is, given) {
			continue
		}
		for _, who := range b.subjects() {
			out = append(out, Gain{Who: who, What: b.aboutText() + b.only.words(), How: GainLimit, Rule: b.id})
		}
	}
	return out
}

func (b beings) words() string {
	return [...]string{peopleAndMachines: "", peopleOnly: ", as a person", machinesOnly: ", as a machine"}[b]
}

// everywhere lists gains that concern no device in particular.
func (f *finder) everywhere() (out []Gain) {
	for _, d := range duties {
		for _, g := range f.after.duties[d] {
			if !slices.Contains(f.before.duties[d], g) {
				out = append(out, Gain{Who: g, What: dutyWhat[d], How: GainDuty})
			}
		}
	}
	for _, d := range f.after.byToken {
		if !f.before.ByToken(d) {
			out = append(out, Gain{Who: everyone, What: string(d), How: GainToken})
		}
	}
	out = append(out, parted(f.before, f.after)...)
	for _, set := range f.before.never {
		if !slices.ContainsFunc(f.after.never, func(s []string) bool { return subset(set, s) }) {
			out = append(out, Gain{Who: list(set, "and"), What: "anything that either of them may", How: GainBoth})
		}
	}
	return out
}
