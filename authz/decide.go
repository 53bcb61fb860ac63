package authz

import "time"

// Reason says in one word why a decision is as it is.
type Reason string

// The reasons. All but Permitted refuse.
const (
	Permitted       Reason = "permitted"
	NoPolicy        Reason = "no-policy"        // there is no policy to decide by
	NeverTogether   Reason = "never-together"   // the person is in groups that exclude each other
	UnknownLabels   Reason = "unknown-labels"   // the device lacks a needed label, or has one the policy does not know
	NoRule          Reason = "no-rule"          // no rule gives this
	OutsideHours    Reason = "outside-hours"    // a rule gives this at other times
	DeniedByRule    Reason = "denied"           // a deny rule
	RequirementOpen Reason = "requirement-open" // a require rule does not hold
)

// Decision is the answer to a Request. It keeps its inputs, so that only a caller of Explain pays for the
// explanation.
type Decision struct {
	Allowed        bool
	Reason         Reason
	Rule           string    // the rule that allows, or would at other times
	Grant          string    // the grant, when an approved request allows
	Emergency      bool      // allowed by break-glass
	Until          time.Time // when it stops being allowed by itself; zero: the policy knows no end
	DeniedBy       string    // the deny rule
	Missing        string    // the first require rule that does not hold
	Attended       bool      // a require rule wants somebody beside the device
	SessionsAtOnce int       // the smallest limit of the require rules; 0: none

	snap  *Snapshot
	asked Request
	at    time.Time
}

// Decide answers whether the request may be done now. It allocates nothing and looks only at the rules that
// can concern the person and the device.
func Decide(s *Snapshot, r Request, now time.Time) (d Decision) {
	d.snap, d.asked, d.at = s, r, now // in place: a copy of a decision takes as long as a rule
	d.Reason = d.decide()
	d.Allowed = d.Reason == Permitted
	if !d.Allowed {
		d.Until, d.Emergency, d.Grant = time.Time{}, false, ""
	}
	return d
}

// SignInHelps reports whether the person would be allowed if they proved a second factor now. An API token and a machine
// cannot.
func (d *Decision) SignInHelps() bool {
	if d.Allowed || d.asked.Person.ViaToken || d.asked.Person.Machine != "" {
		return false
	}
	again := d.asked
	again.Person.SecondFactorAt = d.at
	fresh := Decide(d.snap, again, d.at)
	return fresh.Allowed
}

func (d *Decision) decide() Reason {
	if d.snap == nil || d.snap.Policy == nil {
		return NoPolicy
	}
	p := d.snap.Policy
	if p.conflict(d.asked.Person.Groups) {
		return NeverTogether
	}
	if !p.reachable(&d.asked.Device) {
		return UnknownLabels
	}
	all, onlyEmergency := p.deniedBy(&d.asked)
	if all != nil {
		d.DeniedBy = all.id
		return DeniedByRule
	}
	if reason := d.way(p, onlyEmergency); reason != Permitted {
		return reason
	}
	return d.requirements(p)
}

// reachable reports whether the device has every required label, and none that the policy does not know.
func (p *Policy) reachable(d *Device) bool {
	known := 0
	for i := range p.labels {
		l := &p.labels[i]
		v, ok := d.Labels[l.name]
		if ok {
			known++
		}
		if l.name == siteLabel && d.Site != "" { // as label has it
			v, ok = d.Site, true
		}
		if !ok && l.needed || ok && !l.knows(v) {
			return false
		}
	}
	return known == len(d.Labels)
}

// deniedBy finds a deny rule for everything, and one for emergencies only.
func (p *Policy) deniedBy(r *Request) (all, onlyEmergency *rule) {
	p.visit(deny, &r.Person, &r.Device, func(x *rule) bool {
		switch {
		case !x.concerns(&r.Action):
		case x.onlyEmergency:
			onlyEmergency = x
		default:
			all = x
			return false
		}
		return true
	})
	return all, onlyEmergency
}

// way finds the allow rule or grant that lasts longest. An emergency grant counts only if nothing else allows the
// action, so that no work is marked as an emergency without need.
func (d *Decision) way(p *Policy, noEmergency *rule) Reason {
	reason := NoRule
	p.visit(allow, &d.asked.Person, &d.asked.Device, func(x *rule) bool {
		if !x.role.covers(&d.asked.Action) {
			return true
		}
		until, open := x.until(d.at)
		if open && (reason != Permitted || later(until, d.Until)) {
			reason, d.Rule, d.Until = Permitted, x.id, until
		} else if !open && reason == NoRule {
			reason, d.Rule = OutsideHours, x.id
		}
		return reason != Permitted || !d.Until.IsZero()
	})
	if d.snap.Grants == nil {
		return reason
	}
	return d.grants(p, reason, noEmergency)
}

