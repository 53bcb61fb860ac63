// Package programtest holds the table by which gateway, signer and device are tested on one question: by which action
// may a program start? They once had a copy of the answer each, and the copies differed.
//
// Each case gives rights and a program, with which a session begins. Gateway and signer are given the rights as a policy,
// the device as a pass, and all must answer alike, also about further programs in the same session. Only tests import
// it.
package programtest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/authz"
)

// Case is one program under some rights.
type Case struct {
	Name    string
	Allowed []string // action words that a rule gives, with {word} and {number} for placeholders
	Program authz.Program
	Line    string // the program's command as the gateway sends it to the device; empty: a shell
	Want    string // the action word by which the program starts; empty: it is refused

	Denied  []string  // what a deny rule is about
	Pass    []string  // what the pass of the session names; nil: all that is allowed as the program's login
	Further []Further // programs that are started in the session later
}

// Further is a program that is started in a session that another one began.
type Further struct {
	Program authz.Program
	Line    string
	Want    string
}

var (
	uptime  = []string{"/usr/bin/uptime", "-p"}
	program = func(login string, argv ...string) authz.Program { return authz.Program{Login: login, Argv: argv} }
	inTerm  = func(p authz.Program) authz.Program { p.Terminal = true; return p }
)

// Cases is the table.
var Cases = []Case{
	one("a shell", []string{"shell:svc"}, program("svc"), "", "shell:svc"),
	one("a shell as another login", []string{"shell:svc"}, program("root"), "", ""),
	one("any command of a shell", []string{"shell:svc"}, program("svc", "ls", "a b"), "ls 'a b'", "shell:svc"),
	one("an exact command", []string{"run:svc /usr/bin/uptime -p"}, program("svc", uptime...), "/usr/bin/uptime -p",
		"run:svc /usr/bin/uptime -p"),
	one("an exact command as root by a rule that names svc", []string{"run:svc /usr/bin/uptime -p"},
		program("root", uptime...), "/usr/bin/uptime -p", ""),
	one("an exact command of another login beside a shell", []string{"run:svc /usr/bin/uptime -p", "shell:root"},
		program("root", uptime...), "/usr/bin/uptime -p", "shell:root"),
	one("the exact command before the shell", []string{"shell:svc", "run:svc /usr/bin/uptime -p"},
		program("svc", uptime...), "/usr/bin/uptime -p", "run:svc /usr/bin/uptime -p"),
	one("an exact command in a terminal", []string{"run:svc /usr/bin/uptime -p"}, inTerm(program("svc", uptime...)),
		"/usr/bin/uptime -p", ""),
	one("an exact command in a terminal beside a shell", []string{"shell:svc", "run:svc /usr/bin/uptime -p"},
		inTerm(program("svc", uptime...)), "/usr/bin/uptime -p", "shell:svc"),
	one("another command", []string{"run:svc /usr/bin/uptime -p"}, program("svc", "/usr/bin/uptime", "-s"),
		"/usr/bin/uptime -s", ""),
	one("no command where only one is given", []string{"run:svc /usr/bin/uptime -p"}, program("svc"), "", ""),
	one("a word for a place", []string{"run:svc /bin/x {word}"}, program("svc", "/bin/x", "a.b"), "/bin/x a.b",
		"run:svc /bin/x a.b"),
	one("a place's name for a place", []string{"run:svc /bin/x {word}"}, program("svc", "/bin/x", "{word}"),
		"/bin/x '{word}'", ""),
	one("an option for a place", []string{"run:svc /bin/x {word}"}, program("svc", "/bin/x", "-v"), "/bin/x -v", ""),
	one("words that a shell would read", []string{"run:svc /bin/x 'a;b' '$HOME'"}, program("svc", "/bin/x", "a;b", "$HOME"),
		"/bin/x 'a;b' '$HOME'", "run:svc /bin/x a;b $HOME"),
	one("a word with quotes", []string{`run:svc /bin/x 'it'\''s'`}, program("svc", "/bin/x", "it's"), `/bin/x 'it'\''s'`,
		`run:svc /bin/x 'it'\''s'`),
	one("a word without login of an earlier release", []string{"run:/usr/bin/uptime -p"}, program("svc", uptime...),
		"/usr/bin/uptime -p", ""),
	{Name: "a session with a shell and commands", Allowed: []string{"shell:svc", "shell:root", "run:svc /bin/x {word}",
		"run:svc /usr/bin/uptime -p"}, Program: program("svc"), Want: "shell:svc",
		Pass: []string{"run:svc /usr/bin/uptime -p", "shell:svc", "run:svc /bin/x {word}"},
		Further: []Further{
			{program("svc", uptime...), "/usr/bin/uptime -p", "run:svc /usr/bin/uptime -p"},
			{program("svc", "/bin/x", "go"), "/bin/x go", "run:svc /bin/x go"},
			{program("svc", "/bin/x", "-v"), "/bin/x -v", "shell:svc"},
			{program("root"), "", ""},
			{program("root", "/bin/x", "go"), "/bin/x go", ""},
		}},
	{Name: "a session with commands alone", Allowed: []string{"run:svc /bin/x {word}", "run:svc /bin/y {number} 'a b'"},
		Program: program("svc", "/bin/x", "go"), Line: "/bin/x go", Want: "run:svc /bin/x go",
		Further: []Further{
			{program("svc"), "", ""},
			{program("svc", "/bin/x", "stop"), "/bin/x stop", "run:svc /bin/x stop"},
			{inTerm(program("svc", "/bin/x", "stop")), "/bin/x stop", ""},
			{program("svc", "/bin/x", "{word}"), "/bin/x '{word}'", ""},
			{program("svc", "/bin/y", "7", "a b"), "/bin/y 7 'a b'", "run:svc /bin/y 7 'a b'"},
			{program("svc", "/bin/y", "seven", "a b"), "/bin/y seven 'a b'", ""},
			{program("svc", "/bin/z"), "/bin/z", ""},
		}},
	{Name: "a template of which a command is denied", Allowed: []string{"run:svc /bin/x {word}", "run:svc /bin/y"},
		Denied: []string{"run:/bin/x stop"}, Program: program("svc", "/bin/x", "go"), Line: "/bin/x go",
		Want: "run:svc /bin/x go", Pass: []string{"run:svc /bin/x go", "run:svc /bin/y"},
		Further: []Further{
			{program("svc", "/bin/y"), "/bin/y", "run:svc /bin/y"},
			{program("svc", "/bin/x", "stop"), "/bin/x stop", ""},
			{program("svc", "/bin/x", "on"), "/bin/x on", ""},
		}},
	{Name: "a denied shell", Allowed: []string{"shell:svc", "run:svc /bin/y"}, Denied: []string{"shell"},
		Program: program("svc", "/bin/y"), Line: "/bin/y", Want: "run:svc /bin/y", Pass: []string{"run:svc /bin/y"},
		Further: []Further{{program("svc"), "", ""}, {program("svc", "ls"), "ls", ""}}},
}

