// Package authz decides. It reads the policy an administrator wrote and answers one question: may this
// person do this on this device now, and if not, what is the nearest way in?
//
// # Pure
//
// Nothing here reads a clock, a file, a network or a log. Decide takes a Snapshot (a policy and the grants
// in force), a Request and the time, and its answer depends on these alone. So the gateway, the signer and
// an auditor who re-runs last year's decisions get the same answer from the same inputs. Times of day need
// the zone tables of the Go runtime; they are looked up once, when a policy is loaded.
//
// # Five kinds of rule
//
// A role says what somebody can do. An allow rule gives a role without asking, a request rule lets people
// ask for one. Require rules must hold as well, all that match. Deny rules win over everything. What no rule
// allows is refused. docs/policy.md is the language for those who write it.
//
// # Absence only tightens
//
// A reader of a policy sees what is there and not what is missing, so a lost or misspelt line must never
// open a door. Load refuses what it does not know, wants the keys written out whose absence would widen
// ("everyone", "always", "all", "nobody"), and reads an absent selector of a require or deny rule as "all".
// On the side of the device the same holds: a label the policy does not declare, or a value it does not
// know, makes the device reachable by nobody, because the guardrail meant for it may hang on that word.
//
// # The owner's rules
//
// The device's owner has rules as well (LoadOwner). They are decided on the device, after everything here,
// and can only take away.
package authz

import (
	"net/netip"
	"slices"
	"time"

	"github.com/sallyport/sallyport/internal/id"
)

// Person is the caller as the evidence shows them: one snapshot of memberships for one decision.
type Person struct {
	ID             id.Principal
	Name           string
	Groups         []string  // as the policy names them; for a machine those of its maker, which give it nothing
	Machine        string    // the name of a service identity; empty for people
	ViaToken       bool      // uses an API token, which never counts as a second factor
	SecondFactorAt time.Time // when a second factor was last proven; zero: never
	Address        netip.Addr
}

// Device is the device of a request. Administrators set its labels, never the device.
type Device struct {
	Name   id.Device
	Site   string // also the value of the label "site"
	Labels map[string]string
}

// label gives a label's value. The site has one source of truth: the device's row, where it has one.
func (d *Device) label(name string) (string, bool) {
	if name == siteLabel && d.Site != "" {
		return d.Site, true
	}
	v, ok := d.Labels[name]
	return v, ok
}

const siteLabel = "site"

// Request is one question for Decide: may this person do this action on this device?
type Request struct {
	Person       Person
	Device       Device
	Action       Action
	LiveSessions int    // sessions live on the device, without the one being decided again
	Attended     bool   // a person is known to be beside the device
	Ticket       string // the number of the ticket that the caller named; empty: none
	// Opened is when the session began, if a live session is decided again. The second factor had to be fresh
	// then. It need not be fresh now, or every policy change would end sessions older than mfa_within.
	Opened time.Time
}

// Grant is an approved request: actions for one person on one device, between two times.
type Grant struct {
	ID          string
	Rule        string // the request rule that it was approved under; without that rule the grant is void
	Who         id.Principal
	Device      id.Device
	Actions     []Pattern // what was approved: the role or less; control of a screen includes its view
	From, Until time.Time
	Emergency   bool
	Approvers   []string // their names; decisions do not depend on them
}

// Duty is a task that a person has in the product. It is separate from their rights on devices.
type Duty string

// The duties. DutyExport is part of review. It is separate only for by_token.
const (
	DutyAdminister Duty = "administer"
	DutyApprove    Duty = "approve"
	DutyReview     Duty = "review"
	DutyUnseal     Duty = "unseal"
	DutyOwn        Duty = "own"
	DutyExport     Duty = "export"
)

var duties = []Duty{DutyAdminister, DutyApprove, DutyReview, DutyUnseal, DutyOwn}

// Duties gives the duties of a person in these groups. It gives none if the policy never allows two of the groups
// together, because neither membership can be trusted then.
func (p *Policy) Duties(groups []string) []Duty {
	if p == nil || p.together(groups) != nil {
		return nil
	}
	var out []Duty
	for _, d := range duties {
		if slices.ContainsFunc(p.duties[d], func(g string) bool { return slices.Contains(groups, g) }) {
			out = append(out, d)
		}
	}
	return out
}

// DutyGroup gives the first of the groups that has a duty; empty if none has it.
func (p *Policy) DutyGroup(d Duty, groups []string) string {
	for _, g := range p.duties[d] {
		if slices.Contains(groups, g) {
			return g
		}
	}
	return ""
}

// ByToken reports whether an API token may use a duty. The policy must permit approve, review and export by token.
// A token can never unseal. For the other duties the token's own scopes are the limit.
func (p *Policy) ByToken(d Duty) bool {
	switch d {
	case DutyAdminister, DutyOwn:
		return p != nil
	case DutyUnseal:
		return false
	}
	return p != nil && slices.Contains(p.byToken, d)
}

// Roles gives the words that the product shows for a person in these groups, most usual first.
func (p *Policy) Roles(groups []string) []string {
	if p == nil || p.together(groups) != nil {
		return nil
	}
	var out []string
	if p.namesAny(groups) {
		out = append(out, "technician")
	}
	have := p.Duties(groups)
	for _, r := range []struct {
		duty Duty
		word string
	}{{DutyApprove, "approver"}, {DutyOwn, "owner"}, {DutyReview, "officer"}, {DutyAdminister, "admin"}} {
		if slices.Contains(have, r.duty) {
			out = append(out, r.word)
		}
	}
	return out
}

func (p *Policy) namesAny(groups []string) bool {
	return slices.ContainsFunc(p.rules, func(r *rule) bool {
		return r.opens() && (r.everyone || slices.ContainsFunc(groups, func(g string) bool { return slices.Contains(r.who, g) }))
	})
}

// NeverTogether gives the groups among these that the policy never allows together; nil if there are none.
func (p *Policy) NeverTogether(groups []string) []string {
	if p == nil {
		return nil
	}
	return p.together(groups)
}

// conflict is together without building the answer.
func (p *Policy) conflict(groups []string) bool {
	for _, set := range p.never {
		hits := 0
		for _, g := range set {
			if slices.Contains(groups, g) {
				hits++
			}
		}
		if hits > 1 {
			return true
		}
	}
	return false
}

func (p *Policy) together(groups []string) []string {
	for _, set := range p.never {
		var hit []string
		for _, g := range set {
			if slices.Contains(groups, g) {
				hit = append(hit, g)
			}
		}
		if len(hit) > 1 {
			return hit
		}
	}
	return nil
}
