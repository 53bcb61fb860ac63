package authz

import "strings"

// Pattern is a set of actions: those that a role gives, that a require or deny rule is about, or that were approved.
type Pattern struct {
	kinds Kind // which kinds it covers
	any   bool // every action of these kinds
	arg   string
	run   Template // of Run: the commands

	everyLogin bool // of Run, in require and deny rules and in LoadPast: the command as any login; arg is empty
}

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
		return Pattern{kinds: a.Kind, arg: a.Arg}, err
	}
	login, argv, err := splitRun(arg)
	if err == nil {
		err = checkLogin(login)
	}
	if err != nil {
		return Pattern{}, err
	}
	template, err := parseTemplate(argv)
	return Pattern{kinds: k, arg: login, run: template}, err
}

// parseRestriction reads a pattern of a require or deny rule. There a command may name no login and then means every
// login, because absence only tightens: run:/bin/x.
func parseRestriction(text string) (Pattern, error) {
	command, ok := strings.CutPrefix(text, Run.Word()+":")
	if !ok || !strings.HasPrefix(command, "/") {
		return ParsePattern(text)
	}
	argv, err := splitWords(command)
	if err != nil {
		return Pattern{}, err
	}
	template, err := parseTemplate(argv)
	return Pattern{kinds: Run, run: template, everyLogin: true}, err
}

// gives widens a role's pattern by the actions that come with it: whoever may control a screen may also see it.
func (p Pattern) gives() Pattern {
	if p.kinds&DesktopControl != 0 {
		p.kinds |= DesktopView
	}
	return p
}

// restricts widens the pattern of a require or deny rule: whoever may not see a screen may not control it either.
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
		return (p.everyLogin || p.arg == a.Arg) && a.fits(p.run)
	case FilesRead, FilesWrite:
		return under(p.arg, a.Arg)
	}
	return p.arg == a.Arg
}

// Contains reports whether every action of q is one of p. Whoever may control a screen may also see it.
func (p Pattern) Contains(q Pattern) bool { p = p.gives(); return p.coversAll(&q) }

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
		return (p.everyLogin || !q.everyLogin && p.arg == q.arg) && p.run.covers(q.run)
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
	both, ok := p.run.meet(q.run)
	return Pattern{kinds: Run, arg: p.arg, run: both, everyLogin: p.everyLogin}, ok && (q.everyLogin || p.arg == q.arg)
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
		return k.Word() + ":" + p.run.String()
	}
	return Action{Kind: k, Arg: p.arg, template: p.run}.String()
}
