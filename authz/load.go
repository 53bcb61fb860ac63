package authz

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"

	"github.com/pelletier/go-toml/v2/unstable"
)

// File is one file's name, for problems, and its text.
type File struct {
	Name string
	Text []byte
}

// Load reads a policy out of one or more files, which together are one policy. Either there is a policy or
// there are problems, never both: a policy with a problem does not apply in part.
func Load(files ...File) (*Policy, Problems) { return load(files, asNew) }

func load(files []File, how reading) (*Policy, Problems) {
	l := &loader{how: how, p: &Policy{
		duties: map[Duty][]string{},
		hours:  map[string]*window{},
		roles:  map[string]*role{},
		byID:   map[string]*rule{},
	}}
	if len(files) == 0 {
		return nil, Problems{{File: "policy", Line: 1, Text: "there is no policy file", Write: "at least one file to load"}}
	}
	l.read(files)
	// What rules refer to is read from all files before the first rule, so files may be in any order.
	for _, section := range []func(*table){l.head, l.readLabels, l.readHours, l.readDuties, l.readSamePerson, l.readRoles, l.readRules} {
		for _, t := range l.files {
			section(t)
		}
	}
	for _, t := range l.files {
		t.done()
	}
	l.check()
	if len(l.problems) > 0 {
		l.problems.sort(files)
		return nil, l.problems
	}
	l.p.ignored.sort(files)
	l.p.sum = sum("sallyport/policy/v1", files)
	l.p.index = buildIndex(l.p.rules)
	return l.p, nil
}

func sum(purpose string, files []File) [32]byte {
	h := sha256.New()
	h.Write([]byte(purpose + "\x00"))
	for _, f := range files {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(f.Text))))
		h.Write(f.Text)
	}
	return [32]byte(h.Sum(nil))
}

type loader struct {
	p        *Policy
	problems Problems
	how      reading
	files    []*table
}

type place struct {
	file string
	line int
}

func (l *loader) report(at place, write, format string, args ...any) {
	l.problems = append(l.problems, Problem{File: at.file, Line: at.line, Text: fmt.Sprintf(format, args...), Write: write})
}

func (l *loader) read(files []File) {
	seen := map[string]bool{}
	for _, f := range files {
		if seen[f.Name] {
			l.report(place{f.Name, 1}, "it once", "the file is given twice")
			continue
		}
		seen[f.Name] = true
		root, problem := parse(f)
		if problem != nil {
			l.problems = append(l.problems, *problem)
			continue
		}
		l.files = append(l.files, &table{out: &l.problems, file: f.Name, what: "the policy", n: root})
	}
}

// head reads what stands at the top of a file.
func (l *loader) head(t *table) {
	if t.must("format", "format = 1") && t.number("format", 1, 1) != 1 {
		return
	}
	l.once(t, "name", &l.p.name)
	l.once(t, "contact", &l.p.contact)
	for _, n := range t.words("groups", `groups = ["technicians"]`) {
		switch {
		case checkGroup(n.text) != nil:
			t.problem(n.line, `a name as in "shift-leads"`, "groups: %v", checkGroup(n.text))
		case slices.Contains(l.p.groups, n.text):
			t.problem(n.line, "it once", "groups: %q is declared twice", n.text)
		default:
			l.p.groups = append(l.p.groups, n.text)
		}
	}
}

func (l *loader) once(t *table, key string, into *string) {
	s := t.sentence(key, key+` = "…"`)
	if s != "" && *into != "" {
		t.problem(t.line(key), "it in one file", "the policy has two keys %q", key)
	}
	*into = or(*into, s)
}

func checkGroup(s string) error {
	bad := s == "" || len(s) > 64 || s[0] == '-' || s == "everyone"
	for _, r := range s {
		bad = bad || !wordRune(r)
	}
	if bad {
		return fmt.Errorf("%q cannot name a group: 1 to 64 characters of a-z, A-Z, 0-9, _ . -, and not \"everyone\"", clip(s))
	}
	return nil
}

// readDuties reads [duties], by_token and never_together, which all name groups.
func (l *loader) readDuties(t *table) {
	l.readByToken(t)
	l.readNever(t)
	d := t.sub("duties", "[duties]")
	if d == nil {
		return
	}
	for _, duty := range duties {
		key := string(duty)
		names := l.groupsIn(d, key, key+` = ["administrators"]`)
		if names != nil && l.p.duties[duty] != nil {
			d.problem(d.line(key), "it in one file", "[duties] has two keys %q", key)
		}
		l.p.duties[duty] = append(l.p.duties[duty], names...)
	}
	l.readByToken(d)
	d.done()
}

