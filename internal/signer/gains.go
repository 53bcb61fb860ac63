package signer

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/wire"
)

// gainsOf lists what people gain by a policy on the devices that are in service. That an administrator loses the duty counts as
// well: otherwise one could first take it from all others, and then widen alone. The caller holds s.mu.
func (s *Service) gainsOf(next *authz.Policy, by id.Principal) []authz.Gain {
	var devices []authz.Device
	for _, d := range s.state.devices {
		if d.State != wire.StateRevoked {
			devices = append(devices, d.decided())
		}
	}
	var gains []authz.Gain
	for _, a := range s.state.listAdministrators() {
		if !next.Same(a.Who, by) && s.administers(a) && !slices.Contains(next.Duties(a.Groups), authz.DutyAdminister) {
			gains = append(gains, authz.Gain{Who: a.Who.String(), What: "loses the duty administer", How: "and no longer confirms changes"})
		}
	}
	return append(gains, authz.Gains(s.snapshot.Policy, next, authz.Unchanged(devices...))...)
}

func (d *Device) decided() authz.Device {
	return authz.Device{Name: d.Name, Site: d.Site, Labels: d.Labels}
}

// relabelled is the change of a device's site or labels. A device that the signer did not know gives nobody more: what its
// labels mean was decided with the policy. The caller holds s.mu.
func (s *Service) relabelled(old, next Device, by Evidence) change {
	c := change{kind: ProposedLabels, subject: string(next.Name), by: by, from: []any{old.Site, old.Labels},
		to: Device{Name: next.Name, Site: next.Site, FP: next.FP, HostKey: next.HostKey, Labels: next.Labels}}
	if old.FP.IsZero() {
		return c
	}
	p := s.snapshot.Policy
	c.gains = authz.Gains(p, p, []authz.DeviceChange{{Before: old.decided(), After: next.decided()}})
	if next.Site != old.Site {
		for _, who := range s.state.sites[next.Site].Owners {
			if !s.state.owns(old.Site, who) {
				c.gains = append(c.gains, authz.OwnerGain(who, []id.Device{next.Name}))
			}
		}
	}
	return c
}

// ownerGains lists what new owners of a site gain. The caller holds s.mu.
func (s *Service) ownerGains(site Site) (out []authz.Gain) {
	var devices []id.Device
	for _, d := range s.state.devices {
		if d.Site == site.Name && d.State != wire.StateRevoked {
			devices = append(devices, d.Name)
		}
	}
	for _, who := range site.Owners {
		if !s.state.owns(site.Name, who) {
			out = append(out, authz.OwnerGain(who, devices))
		}
	}
	return out
}

// gainsText lists gains, one a line, as many as have room in a leaf.
func gainsText(gains []authz.Gain) string {
	var b strings.Builder
	for i, g := range gains {
		line := g.String() + "\n"
		if b.Len()+len(line) > gainsBytes {
			return b.String() + fmt.Sprintf("and %d more", len(gains)-i)
		}
		b.WriteString(line)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// someGains says the first gains in a sentence.
func someGains(gains []authz.Gain) string {
	const said = 3
	var out []string
	for _, g := range gains[:min(len(gains), said)] {
		out = append(out, g.String())
	}
	text := strings.Join(out, "; ")
	if n := len(gains) - said; n > 0 {
		text += fmt.Sprintf("; and %d more", n)
	}
	return text
}

const gainsBytes = 16 << 10 // of the text in a leaf
