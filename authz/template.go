package authz

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Placeholder is the part of a command that the caller chooses. No placeholder matches a word that begins with a dash
// or a dot, so the caller can add neither an option nor a path that leads upwards. A pass has these numbers
// (docs/protocol.md, section 9).
type Placeholder uint64

// The placeholders. The zero value is none.
const (
	AnyWord   Placeholder = 1 // 1 to 64 characters of a-z, A-Z, 0-9, _ . -
	AnyNumber Placeholder = 2 // 1 to 18 digits
)

// How policies and people write the placeholders.
const (
	anyWord   = "{word}"
	anyNumber = "{number}"
)

// Word is one word of a template: a literal, or a placeholder.
type Word struct {
	Literal     string
	Placeholder Placeholder // 0: the word is its literal
}

// Template is a command whose words are literals or placeholders. They are kept apart, so a literal that spells the
// name of a placeholder stays a literal.
type Template []Word

// parseTemplate reads a command as a policy writes it. There, {word} and {number} are placeholders, and no literal has
// braces, so that a misspelt placeholder is an error.
func parseTemplate(argv []string) (Template, error) {
	if err := checkArgv(argv); err != nil {
		return nil, err
	}
	out := make(Template, len(argv))
	for i, w := range argv {
		switch {
		case w == anyWord:
			out[i].Placeholder = AnyWord
		case w == anyNumber:
			out[i].Placeholder = AnyNumber
		case strings.ContainsAny(w, "{}"):
			return nil, fmt.Errorf("%q: a template knows only %s and %s, each as a whole argument",
				clip(w), anyWord, anyNumber)
		default:
			out[i].Literal = w
		}
	}
	return out, nil
}

// literals gives the template of one exact command.
func literals(argv []string) Template {
	out := make(Template, len(argv))
	for i, w := range argv {
		out[i].Literal = w
	}
	return out
}

// argv gives the words of an exact command.
func (t Template) argv() []string {
	out := make([]string, len(t))
	for i, w := range t {
		out[i] = w.Literal
	}
	return out
}

// exact reports whether the template is one command.
func (t Template) exact() bool {
	return !slices.ContainsFunc(t, func(w Word) bool { return w.Placeholder != 0 })
}

// fits reports whether a command fits the template. The words of the command are literals even if they spell a
// placeholder. Otherwise a permission to run the literal {word} would permit every word.
func (t Template) fits(argv []string) bool {
	if len(t) != len(argv) {
		return false
	}
	for i := range t {
		if !t[i].covers(Word{Literal: argv[i]}) {
			return false
		}
	}
	return true
}

// covers reports whether every command that fits u also fits t.
func (t Template) covers(u Template) bool {
	if len(t) != len(u) {
		return false
	}
	for i := range t {
		if !t[i].covers(u[i]) {
			return false
		}
	}
	return true
}

func (w Word) covers(v Word) bool {
	switch w.Placeholder {
	case AnyWord:
		return v.Placeholder != 0 || isWord(v.Literal)
	case AnyNumber:
		return v.Placeholder == AnyNumber || v.Placeholder == 0 && isNumber(v.Literal)
	}
	return w == v
}

// meet gives the commands that fit both; false if there are none.
func (t Template) meet(u Template) (Template, bool) {
	if len(t) != len(u) {
		return nil, false
	}
	out := slices.Clone(t)
	for i := range t {
		switch {
		case t[i].covers(u[i]):
			out[i] = u[i]
		case !u[i].covers(t[i]):
			return nil, false
		}
	}
	return out, true
}

// compare orders templates word by word: a placeholder before a literal, placeholders by number, literals by their
// bytes, and a template before a longer one that begins with it.
func (t Template) compare(u Template) int {
	return slices.CompareFunc(t, u, func(a, b Word) int {
		return cmp.Or(compareBool(a.Placeholder == 0, b.Placeholder == 0), cmp.Compare(a.Placeholder, b.Placeholder),
			strings.Compare(a.Literal, b.Literal))
	})
}

// String gives the command line as action words have it. Only placeholders have bare braces.
func (t Template) String() string {
	out := make([]string, len(t))
	for i, w := range t {
		if out[i] = w.inPolicy(); w.Placeholder == 0 {
			out[i] = quoteWord(w.Literal)
		}
	}
	return strings.Join(out, " ")
}

// inPolicy gives the word as a policy writes it.
func (w Word) inPolicy() string {
	switch w.Placeholder {
	case AnyWord:
		return anyWord
	case AnyNumber:
		return anyNumber
	}
	return w.Literal
}

func isWord(s string) bool {
	if s == "" || len(s) > 64 || s[0] == '-' || s[0] == '.' {
		return false
	}
	for _, r := range s {
		if !wordRune(r) {
			return false
		}
	}
	return true
}

func isNumber(s string) bool {
	if s == "" || len(s) > 18 {
		return false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}
