package authz

import (
	"net/netip"
	"slices"
)

// gaveAll reports whether a rule gave all actions of a pattern to a subject at least as easily as another rule gives them now.
// A request rule stands for another one only under the same id, because grants name it. A wider pattern stands for the pattern
// only if no rule of closers forbade a part of it beside the pattern: a session had then nothing of the wider one.
func (r *rule) gaveAll(now *rule, who string, p *Pattern, closers []*rule) bool {
	whole := func(q Pattern) bool {
		return q.Contains(*p) && !slices.ContainsFunc(closers, func(x *rule) bool { return x.hits(q) && !x.hits(*p) })
	}
	if !r.opens() || !r.lets(who) || !slices.ContainsFunc(r.role.gives, whole) {
		return false
	}
	if r.kind == allow {
		return r.finishedAs(now) && (r.open == nil || now.kind == allow && now.open != nil && now.open.within(r.open))
	}
	return now.kind == request && now.id == r.id && r.finishedAs(now) && now.ask.within(&r.ask)
}

// hits reports whether a require or deny rule is about any action of a pattern.
func (r *rule) hits(p Pattern) bool {
	return slices.ContainsFunc(r.about, func(q Pattern) bool { _, both := p.meet(q); return both })
}

// finishedAs reports whether work under the other rule runs on after its time at most as long as under this one.
func (r *rule) finishedAs(now *rule) bool {
	return !now.finish || r.finish && now.finishAtMost <= r.finishAtMost
}

// within reports whether a request costs at least as much as under the other terms.
func (a *ask) within(o *ask) bool {
	agreed := func(want approval) bool {
		return slices.ContainsFunc(a.agree, func(has approval) bool { return has.from == want.from && has.count >= want.count })
	}
	return a.emergency == o.emergency && a.atMost <= o.atMost && a.answerWithin <= o.answerWithin && a.reviewWithin <= o.reviewWithin &&
		subset(o.askFor, a.askFor) && subset(o.tell, a.tell) && every(o.agree, agreed)
}

// within reports whether every moment in a window is also in another one. It compares times of day, so windows of
// different zones or over midnight have to be the same.
func (w *window) within(o *window) bool {
	if w.zone.String() != o.zone.String() {
		return false
	}
	for d, open := range w.days {
		if open && !o.days[d] {
			return false
		}
	}
	return w.from == o.from && w.to == o.to || w.from < w.to && o.from <= w.from && w.to <= o.to
}

// closesAll reports whether a require or deny rule forbids at least what another one forbade.
func (r *rule) closesAll(b *rule) bool {
	if r.opens() || b.kind == deny && (r.kind != deny || r.onlyEmergency && !b.onlyEmergency) || r.kind == deny && r.onlyEmergency && b.kind == require {
		return false
	}
	if !r.everyone && (b.everyone || !subset(b.who, r.who)) || r.only != peopleAndMachines && r.only != b.only {
		return false
	}
	covered := func(p Pattern) bool {
		return slices.ContainsFunc(r.about, func(q Pattern) bool { return q.coversAll(&p) })
	}
	return every(b.about, covered) && (r.kind == deny || r.need.demands(&b.need))
}

// demands reports whether a request that meets n always meets o.
func (n *need) demands(o *need) bool {
	inside := func(p netip.Prefix) bool {
		return slices.ContainsFunc(o.from, func(q netip.Prefix) bool { return q.Bits() <= p.Bits() && q.Contains(p.Addr()) })
	}
	return (o.mfaWithin == 0 || n.mfaWithin > 0 && n.mfaWithin <= o.mfaWithin) &&
		(len(o.from) == 0 || len(n.from) > 0 && every(n.from, inside)) &&
		(!o.attended || n.attended) && (o.atOnce == 0 || n.atOnce > 0 && n.atOnce <= o.atOnce) && (!o.ticket || n.ticket) &&
		(o.hours == nil || n.hours != nil && n.hours.within(o.hours))
}

func every[T any](all []T, holds func(T) bool) bool {
	return !slices.ContainsFunc(all, func(x T) bool { return !holds(x) })
}
