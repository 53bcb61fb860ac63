package authz

import (
	"crypto/sha256"
	"encoding/hex"
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
	Devices []id.Device `json:"devices,omitempty"` // the first of them by name; none: it concerns no device in particular
	More    int         `json:"more,omitempty"`    // devices that are not listed
	Sum     string      `json:"sum,omitempty"`     // stands for the names of all devices
	Where   string      `json:"where,omitempty"`   // without devices: for which it would be, as their labels
}

// listedDevices is how many devices of a gain are named.
const listedDevices = 10

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
	case g.Where != "":
		out += ", on devices that may come: " + g.Where
	}
	return out
}

// IsFor reports whether a person may be among those who gain it.
func (g *Gain) IsFor(who Person) bool {
	return g.Who == everyone || g.Who == who.ID.String() || slices.Contains(who.Groups, g.Who)
}

// CountDevices counts the devices of the gain that concerns most of them.
func CountDevices(gains []Gain) (n int) {
	for _, g := range gains {
		n = max(n, len(g.Devices)+g.More)
	}
	return n
}

// Expected reports whether gains are among those that people know of, each on the same devices.
func Expected(gains, known []Gain) bool {
	return every(gains, func(g Gain) bool {
		return slices.ContainsFunc(known, func(k Gain) bool { return k.key() == g.key() && k.Sum == g.Sum })
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

// Gains lists what people gain by a change of the policy or of devices, also on devices that are enrolled later. If the list
// is empty, the change allows nobody an action, and lets nobody request one, that was closed to them before. It compares rule
// by rule, and what one rule gives together, because one session has all of that. So it can list a gain that several rules
// together gave already. before may be nil: then everything is a gain.
func Gains(before, after *Policy, devices []DeviceChange) []Gain {
	if after == nil {
		return nil
	}
	if before == nil {
		before = &Policy{}
	}
	return append(everywhere(before, after), newFinder(before, after).find(devices)...)
}

// OwnerGain is what a new owner gains on the devices of a site.
func OwnerGain(who id.Principal, devices []id.Device) Gain {
	g := Gain{Who: who.String(), What: dutyWhat[DutyOwn], How: GainOwner}
	g.on(slices.Clone(devices))
	return g
}

// on names the devices of a gain. It orders the list.
func (g *Gain) on(devices []id.Device) {
	slices.Sort(devices)
	h := sha256.New()
	for _, d := range devices {
		fmt.Fprintln(h, d)
	}
	if len(devices) > 0 {
		g.Sum = hex.EncodeToString(h.Sum(nil)[:16])
	}
	n := min(len(devices), listedDevices)
	g.Devices, g.More = devices[:n:n], len(devices)-n
}

// key names a gain without its devices.
func (g *Gain) key() string {
	return strings.Join([]string{g.Who, g.What, g.How, g.Rule, g.Where}, "\x00")
}

// everywhere lists gains that concern no device in particular.
func everywhere(before, after *Policy) (out []Gain) {
	for _, d := range duties {
		for _, g := range after.duties[d] {
			if !slices.Contains(before.duties[d], g) {
				out = append(out, Gain{Who: g, What: dutyWhat[d], How: GainDuty})
			}
		}
	}
	for _, d := range after.byToken {
		if !before.ByToken(d) {
			out = append(out, Gain{Who: everyone, What: string(d), How: GainToken})
		}
	}
	out = append(out, parted(before, after)...)
	for _, set := range before.never {
		if !slices.ContainsFunc(after.never, func(s []string) bool { return subset(set, s) }) {
			out = append(out, Gain{Who: list(set, "and"), What: "anything that either of them may", How: GainBoth})
		}
	}
	return out
}
