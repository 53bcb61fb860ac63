// Package programtest holds the table by which gateway, signer and device are tested on one question: by which action
// may a program start? They once had a copy of the answer each, and the copies differed.
//
// Each case gives rights and a program. Gateway and signer are given the rights as a policy, the device as a pass, and
// all must answer alike. Only tests import it.
package programtest

import (
	"fmt"
	"strings"

	"github.com/sallyport/sallyport/authz"
)

// Case is one program under some rights.
type Case struct {
	Name    string
	Allowed []string // action words that a rule, or a pass, gives
	Program authz.Program
	Line    string // the program's command as the gateway sends it to the device; empty: a shell
	Want    string // the action word by which the program starts; empty: it is refused
}

var (
	uptime  = []string{"/usr/bin/uptime", "-p"}
	program = func(login string, argv ...string) authz.Program { return authz.Program{Login: login, Argv: argv} }
	inTerm  = func(p authz.Program) authz.Program { p.Terminal = true; return p }
)

// Cases is the table.
var Cases = []Case{
	{"a shell", []string{"shell:svc"}, program("svc"), "", "shell:svc"},
	{"a shell as another login", []string{"shell:svc"}, program("root"), "", ""},
	{"any command of a shell", []string{"shell:svc"}, program("svc", "ls", "a b"), "ls 'a b'", "shell:svc"},
	{"an exact command", []string{"run:svc /usr/bin/uptime -p"}, program("svc", uptime...), "/usr/bin/uptime -p",
		"run:svc /usr/bin/uptime -p"},
	{"an exact command as root by a rule that names svc", []string{"run:svc /usr/bin/uptime -p"},
		program("root", uptime...), "/usr/bin/uptime -p", ""},
	{"an exact command of another login beside a shell", []string{"run:svc /usr/bin/uptime -p", "shell:root"},
		program("root", uptime...), "/usr/bin/uptime -p", "shell:root"},
	{"the exact command before the shell", []string{"shell:svc", "run:svc /usr/bin/uptime -p"},
		program("svc", uptime...), "/usr/bin/uptime -p", "run:svc /usr/bin/uptime -p"},
	{"an exact command in a terminal", []string{"run:svc /usr/bin/uptime -p"}, inTerm(program("svc", uptime...)),
		"/usr/bin/uptime -p", ""},
	{"an exact command in a terminal beside a shell", []string{"shell:svc", "run:svc /usr/bin/uptime -p"},
		inTerm(program("svc", uptime...)), "/usr/bin/uptime -p", "shell:svc"},
	{"another command", []string{"run:svc /usr/bin/uptime -p"}, program("svc", "/usr/bin/uptime", "-s"),
		"/usr/bin/uptime -s", ""},
	{"no command where only one is given", []string{"run:svc /usr/bin/uptime -p"}, program("svc"), "", ""},
	{"a word for a place", []string{"run:svc /bin/x {word}"}, program("svc", "/bin/x", "a.b"), "/bin/x a.b",
		"run:svc /bin/x a.b"},
	{"a place's name for a place", []string{"run:svc /bin/x {word}"}, program("svc", "/bin/x", "{word}"),
		"/bin/x '{word}'", ""},
	{"an option for a place", []string{"run:svc /bin/x {word}"}, program("svc", "/bin/x", "-v"), "/bin/x -v", ""},
	{"words that a shell would read", []string{"run:svc /bin/x 'a;b' '$HOME'"}, program("svc", "/bin/x", "a;b", "$HOME"),
		"/bin/x 'a;b' '$HOME'", "run:svc /bin/x a;b $HOME"},
	{"a word with quotes", []string{`run:svc /bin/x 'it'\''s'`}, program("svc", "/bin/x", "it's"), `/bin/x 'it'\''s'`,
		`run:svc /bin/x 'it'\''s'`},
	{"a word without login of an earlier release", []string{"run:/usr/bin/uptime -p"}, program("svc", uptime...),
		"/usr/bin/uptime -p", ""},
}

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
	return fmt.Sprintf(policy, role)
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
`

func wordList(command string) string {
	var words []string
	for _, w := range authz.SplitCommand(command) {
		words = append(words, fmt.Sprintf("%q", w))
	}
	return "[" + strings.Join(words, ", ") + "]"
}