func one(name string, allowed []string, p authz.Program, line, want string) Case {
	return Case{Name: name, Allowed: allowed, Program: p, Line: line, Want: want}
}

// Scope gives what the pass of a session has that begins with the case's program.
func (c Case) Scope() authz.Scope {
	words := c.Pass
	if words == nil {
		words = c.Allowed
	}
	return Scope(c.Program.Login, words...)
}

// Scope makes a scope of action words, as far as they are of this login. Bare {word} and {number} are placeholders, and
// in quotes they are literals. Words that are none are left out.
func Scope(login string, words ...string) authz.Scope {
	var actions []string
	var templates []authz.Template
	for _, word := range slices.Sorted(slices.Values(words)) {
		as, command, _ := strings.Cut(strings.TrimPrefix(word, "run:"), " ")
		if t := template(command); strings.HasPrefix(word, "run:") && slices.ContainsFunc(t, isPlaceholder) {
			if as == login {
				templates = append(templates, t)
			}
		} else if a, err := authz.ParseAction(word); err == nil && (a.Login() == "" || a.Login() == login) {
			actions = append(actions, a.String())
		}
	}
	s, err := authz.ParseScope(login, actions, templates)
	if err != nil && len(actions)+len(templates) > 0 {
		panic(err) // the table is wrong
	}
	return s
}

func template(command string) authz.Template {
	var out authz.Template
	quoted := false
	for _, text := range strings.FieldsFunc(command, func(r rune) bool {
		quoted = quoted != (r == '\'')
		return r == ' ' && !quoted
	}) {
		switch text {
		case "{word}":
			out = append(out, authz.Word{Placeholder: authz.AnyWord})
		case "{number}":
			out = append(out, authz.Word{Placeholder: authz.AnyNumber})
		default:
			out = append(out, authz.Word{Literal: strings.Join(authz.SplitCommand(text), " ")})
		}
	}
	return out
}

func isPlaceholder(w authz.Word) bool { return w.Placeholder != 0 }

// Policy writes the policy that gives technicians what the case allows, everywhere and always. Words of an earlier
// release become a rule of an earlier release, which only a stored policy can have.
func (c Case) Policy() string {
	var shells, runs []string
	login, stored := "", false
	for _, word := range c.Allowed {
		kind, arg, _ := strings.Cut(word, ":")
		switch as, command, _ := strings.Cut(arg, " "); {
		case kind == authz.Shell.Word():
			shells = append(shells, fmt.Sprintf("%q", arg))
		case strings.HasPrefix(arg, "/"):
			runs, stored = append(runs, wordList(arg)), true
		default:
			runs, login = append(runs, wordList(command)), as // the table has one login in a case
		}
	}
	role := ""
	if len(shells) > 0 {
		role += fmt.Sprintf("shell = { as = [%s] }\n", strings.Join(shells, ", "))
	}
	switch {
	case stored:
		role += fmt.Sprintf("run = [%s]\n", strings.Join(runs, ", "))
	case len(runs) > 0:
		role += fmt.Sprintf("run = { as = [%q], argv = [%s] }\n", login, strings.Join(runs, ", "))
	}
	deny := ""
	if len(c.Denied) > 0 {
		deny = fmt.Sprintf("[[deny]]\nid = \"D1\"\nwhy = \"made\"\nactions = [%s]\n", quoted(c.Denied))
	}
	return fmt.Sprintf(policy, role, deny)
}

const policy = `format = 1
name = "made"
groups = ["technicians", "administrators"]
[duties]
administer = ["administrators"]
[labels]
hall = {}
[role.made]
why = "made"
%s[[allow]]
id = "A1"
why = "made"
who = ["technicians"]
role = "made"
devices = "all"
hours = "always"
%s`

func wordList(command string) string { return "[" + quoted(authz.SplitCommand(command)) + "]" }

func quoted(words []string) string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = fmt.Sprintf("%q", w)
	}
	return strings.Join(out, ", ")
}
