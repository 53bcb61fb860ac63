package authz

import (
	"fmt"
	"slices"
	"strings"
)

// Pattern is a set of actions: what a role gives, what a require or deny rule is about, what was approved.
type Pattern struct {
	kinds Kind // which kinds it covers
	any   bool // every action of these kinds
	arg   string
	argv  []string

	everyLogin bool // of Run, in require and deny rules and in LoadPast: the command as any login; arg is empty
}

// The places in a command template that stand for one word of the caller's choice. Neither can begin with a
// dash or a dot, so that no template turns into an option or a way up.
const (
	anyWord   = "{word}"   // 1 to 64 characters of a-z, A-Z, 0-9, _ . -
	anyNumber = "{number}" // 1 to 18 digits
)

// ParsePattern reads what ParseAction reads, and also a bare kind (shell: every login), and * for everything.
// To see a screen is part of controlling it, so desktop.view in a rule that forbids covers control as well;
// that is the reader of the rule's business, see restricts and gives.
func ParsePattern(text string) (Pattern, error) {
	if text == "*" {
		return Pattern{kinds: everyKind, any: true}, nil
	}
	if k, _, ok := kindOf(text); ok {
		return Pattern{kinds: k, any: true}, nil
	}
	word, arg, _ := strings.Cut(text, ":")
	k, wants, ok := kindOf(word)
	if !ok || wants == "" || k != Run {
		a, err := ParseAction(text)
		return Pattern{kinds: a.Kind, arg: a.Arg, argv: a.Argv}, err
	}
	login, argv, err := splitRun(arg)
	if err == nil {
		err = checkLogin(login)
	}
	if err == nil {
		err = checkTemplate(argv)
	}
	return Pattern{kinds: k, arg: login, argv: argv}, err
}

// parseRestriction reads a pattern of a require or deny rule. There a command may name no login and then means every
// login, because absence only tightens: run:/bin/x.
func parseRestriction(text string) (Pattern, error) {
	command, ok := strings.CutPrefix(text, Run.Word()+":")
	if !ok || !strings.HasPrefix(command, "/") {
		return ParsePattern(text)
	}
	argv, err := splitWords(command)
	if err == nil {
		err = checkTemplate(argv)
	}
	return Pattern{kinds: Run, argv: argv, everyLogin: true}, err
}

func checkTemplate(argv []string) error {
	if err := checkArgv(argv); err != nil {
		return err
	}
	for i, w := range argv {
		whole := w == anyWord || w == anyNumber
		if i == 0 && strings.ContainsAny(w, "{}") || !whole && strings.ContainsAny(w, "{}") {
			return fmt.Errorf("%q: a template knows only %s and %s, each as a whole argument", clip(w), anyWord, anyNumber)
		}
	}
	return nil
}

// gives widens a role's pattern to what comes with it: who may control a screen sees it.
func (p Pattern) gives() Pattern {
	if p.kinds&DesktopControl != 0 {
		p.kinds |= DesktopView
	}
	return p
}

// restricts widens a require or deny rule's pattern: who may not see a screen may not control it.
func (p Pattern) restricts() Pattern {
	if p.kinds&DesktopView != 0 {
		p.kinds |= DesktopControl
	}
	return p
}

func (p *Pattern) covers(a *Action) bool {
	if p.kinds&a.Kind == 0 {
		return false
	}
	if p.any {
		return true
	}
	switch a.Kind {
	case Run:
		return (p.everyLogin || p.arg == a.Arg) && fits(p.argv, a.Argv, a.places)
	case FilesRead, FilesWrite:
		return under(p.arg, a.Arg)
	}
	return p.arg == a.Arg
}

// coversAll reports whether every action of q is one of p.
func (p *Pattern) coversAll(q *Pattern) bool {
	if q.kinds&^p.kinds != 0 {
		return false
	}
	switch {
	case p.any:
		return true
	case q.any:
		return false
	case q.kinds&Run != 0:
		return (p.everyLogin || !q.everyLogin && p.arg == q.arg) && fits(p.argv, q.argv, true)
	case q.kinds&(FilesRead|FilesWrite) != 0:
		return under(p.arg, q.arg)
	}
	return p.arg == q.arg
}

// meet gives the actions that are in both patterns; false if there are none.
func (p Pattern) meet(q Pattern) (Pattern, bool) {
	both := p.kinds & q.kinds
	if p.any || !q.any && both&(FilesRead|FilesWrite) != 0 && under(p.arg, q.arg) {
		p, q = q, p // p is the narrower
	}
	p.kinds = both
	switch {
	case both == 0:
		return Pattern{}, false
	case q.any:
		return p, true
	case both&Run != 0:
		return p.meetRun(q)
	case both&(FilesRead|FilesWrite) != 0:
		return p, under(q.arg, p.arg)
	}
	return p, p.arg == q.arg
}

// meetRun gives the commands of one login that are in both patterns.
func (p Pattern) meetRun(q Pattern) (Pattern, bool) {
	if p.everyLogin {
		p, q = q, p // p names a login, if one of them does
	}
	argv, ok := meetArgv(p.argv, q.argv)
	return Pattern{kinds: Run, arg: p.arg, argv: argv, everyLogin: p.everyLogin}, ok && (q.everyLogin || p.arg == q.arg)
}

// meetArgv gives the template of the commands that fit both.
func meetArgv(a, b []string) ([]string, bool) {
	if len(a) != len(b) {
		return nil, false
	}
	out := slices.Clone(a)
	for i := range a {
		switch {
		case fitsWord(a[i], b[i], true):
			out[i] = b[i]
		case !fitsWord(b[i], a[i], true):
			return nil, false
		}
	}
	return out, true
}

// fits matches a command against a template word by word. With places the command is a template as well, and whatever it
// stands for has to fit. Without, a place's own name is a word like another, and no place stands for it: a question
// holds no places, or its answer would be about more than was asked.
func fits(template, argv []string, places bool) bool {
	if len(template) != len(argv) {
		return false
	}
	for i, t := range template {
		if !fitsWord(t, argv[i], places) {
			return false
		}
	}
	return true
}

func fitsWord(t, w string, places bool) bool {
	switch t {
	case anyWord:
		return isWord(w) || places && (w == anyWord || w == anyNumber)
	case anyNumber:
		return isNumber(w) || places && w == anyNumber
	}
	return t == w
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

// under reports whether a clean path is a directory or below it.
func under(dir, p string) bool {
	return p == dir || dir == "/" || len(p) > len(dir) && p[len(dir)] == '/' && p[:len(dir)] == dir
}

// String gives the word that ParsePattern reads.
func (p Pattern) String() string {
	if p.kinds == everyKind {
		return "*"
	}
	k := p.kinds
	if k&DesktopControl != 0 && k != DesktopControl {
		k = DesktopControl // with view: the stronger word
	}
	if p.any {
		return k.Word()
	}
	if p.everyLogin {
		return k.Word() + ":" + joinWords(p.argv)
	}
	return Action{Kind: k, Arg: p.arg, Argv: p.argv}.String()
}
