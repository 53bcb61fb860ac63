package authz

import (
	"fmt"
	"slices"
)

// checkScopes refuses a role if the pass of a session could not name all of its actions, for one of its logins. In a
// stored policy such a role gives nothing, and Ignored lists it. Cutting the role to what fits would give rights that
// nobody has reviewed.
func (l *loader) checkScopes(t *table, r *role) {
	if l.how == asPast {
		return
	}
	for _, login := range r.logins() {
		text, write := r.unfit(login)
		if text == "" {
			continue
		}
		into := t.out
		if l.how == asStored {
			into = &l.p.ignored
		}
		*into = append(*into, Problem{File: t.file, Line: t.n.line, Text: t.what + ": " + text, Write: write})
		r.gives, r.kinds, r.ignored = nil, 0, "it has more than a pass can name, so all of it is refused"
		return
	}
}

// logins lists the logins of the role's shells and commands. A role without either is checked for one session, whose
// login does not matter.
func (r *role) logins() []string {
	var out []string
	for i := range r.gives {
		if p := &r.gives[i]; p.kinds&(Shell|Run) != 0 {
			out = also(out, p.arg)
		}
	}
	if len(out) == 0 {
		return []string{""}
	}
	return out
}

const split = "two roles, each with a part of the actions, and a rule for each"

// unfit says why a pass could not name all actions that the role gives as a login, and what to write instead. Both
// texts are empty if it can.
func (r *role) unfit(login string) (text, write string) {
	var given []Pattern
	for i := range r.gives {
		given = append(given, r.gives[i].as(login)...)
	}
	for i := range given {
		if word := given[i].String(); !nameable(word) {
			return fmt.Sprintf("a pass cannot name %q: an action word has at most %d bytes, and only characters that show",
				clip(word), MaxActionWord), "a shorter path, or a script on the device that is called with fewer words"
		}
	}
	session := "a session"
	if login != "" {
		session += " as " + login
	}
	s := newScope(login, given)
	if n := len(s.actions) + len(s.templates); n > MaxScope {
		return fmt.Sprintf("%s would have %d actions, and a pass names at most %d", session, n, MaxScope), split
	}
	if n := s.largest(); n > MaxScopeSize {
		return fmt.Sprintf("the actions of %s take %d bytes, and a pass has room for %d", session, n, MaxScopeSize), split
	}
	return "", ""
}

// largest gives the size of the largest scope that a session of the role can have. If a rule is about a part of a
// template, the pass names one command in its place, which may be longer.
func (s Scope) largest() int {
	more := 0
	for _, t := range s.templates {
		more = max(more, textSize(min(t.longest(s.login), MaxActionWord))-t.size())
	}
	return s.Size() + more
}

// longest gives the bytes of the longest action word of a command that fits.
func (t Template) longest(login string) int {
	command := slices.Clone(t)
	for i, w := range command {
		switch w.Placeholder {
		case AnyWord:
			command[i] = Word{Literal: fmt.Sprintf("%064d", 0)}
		case AnyNumber:
			command[i] = Word{Literal: fmt.Sprintf("%018d", 0)}
		}
	}
	return len(Pattern{kinds: Run, arg: login, run: command}.String())
}
