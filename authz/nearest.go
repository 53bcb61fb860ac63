package authz

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// ways gives the request rules that lead to the action, nearest first: fewest to agree, least to give.
func (d *Decision) ways(p *Policy) []Way {
	if d.Reason == UnknownLabels {
		return nil
	}
	all, noEmergency := p.deniedBy(&d.asked)
	var out []Way
	p.visit(request, &d.asked.Person, &d.asked.Device, func(x *rule) bool {
		shut := all != nil || x.emergency() && noEmergency != nil
		again := slices.ContainsFunc(out, func(w Way) bool { return w.Rule == x.id })
		if x.role.covers(&d.asked.Action) && !shut && !again {
			w := x.way()
			w.Open = d.open(p)
			out = append(out, w)
		}
		return true
	})
	slices.SortStableFunc(out, func(a, b Way) int {
		return cmp.Or(compareBool(a.Emergency, b.Emergency), cmp.Compare(voices(a.Agree), voices(b.Agree)),
			cmp.Compare(len(a.AskFor), len(b.AskFor)), cmp.Compare(b.AtMost, a.AtMost), cmp.Compare(a.Rule, b.Rule))
	})
	return out
}

func (r *rule) way() Way {
	w := Way{Rule: r.id, Role: r.role.name, Emergency: r.ask.emergency, AtMost: r.ask.atMost, AskFor: r.ask.askFor}
	for _, a := range r.ask.agree {
		w.Agree = append(w.Agree, Agree{From: a.from, Count: a.count})
	}
	lets := " lets you ask for it: "
	if r.ask.emergency {
		lets = " lets you in at once in an emergency: "
	}
	w.Text = r.id + lets + r.ask.terms() + "."
	return w
}

// instead finds other actions of the same kind that are open on the device now, most often as another login. For a
// command it finds only the same command as another login.
func (d *Decision) instead(p *Policy) []Way {
	var out []Way
	seen := map[string]bool{}
	p.visit(allow, &d.asked.Person, &d.asked.Device, func(x *rule) bool {
		for i := range x.role.gives {
			a, ok := x.role.gives[i].like(&d.asked.Action)
			if !ok || seen[a.String()] {
				continue
			}
			seen[a.String()] = true
			r := d.asked
			r.Action = a
			if other := Decide(d.snap, r, d.at); other.Allowed {
				out = append(out, Way{Rule: other.Rule, Role: x.role.name, Action: a.String(),
					Text: fmt.Sprintf("you may %s now (rule %s).", phrase(&a, string(r.Device.Name)), other.Rule)})
			}
		}
		return true
	})
	return out
}

// like turns a role's pattern into an action of the same kind as a, if it stands for exactly one.
func (p *Pattern) like(a *Action) (Action, bool) {
	k := a.Kind
	switch {
	case p.kinds&k == 0 || p.any && k&(DesktopView|DesktopControl) == 0:
		return Action{}, false
	case k == Run:
		return RunAction(p.arg, a.Argv), a.fits(p.run)
	}
	return Action{Kind: k, Arg: p.arg}, true
}

// nearest picks the way in that takes least effort: what the caller can do alone at once, then a request, then a
// similar action that is open, then waiting, and last the contact of the policy.
func (d *Decision) nearest(p *Policy, e Explanation) string {
	if d.Reason == UnknownLabels {
		return fmt.Sprintf("an administrator mends the labels of %s.", d.asked.Device.Name)
	}
	if d.Reason == RequirementOpen {
		if step := d.step(p); step != "" {
			return step
		}
	}
	if len(e.CanAsk) > 0 {
		w := e.CanAsk[0]
		if len(w.Open) > 0 && d.Reason != RequirementOpen {
			return w.Text + " Then " + strings.Join(w.Open, "; ") + "."
		}
		return w.Text
	}
	if len(e.Instead) > 0 {
		return e.Instead[0].Text
	}
	if w := p.wait(d); w != "" {
		return w
	}
	return or(map[bool]string{true: p.contact + " answers for the policy."}[p.contact != ""], "an administrator can change the policy.")
}

// step says what the caller can do alone if only a requirement is missing.
func (d *Decision) step(p *Policy) string {
	r := d.asked
	var steps []string
	p.visit(require, &r.Person, &r.Device, func(x *rule) bool {
		n := &x.need
		if !x.concerns(&r.Action) {
			return true
		}
		if n.mfaWithin > 0 && !n.fresh(&r, d.at) {
			if r.Person.Machine != "" {
				return true
			}
			steps = append(steps, map[bool]string{true: "sign in as yourself, with your second factor", false: "prove your second factor again"}[r.Person.ViaToken])
		}
		if n.ticket && r.Ticket == "" {
			steps = append(steps, "name a ticket")
		}
		if len(n.from) > 0 && !n.comesFrom(&r) {
			steps = append(steps, "come from "+n.networks())
		}
		if n.attended && !r.Attended {
			steps = append(steps, fmt.Sprintf("have somebody stand beside %s and say so", r.Device.Name))
		}
		if n.atOnce > 0 && r.LiveSessions >= n.atOnce {
			steps = append(steps, "wait until a session there has ended")
		}
		return true
	})
	if len(steps) == 0 {
		return ""
	}
	slices.Sort(steps)
	return list(slices.Compact(steps), "and") + "."
}

// wait says when a rule that gives the action opens next.
func (p *Policy) wait(d *Decision) string {
	if d.Reason != OutsideHours {
		return ""
	}
	r := p.byID[d.Rule]
	if at, ok := r.open.opens(d.at); ok {
		return fmt.Sprintf("rule %s opens %s.", r.id, weekTime(at, r.open))
	}
	return ""
}
