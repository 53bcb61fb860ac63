package authz

import (
	"fmt"
	"slices"
)

// Warnings lists rules that cannot work as written: requests that nobody can approve, and reviews that are due before they
// can be made. Such a policy can be applied, because all of this only makes it stricter.
func (p *Policy) Warnings() (out Problems) {
	if p == nil {
		return nil
	}
	for _, r := range p.rules {
		warn := func(write, format string, args ...any) {
			out = append(out, Problem{File: r.file, Line: r.line, Text: fmt.Sprintf("%s %q: ", r.kind, r.id) + fmt.Sprintf(format, args...), Write: write})
		}
		for _, a := range r.ask.agree {
			switch {
			case a.from == OwnerOfSite && len(p.duties[DutyOwn]) == 0:
				warn(`own = ["owners"] in [duties]`, "no group has the duty own, so no owner can approve")
			case a.from != OwnerOfSite && !slices.Contains(p.duties[DutyApprove], a.from):
				warn(fmt.Sprintf("approve = [%q] in [duties]", a.from), "the group %q cannot approve, because it does not have the duty approve", a.from)
			}
		}
		if r.emergency() && r.ask.reviewWithin <= r.ask.atMost {
			warn("review_within longer than "+span(r.ask.atMost), "the review is due %s after the start, before the emergency can end", span(r.ask.reviewWithin))
		}
	}
	return out
}
