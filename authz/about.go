package authz

import (
	"fmt"
	"slices"
)

// ExplainOf explains to the caller a decision about another person. It gives the answer that the person would get now,
// and then lists the facts about them that are not known here. The decision was made as if none of these facts holds.
func (d Decision) ExplainOf(name string) (e Explanation, unknown []string) {
	e = d.Explain()
	e.Text = fmt.Sprintf("%s would be told now: %s", name, e.Text)
	if d.Reason != RequirementOpen {
		return e, nil
	}
	d.snap.Policy.visit(require, &d.asked.Person, &d.asked.Device, func(x *rule) bool {
		if x.concerns(&d.asked.Action) {
			unknown = append(unknown, x.need.unknown(&d.asked, name)...)
		}
		return true
	})
	slices.Sort(unknown)
	unknown = slices.Compact(unknown)
	if len(unknown) > 0 {
		e.Text += fmt.Sprintf(" Not known here, and so not taken as given: %s.", list(unknown, "and"))
	}
	return e, unknown
}

// unknown lists the conditions of require rules that only the person or their session could show to be met.
func (n *need) unknown(r *Request, name string) []string {
	var out []string
	if n.mfaWithin > 0 && r.Person.SecondFactorAt.IsZero() && !r.Person.ViaToken && r.Person.Machine == "" {
		out = append(out, fmt.Sprintf("when %s last proved a second factor", name))
	}
	if len(n.from) > 0 && !r.Person.Address.IsValid() {
		out = append(out, fmt.Sprintf("where %s comes from", name))
	}
	if n.attended && !r.Attended {
		out = append(out, fmt.Sprintf("whether somebody stands beside %s", r.Device.Name))
	}
	return out
}
