package authz

import "slices"

// Scope gives the actions that a session may do if it begins with the allowed action of d: all actions that the allow
// rule or grant of the decision gives as this login. It leaves out every action that a deny rule or an unmet require
// rule is about. If such a rule covers an entry in part, Scope leaves out the whole entry, because a pass cannot say
// "every word but stop". It then names the decided action by itself.
//
// Ports, pages, files and screens are actions of every login. The limits are the strictest of all actions in the scope.
//
// If d refuses, or its action is as another login, the scope is empty. The caller must check that the scope covers the
// decided action, because a pass cannot name a command of more than MaxActionWord bytes, or a directory without
// everything below it.
func (d Decision) Scope(login string) (Scope, Limits) {
	own := &d.asked.Action
	if !d.Allowed || own.Login() != "" && own.Login() != login || checkLogin(login) != nil {
		return Scope{}, Limits{}
	}
	limits := Limits{Until: d.Until, SessionsAtOnce: d.SessionsAtOnce, Attended: d.Attended}
	var left []Pattern
	for _, p := range d.given() {
		for _, one := range p.as(login) {
			if d.keeps(one, &limits) {
				left = append(left, one)
			}
		}
	}
	s := newScope(login, left)
	if itself := own.pattern(); !s.Covers(*own) && d.keeps(itself, &limits) {
		s = newScope(login, append(left, itself))
	}
	return s, limits
}

// given lists the patterns that the decision's rule or grant gives, for all logins.
func (d *Decision) given() []Pattern {
	r := d.snap.Policy.byID[d.Rule].role
	if d.Grant == "" {
		return r.gives
	}
	var out []Pattern
	d.snap.eachGrant(&d.asked, func(g *Grant) bool {
		if g.ID == d.Grant && g.Rule == d.Rule {
			out = append(out, g.gives(r)...)
		}
		return true
	})
	return out
}

// gives lists the approved patterns as far as the role still gives them.
func (g *Grant) gives(r *role) []Pattern {
	var out []Pattern
	for _, approved := range g.Actions {
		for _, given := range r.gives {
			if both, ok := approved.gives().meet(given); ok {
				out = append(out, both)
			}
		}
	}
	return out
}

// as gives the part of a pattern that is as one login, one pattern for each kind. A pattern that has no exact form,
// such as every port, gives nothing.
func (p Pattern) as(login string) []Pattern {
	switch {
	case p.any:
		return p.anyAs(login)
	case p.everyLogin:
		p.everyLogin, p.arg = false, login
	case p.kinds&(Shell|Run) != 0 && p.arg != login:
		return nil
	}
	return []Pattern{p}
}

func (p Pattern) anyAs(login string) []Pattern {
	var out []Pattern
	for _, w := range kindWords {
		switch {
		case p.kinds&w.kind == 0:
		case w.kind == Shell:
			out = append(out, Pattern{kinds: Shell, arg: login})
		case w.arg == "":
			out = append(out, Pattern{kinds: w.kind, any: true})
		}
	}
	return out
}

// keeps reports whether a scope may have p: no deny rule and no unmet require rule is about any action of p. If so, it
// tightens the limits by the require rules about p.
func (d *Decision) keeps(p Pattern, limits *Limits) bool {
	open, r, policy := nameable(p.String()), &d.asked, d.snap.Policy
	policy.visit(deny, &r.Person, &r.Device, func(x *rule) bool {
		open = open && (x.onlyEmergency && !d.Emergency || !x.reaches(p))
		return open
	})
	stricter := *limits
	policy.visit(require, &r.Person, &r.Device, func(x *rule) bool {
		if open && x.reaches(p) {
			open = stricter.hold(&x.need, d)
		}
		return open
	})
	if open {
		*limits = stricter
	}
	return open
}

// reaches reports whether a require or deny rule is about any action of p.
func (r *rule) reaches(p Pattern) bool {
	return slices.ContainsFunc(r.about, func(q Pattern) bool { _, ok := q.meet(p); return ok })
}

// hold tightens the limits by a require rule's need, and reports whether the need is met.
func (l *Limits) hold(n *need, d *Decision) bool {
	until, ok := n.holds(&d.asked, d.at)
	if later(l.Until, until) {
		l.Until = until
	}
	if n.atOnce > 0 && (l.SessionsAtOnce == 0 || n.atOnce < l.SessionsAtOnce) {
		l.SessionsAtOnce = n.atOnce
	}
	l.Attended = l.Attended || n.attended
	return ok
}