func (l *loader) readByToken(t *table) {
	for _, n := range t.words("by_token", `by_token = ["approve", "review", "export"]`) {
		d := Duty(n.text)
		switch {
		case d != DutyApprove && d != DutyReview && d != DutyExport:
			t.problem(n.line, "approve, review or export", "by_token: %q is not a duty that an API token may be given", clip(n.text))
		case slices.Contains(l.p.byToken, d):
			t.problem(n.line, "it once", "by_token: %q stands there twice", n.text)
		default:
			l.p.byToken = append(l.p.byToken, d)
		}
	}
}

const neverExample = `never_together = [["compliance", "technicians"]]`

func (l *loader) readNever(t *table) {
	n := t.key("never_together")
	if n == nil {
		return
	}
	if n.kind != unstable.Array || len(n.list) == 0 {
		t.problem(n.line, neverExample, "never_together wants a list of lists of groups")
		return
	}
	for _, set := range n.list {
		line := set.line
		inner := &table{out: t.out, file: t.file, what: "never_together", n: &node{line: line, vals: map[string]*node{"never_together": set}}}
		names := l.groupsIn(inner, "never_together", neverExample)
		if set.kind == unstable.Array && len(set.list) == 1 {
			t.problem(line, neverExample, "never_together wants at least two groups")
		}
		l.p.never = append(l.p.never, names)
	}
}

// groupsIn reads a list of declared groups.
func (l *loader) groupsIn(t *table, key, write string) []string {
	var out []string
	for _, n := range t.words(key, write) {
		if l.declared(t, n, key) {
			out = append(out, n.text)
		}
	}
	return out
}

func (l *loader) declared(t *table, n *node, key string) bool {
	if slices.Contains(l.p.groups, n.text) {
		return true
	}
	write := near(n.text, l.p.groups)
	if write == "" {
		write = fmt.Sprintf("%q into groups = […] at the top, or one of %s", n.text, or(quoted(l.p.groups), "the groups declared there"))
	} else {
		write = fmt.Sprintf("%q", write)
	}
	t.problem(n.line, write, "%s: %s names the group %q, which is not declared", t.what, key, clip(n.text))
	return false
}

func (l *loader) readLabels(t *table) {
	all := t.sub("labels", "[labels]")
	if all == nil {
		return
	}
	for _, name := range all.n.keys {
		d := all.sub(name, fmt.Sprintf("the label %q", clip(name)))
		if d == nil {
			continue
		}
		def := labelDef{name: name, needed: d.flag("needed"), oneOf: texts(d.words("one_of", `one_of = ["press", "edge-router"]`)), line: d.n.line}
		d.done()
		switch {
		case checkLabel(name) != nil:
			d.problem(d.n.line, `a name as in "customer"`, "[labels]: %v", checkLabel(name))
		case l.p.labelDef(name) != nil:
			d.problem(d.n.line, "it once", "the label %q is declared twice", name)
		default:
			l.p.labels = append(l.p.labels, def)
		}
	}
}

func checkLabel(s string) error {
	bad := s == "" || len(s) > 63 || s[0] == '-'
	for _, r := range s {
		bad = bad || r != '-' && r != '_' && (r < 'a' || r > 'z') && (r < '0' || r > '9')
	}
	if bad {
		return fmt.Errorf("%q cannot name a label: 1 to 63 characters of a-z, 0-9, _ and -", clip(s))
	}
	return nil
}

func (l *loader) readHours(t *table) {
	all := t.sub("hours", "[hours]")
	if all == nil {
		return
	}
	for _, name := range all.n.keys {
		w := all.sub(name, fmt.Sprintf("[hours.%s]", clip(name)))
		if w == nil {
			continue
		}
		switch {
		case name == "always" || checkLabel(name) != nil:
			w.problem(w.n.line, "[hours.office]", "%q cannot name hours", clip(name))
		case l.p.hours[name] != nil:
			w.problem(w.n.line, "it once", "the hours %q are declared twice", name)
		}
		l.p.hours[name] = readWindow(w, name)
		w.done()
	}
}

func (l *loader) readRoles(t *table) {
	all := t.sub("role", "[role]")
	if all == nil {
		return
	}
	for _, name := range all.n.keys {
		r := all.sub(name, fmt.Sprintf("role %q", clip(name)))
		if r == nil {
			continue
		}
		switch {
		case checkLabel(name) != nil:
			r.problem(r.n.line, "[role.maintain]", "%q cannot name a role: a-z, 0-9, _ and -", clip(name))
		case l.p.roles[name] != nil:
			r.problem(r.n.line, "it once", "the role %q is declared twice", name)
		}
		l.p.roles[name] = l.readRole(r, name)
		l.p.roleOrder = append(l.p.roleOrder, name)
	}
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