func (d *Decision) grants(p *Policy, reason Reason, noEmergency *rule) Reason {
	d.snap.eachGrant(&d.asked, func(g *Grant) bool {
		better := reason != Permitted || d.Emergency && !g.Emergency || d.Emergency == g.Emergency && later(g.Until, d.Until)
		switch {
		case !better || !g.covers(p, &d.asked, d.at):
		case g.Emergency && noEmergency != nil:
			if reason == NoRule {
				reason, d.DeniedBy = DeniedByRule, noEmergency.id
			}
		default:
			reason, d.DeniedBy = Permitted, ""
			d.Rule, d.Grant, d.Until, d.Emergency = g.Rule, g.ID, g.Until, g.Emergency
		}
		return d.Grant == "" || d.Emergency || !d.snap.indexed() // the index has those that end last first
	})
	return reason
}

// later reports whether a is a later end than b; the zero time is no end at all.
func later(a, b time.Time) bool { return !b.IsZero() && (a.IsZero() || a.After(b)) }

func (r *rule) until(now time.Time) (time.Time, bool) {
	if r.open == nil {
		return time.Time{}, true
	}
	return r.open.contains(now)
}

// covers reports whether the grant gives the action now. The request rule of the grant must still exist and still be
// for this person, device and action. So a person who leaves the rule's group loses the grant.
func (g *Grant) covers(p *Policy, r *Request, now time.Time) bool {
	if now.Before(g.From) || !now.Before(g.Until) || !g.approves(&r.Action) {
		return false
	}
	x := p.byID[g.Rule]
	if x == nil || x.kind != request || x.emergency() != g.Emergency {
		return false
	}
	return x.names(&r.Person) && x.devices.matches(&r.Device) && x.role.covers(&r.Action)
}

// approves reports whether the grant's actions contain the action. It does not look at the rule of the grant.
func (g *Grant) approves(a *Action) bool {
	for i := range g.Actions {
		if approved := g.Actions[i].gives(); approved.covers(a) {
			return true
		}
	}
	return false
}

// names reports whether an allow or request rule is for this person.
func (r *rule) names(who *Person) bool {
	if who.Machine != "" {
		for _, w := range r.who {
			if len(w) == len(machinePrefix)+len(who.Machine) && isMachine(w) && w[len(machinePrefix):] == who.Machine {
				return true
			}
		}
		return false
	}
	if r.everyone {
		return true
	}
	for _, w := range r.who {
		for _, g := range who.Groups {
			if w == g && !isMachine(w) {
				return true
			}
		}
	}
	return false
}

// requirements checks every require rule that matches.
func (d *Decision) requirements(p *Policy) Reason {
	reason := Permitted
	p.visit(require, &d.asked.Person, &d.asked.Device, func(x *rule) bool {
		if !x.concerns(&d.asked.Action) {
			return true
		}
		n := &x.need
		d.Attended = d.Attended || n.attended
		if n.atOnce > 0 && (d.SessionsAtOnce == 0 || n.atOnce < d.SessionsAtOnce) {
			d.SessionsAtOnce = n.atOnce
		}
		until, holds := n.holds(&d.asked, d.at)
		if !holds {
			reason, d.Missing = RequirementOpen, x.id
			return false
		}
		if !until.IsZero() && later(d.Until, until) {
			d.Until = until
		}
		return true
	})
	return reason
}

// holds reports whether everything that a require rule demands is met, and until when at most.
func (n *need) holds(r *Request, now time.Time) (until time.Time, ok bool) {
	if n.hours != nil {
		if until, ok = n.hours.contains(now); !ok {
			return until, false
		}
	}
	return until, (n.mfaWithin == 0 || n.fresh(r, now)) && (len(n.from) == 0 || n.comesFrom(r)) &&
		(!n.attended || r.Attended) && (n.atOnce == 0 || r.LiveSessions < n.atOnce) && (!n.ticket || r.Ticket != "")
}

// clockSlack is how far ahead of ours a provider's clock may be.
const clockSlack = time.Minute

func (n *need) fresh(r *Request, now time.Time) bool {
	if !r.Opened.IsZero() {
		now = r.Opened
	}
	at := r.Person.SecondFactorAt
	if r.Person.ViaToken || r.Person.Machine != "" || at.IsZero() {
		return false
	}
	return !at.After(now.Add(clockSlack)) && now.Sub(at) <= n.mfaWithin
}

func (n *need) comesFrom(r *Request) bool {
	a := r.Person.Address.Unmap()
	for _, prefix := range n.from {
		if prefix.Contains(a) {
			return true
		}
	}
	return false
}
