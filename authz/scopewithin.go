package authz

import "slices"

// patterns gives the entries of the scope as patterns.
func (s Scope) patterns() []Pattern {
	out := slices.Clone(s.actions)
	for _, t := range s.templates {
		out = append(out, Pattern{kinds: Run, arg: s.login, run: t})
	}
	return out
}

// Within reports whether both scopes have the same login and o permits everything that s does. The empty scope is
// within every scope of its login.
func (s Scope) Within(o Scope) bool {
	return s.login == o.login && len(s.inside(o)) == len(s.patterns())
}

// Narrow gives the scope that both permit: each entry of one scope that the other has too, as the same entry or within
// a wider one. It is empty if the logins differ.
func (s Scope) Narrow(o Scope) Scope {
	if s.login != o.login {
		return Scope{login: s.login}
	}
	return newScope(s.login, append(s.inside(o), o.inside(s)...))
}

// inside gives the entries of s that one entry of o covers.
func (s Scope) inside(o Scope) []Pattern {
	wide := o.patterns()
	return slices.DeleteFunc(s.patterns(), func(p Pattern) bool {
		return !slices.ContainsFunc(wide, func(q Pattern) bool { return q.coversAll(&p) })
	})
}
