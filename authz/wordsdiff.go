package authz

import "slices"

// Change is a rule whose sentences differ in two policies. Before is empty if the rule is new, and After if it was
// removed.
type Change struct {
	Kind   string `json:"kind"`
	ID     string `json:"id"`
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
}

// Changes compares the words of two policies. Changed and removed rules come first, in the order of before, and then
// new ones.
func Changes(before, after []Sentence) []Change {
	out := []Change{}
	gone, come := without(before, after), without(after, before)
	for _, s := range gone {
		c := Change{Kind: s.Kind, ID: s.ID, Before: s.Text}
		if i := slices.IndexFunc(come, func(n Sentence) bool { return n.Kind == s.Kind && n.ID == s.ID }); i >= 0 {
			c.After = come[i].Text
			come = slices.Delete(come, i, i+1)
		}
		out = append(out, c)
	}
	for _, s := range come {
		out = append(out, Change{Kind: s.Kind, ID: s.ID, After: s.Text})
	}
	return out
}

// without gives the sentences of a that b does not have. Reasons are not compared, because they decide nothing.
func without(a, b []Sentence) []Sentence {
	return slices.DeleteFunc(slices.Clone(a), func(s Sentence) bool {
		return slices.ContainsFunc(b, func(o Sentence) bool { return o.Kind == s.Kind && o.ID == s.ID && o.Text == s.Text })
	})
}
