package authz

import (
	"fmt"
	"slices"
)

// ExplainOf explains a decision about somebody else to whoever asks. It says what they would be told now, and then what
// nobody here knows about them. None of that is taken as given: the decision was made without it.
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

// unknown lists what a require rule asks about that only the person, or their session, could show.
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
