package authz

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Bounds of a scope, so that it fits into a pass.
const (
	MaxScope      = 64  // actions and templates together
	MaxActionWord = 500 // bytes of an action word, or of a template that is written as one
)

// Scope is the set of actions that one session may do: exact actions and command templates as one login. A pass
// carries it, so gateway, signer and device test each channel against the same set. A path of files.read or
// files.write includes everything below it. The zero Scope permits nothing. A Scope never changes.
type Scope struct {
	login     string
	actions   []Pattern  // exact, in ascending order of their words
	templates []Template // in ascending order
}

// Limits are the strictest limits of the actions in a scope.
type Limits struct {
	Until          time.Time // when the first of the actions expires; zero: the policy sets no end
	SessionsAtOnce int       // on the device, this one included; 0: no limit
	Attended       bool      // a require rule demands a person beside the device
}

// newScope makes a scope of patterns of one login. Each pattern is an exact action, a template or a path.
func newScope(login string, ps []Pattern) Scope {
	s := Scope{login: login}
	for _, p := range ps {
		if p.kinds == Run && !p.run.exact() {
			s.templates = append(s.templates, p.run)
		} else {
			s.actions = append(s.actions, p)
		}
	}
	slices.SortFunc(s.actions, func(a, b Pattern) int { return strings.Compare(a.String(), b.String()) })
	s.actions = slices.CompactFunc(s.actions, func(a, b Pattern) bool { return a.String() == b.String() })
	slices.SortFunc(s.templates, Template.compare)
	s.templates = slices.CompactFunc(s.templates, func(a, b Template) bool { return a.compare(b) == 0 })
	return s
}

// Login is the login that the session's programs run as.
func (s Scope) Login() string { return s.login }

// Actions gives the exact actions as action words, in ascending order of their bytes.
func (s Scope) Actions() []string {
	out := make([]string, len(s.actions))
	for i := range s.actions {
		out[i] = s.actions[i].String()
	}
	return out
}

// Templates gives the command templates in ascending order: word by word, a placeholder before a literal, placeholders
// by number, literals by their bytes, and a template before a longer one that begins with it.
func (s Scope) Templates() []Template { return slices.Clone(s.templates) }

// Words gives the actions and then the templates for people, with {word} and {number} for placeholders. A literal with
// that spelling is in quotes.
func (s Scope) Words() []string {
	out := s.Actions()
	for _, t := range s.templates {
		out = append(out, Pattern{kinds: Run, arg: s.login, run: t}.String())
	}
	return out
}

// Kinds gives the kinds of action that the scope has, as bits.
func (s Scope) Kinds() Kind {
	var k Kind
	for i := range s.actions {
		k |= s.actions[i].kinds
	}
	if len(s.templates) > 0 {
		k |= Run
	}
	return k
}

// Covers reports whether the scope permits an action.
func (s Scope) Covers(a Action) bool {
	if slices.ContainsFunc(s.actions, func(p Pattern) bool { return p.covers(&a) }) {
		return true
	}
	return a.Kind == Run && a.Arg == s.login && slices.ContainsFunc(s.templates, a.fits)
}

// EntryFor gives the entry by which the scope covers an action, as Words has it: an exact action before a template. It is
// empty if the scope does not cover the action.
func (s Scope) EntryFor(a Action) string {
	for _, p := range s.patterns() {
		if p.covers(&a) {
			return p.String()
		}
	}
	return ""
}

// Equal reports whether two scopes name the same actions and templates as the same login.
func (s Scope) Equal(o Scope) bool {
	return s.login == o.login && slices.Equal(s.Words(), o.Words())
}

// ParseScope makes a scope of its parts, as Login, Actions and Templates give them. It accepts exactly one encoding
// of each scope. It returns an error if the scope is empty or has more than MaxScope entries, if an entry is out of
// order or occurs twice, if a kind, placeholder or spelling is unknown, or if an action is as another login.
func ParseScope(login string, actions []string, templates []Template) (Scope, error) {
	s := Scope{login: login, templates: slices.Clone(templates)}
	if err := checkLogin(login); err != nil {
		return Scope{}, err
	}
	if n := len(actions) + len(templates); n == 0 || n > MaxScope {
		return Scope{}, fmt.Errorf("%d actions, and a scope has 1 to %d", n, MaxScope)
	}
	for i, word := range actions {
		p, err := exactPattern(word, login)
		if err != nil {
			return Scope{}, err
		}
		if i > 0 && word <= actions[i-1] {
			return Scope{}, errors.New("the actions are not in ascending order")
		}
		s.actions = append(s.actions, p)
	}
	for i, t := range templates {
		if err := t.check(login); err != nil {
			return Scope{}, err
		}
		if i > 0 && t.compare(templates[i-1]) <= 0 {
			return Scope{}, errors.New("the templates are not in ascending order")
		}
	}
	return s, nil
}

func exactPattern(word, login string) (Pattern, error) {
	a, err := ParseAction(word)
	switch {
	case err != nil:
		return Pattern{}, err
	case a.String() != word || !nameable(word):
		return Pattern{}, fmt.Errorf("%q is not the one spelling of an action", clip(word))
	case a.Login() != "" && a.Login() != login:
		return Pattern{}, fmt.Errorf("%q is an action as another login than %s", clip(word), login)
	}
	return a.pattern(), nil
}

// pattern gives the pattern that matches only this action.
func (a *Action) pattern() Pattern {
	p := Pattern{kinds: a.Kind, arg: a.Arg, run: a.template}
	if a.Kind == Run && a.template == nil {
		p.run = literals(a.Argv)
	}
	p.any = a.Arg == "" // only a screen has no argument
	return p
}

// check tests a template of a scope. Its literals may have braces, which a policy does not allow.
func (t Template) check(login string) error {
	for _, w := range t {
		if w.Placeholder > AnyNumber || w.Placeholder != 0 && w.Literal != "" {
			return fmt.Errorf("a template has an unknown placeholder")
		}
	}
	word := Pattern{kinds: Run, arg: login, run: t}.String()
	switch {
	case t.exact():
		return fmt.Errorf("%q is an exact command, and not a template", clip(word))
	case !nameable(word):
		return fmt.Errorf("%q is too long, or has characters that do not show", clip(word))
	}
	return checkArgv(t.argv())
}

// nameable reports whether a pass can carry this action word.
func nameable(word string) bool { return len(word) <= MaxActionWord && plain(word) }
