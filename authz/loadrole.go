package authz

import (
	"fmt"

	"github.com/pelletier/go-toml/v2/unstable"
)

const whyExample = `why = "one sentence for whoever reads this in a year"`

// readRole reads [role.NAME]. A role that gives nothing is refused: every rule about it could never match.
func readRole(t *table, name string) *role {
	r := &role{name: name, file: t.file, line: t.n.line}
	if t.must("why", whyExample) {
		r.why = t.sentence("why", whyExample)
	}
	if s := t.sub("shell", t.what+", shell"); s != nil {
		if s.must("as", `shell = { as = ["svc"] }`) {
			r.addWords(s, "as", Shell, `as = ["svc"]`)
		}
		s.done()
	}
	r.readRun(t)
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
	before := len(*t.out)
	t.done()
	if len(r.gives) == 0 && before == len(*t.out) {
		t.problem(t.n.line, `shell = { as = ["svc"] }, or run, files, ports, web, desktop`, "%s gives nothing, so no rule about it could ever match", t.what)
	}
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

const runExample = `run = [["/usr/bin/dpkg-query", "-W"]]`

// readRun reads exact commands: a list of lists of words.
func (r *role) readRun(t *table) {
	n := t.key("run")
	if n == nil {
		return
	}
	if n.kind != unstable.Array || len(n.list) == 0 {
		t.problem(n.line, runExample, "%s: run wants a list of commands, each a list of words", t.what)
		return
	}
	for _, c := range n.list {
		argv, err := commandWords(c)
		if err != nil {
			t.problem(c.line, runExample, "%s: run: %v", t.what, err)
			continue
		}
		r.add(Pattern{kinds: Run, argv: argv})
	}
}

func commandWords(n *node) ([]string, error) {
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
	return argv, checkTemplate(argv)
}
