package authz

import (
	"fmt"

	"github.com/pelletier/go-toml/v2/unstable"
)

const whyExample = `why = "one sentence for whoever reads this in a year"`

// readRole reads [role.NAME]. A role that gives nothing is refused: every rule about it could never match.
func (l *loader) readRole(t *table, name string) *role {
	r := &role{name: name, file: t.file, line: t.n.line}
	if t.must("why", whyExample) {
		r.why = t.sentence("why", whyExample)
	}
	before := len(*t.out)
	if s := t.sub("shell", t.what+", shell"); s != nil {
		if s.must("as", `shell = { as = ["svc"] }`) {
			r.addWords(s, "as", Shell, `as = ["svc"]`)
		}
		s.done()
	}
	l.readRun(t, r)
	if f := t.sub("files", t.what+", files"); f != nil {
		r.addWords(f, "read", FilesRead, `read = ["/var/log"]`)
		r.addWords(f, "write", FilesWrite, `write = ["/opt/incoming"]`)
		f.done()
	}
	r.addWords(t, "ports", Ports, `ports = ["127.0.0.1:8080"]`)
	r.addWords(t, "web", Web, `web = ["hmi"]`)
	switch t.oneOf("desktop", "view", "control") {
	case "view":
		r.add(Pattern{kinds: DesktopView, any: true})
	case "control":
		r.add(Pattern{kinds: DesktopControl, any: true})
	}
	t.done()
	// A role whose only key has a mistake gives nothing because of it: a second problem would lead away from the first.
	if len(r.gives) == 0 && before == len(*t.out) && r.ignored == "" {
		t.problem(t.n.line, `shell = { as = ["svc"] }, or run, files, ports, web, desktop`, "%s gives nothing, so no rule about it could ever match", t.what)
	}
	l.checkScopes(t, r)
	return r
}

func (r *role) add(p Pattern) {
	p = p.gives()
	r.gives = append(r.gives, p)
	r.kinds |= p.kinds
}

func (r *role) addWords(t *table, key string, k Kind, write string) {
	for _, n := range t.words(key, write) {
		if err := checkArg(k, n.text, nil); err != nil {
			t.problem(n.line, write, "%s: %v", t.what, err)
			continue
		}
		r.add(Pattern{kinds: k, arg: n.text})
	}
}

// RunForm shows how a role names exact commands and the logins that may run them.
const RunForm = `run = { as = ["svc"], argv = [["/usr/bin/dpkg-query", "-W"]] }`

// readRun reads exact commands and the logins that may run them.
func (l *loader) readRun(t *table, r *role) {
	n := t.key("run")
	switch {
	case n == nil:
	case n.kind == unstable.Array: // as earlier versions wrote it
		l.withoutLogin(t, n, r, t.commands("run", n))
	case !n.isTable():
		t.problem(n.line, RunForm, "%s: run wants a table", t.what)
	default:
		l.readRunTable(&table{out: t.out, file: t.file, what: t.what + ", run", n: n}, r)
	}
}

func (l *loader) readRunTable(s *table, r *role) {
	var commands []Template
	if s.must("argv", RunForm) {
		commands = s.commands("argv", s.key("argv"))
	}
	if !s.has("as") {
		s.known = append(s.known, "as")
		l.withoutLogin(s, s.n, r, commands)
	}
	for _, as := range s.words("as", RunForm) {
		if err := checkLogin(as.text); err != nil {
			s.problem(as.line, RunForm, "%s: %v", s.what, err)
			continue
		}
		for _, c := range commands {
			r.add(Pattern{kinds: Run, arg: as.text, run: c})
		}
	}
	s.done()
}

// commands reads a list of commands. Commands that are not written correctly are reported and left out.
func (t *table) commands(key string, n *node) []Template {
	if n.kind != unstable.Array || len(n.list) == 0 {
		t.problem(n.line, RunForm, "%s: %s wants a list of commands, each a list of words", t.what, key)
		return nil
	}
	var out []Template
	for _, c := range n.list {
		command, err := readCommand(c)
		if err != nil {
			t.problem(c.line, RunForm, "%s: %s: %v", t.what, key, err)
			continue
		}
		out = append(out, command)
	}
	return out
}

func readCommand(n *node) (Template, error) {
	if n.kind != unstable.Array || len(n.list) == 0 {
		return nil, fmt.Errorf("a command is a list of words")
	}
	var argv []string
	for _, w := range n.list {
		if w.kind != unstable.String {
			return nil, fmt.Errorf("a command is a list of words in quotes")
		}
		argv = append(argv, w.text)
	}
	return parseTemplate(argv)
}
