package authz

import "slices"

// patterns gives what the scope has as patterns.
func (s Scope) patterns() []Pattern {
	out := slices.Clone(s.actions)
	for _, t := range s.templates {
		out = append(out, Pattern{kinds: Run, arg: s.login, run: t})
	}
	return out
}

// Within reports whether a scope permits nothing that o does not, as the same login. The empty scope is within every one
// of its login.
func (s Scope) Within(o Scope) bool {
	return s.login == o.login && len(s.inside(o)) == len(s.patterns())
}

// Narrow gives what is in both scopes: the entries of either that the other one has, alone or as part of a wider entry.
// It is empty if the logins differ.
func (s Scope) Narrow(o Scope) Scope {
	if s.login != o.login {
		return Scope{login: s.login}
	}
	return newScope(s.login, append(s.inside(o), o.inside(s)...))
}

// inside gives the entries of s that o has.
func (s Scope) inside(o Scope) []Pattern {
	wide := o.patterns()
	return slices.DeleteFunc(s.patterns(), func(p Pattern) bool {
		return !slices.ContainsFunc(wide, func(q Pattern) bool { return q.coversAll(&p) })
	})
}
