package authz

import (
	"fmt"

	"github.com/sallyport/sallyport/internal/id"
)

// accounts names the accounts that one person has at one or more providers.
type accounts []id.Principal

const accountsExample = `accounts = ["https://login.example/realms/a 4711", "https://login.example/realms/b 0815"]`

// readSamePerson reads [[same_person]].
func (l *loader) readSamePerson(t *table) {
	for _, s := range t.subs("same_person", "same_person") {
		var all accounts
		s.must("accounts", accountsExample)
		for _, n := range s.words("accounts", accountsExample) {
			p, err := id.ParsePrincipal(n.text)
			switch {
			case err != nil:
				s.problem(n.line, accountsExample, "same_person: %v", err)
			case l.p.person(p) != nil || contains(all, p):
				s.problem(n.line, "it once", "same_person: the account %q is named twice", clip(n.text))
			default:
				all = append(all, p)
			}
		}
		if len(all) == 1 {
			s.problem(s.line("accounts"), accountsExample, "same_person: accounts must have at least two entries")
		}
		s.sentence("why", `why = "Works for the maker and for the customer."`)
		s.done()
		l.p.people = append(l.p.people, all)
	}
}

func contains(all accounts, p id.Principal) bool {
	for _, a := range all {
		if a == p {
			return true
		}
	}
	return false
}

// person gives all accounts of the person with this account, or nil.
func (p *Policy) person(account id.Principal) accounts {
	for _, all := range p.people {
		if contains(all, account) {
			return all
		}
	}
	return nil
}

// Same reports whether two accounts are known to belong to one person.
func (p *Policy) Same(a, b id.Principal) bool {
	return a == b || p != nil && contains(p.person(a), b)
}

// parted lists accounts that counted as one person and no longer do.
func parted(before, after *Policy) (out []Gain) {
	for _, all := range before.people {
		for _, a := range all[min(1, len(all)):] {
			if !after.Same(all[0], a) {
				out = append(out, Gain{Who: a.String(), What: "no longer counts as the same person as " + all[0].String(), How: "for approvals"})
			}
		}
	}
	return out
}

func (a accounts) words() string {
	out := make([]string, len(a))
	for i, p := range a {
		out[i] = fmt.Sprintf("%q", p.String())
	}
	return fmt.Sprintf("The accounts %s belong to one person, who counts once in approvals and confirmations.", list(out, "and"))
}
