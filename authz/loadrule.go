package authz

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

// readRules reads [[allow]], [[request]], [[require]] and [[deny]].
func (l *loader) readRules(t *table) {
	for _, k := range []ruleKind{allow, request, require, deny} {
		for _, r := range t.subs(k.String(), "[["+k.String()+"]]") {
			l.readRule(r, k)
		}
	}
}

func (l *loader) readRule(t *table, k ruleKind) {
	r := &rule{kind: k, file: t.file, line: t.n.line, kinds: everyKind}
	if t.must("id", fmt.Sprintf("id = %q", map[ruleKind]string{allow: "A1", request: "R1", require: "G1", deny: "D1"}[k])) {
		r.id = t.str("id", `id = "A1"`)
		t.what = fmt.Sprintf("%s %q", k, clip(r.id))
		l.takeID(t, r)
	}
	if t.must("why", whyExample) {
		r.why = t.sentence("why", whyExample)
	}
	l.readWho(t, r)
	l.readDevices(t, r)
	switch k {
	case allow:
		l.readAllow(t, r)
	case request:
		l.readRequest(t, r)
	case require:
		l.readAbout(t, r)
		l.readNeed(t, r)
	case deny:
		l.readAbout(t, r)
		r.onlyEmergency = t.flag("only_emergency")
	}
	t.done()
	l.p.rules = append(l.p.rules, r)
}

func (l *loader) takeID(t *table, r *rule) {
	bad := len(r.id) > 32
	for _, c := range r.id {
		bad = bad || !wordRune(c)
	}
	first := l.p.byID[r.id]
	switch {
	case r.id == "":
	case bad:
		t.problem(t.line("id"), `id = "A1"`, "%s: an id has 1 to 32 characters of a-z, A-Z, 0-9, _ . -", t.what)
	case first != nil:
		t.problem(t.line("id"), "another id", "the id %q is taken by the %s rule at %s:%d", r.id, first.kind, first.file, first.line)
	default:
		l.p.byID[r.id] = r
	}
}

const whoExample = `who = ["technicians"], or who = "everyone"`

// readWho reads who and for. In allow and request rules who must be there; elsewhere its absence means all.
func (l *loader) readWho(t *table, r *rule) {
	if !r.opens() {
		switch t.oneOf("for", "people", "machines") {
		case "people":
			r.only = peopleOnly
		case "machines":
			r.only = machinesOnly
		}
	}
	if !t.has("who") {
		r.everyone = !r.opens() || !t.must("who", whoExample)
		t.known = append(t.known, "who")
		return
	}
	if n := t.n.vals["who"]; n.kind == unstable.String {
		t.known = append(t.known, "who")
		if r.everyone = n.text == "everyone"; !r.everyone {
			t.problem(n.line, whoExample, "%s: who wants a list, or \"everyone\"", t.what)
		}
		return
	}
	for _, n := range t.words("who", whoExample) {
		if l.subject(t, n) {
			r.who = append(r.who, n.text)
		}
	}
}

func (l *loader) subject(t *table, n *node) bool {
	if name, ok := strings.CutPrefix(n.text, machinePrefix); ok {
		if checkPage(name) != nil {
			t.problem(n.line, `"machine:inventory-job"`, "%s: %q does not name a machine", t.what, clip(n.text))
			return false
		}
		return true
	}
	switch n.text {
	case "everyone":
		t.problem(n.line, `who = "everyone", without a list`, "%s: \"everyone\" does not stand in a list", t.what)
		return false
	case "@owner":
		t.problem(n.line, `a group; "@owner" may agree and be told`, "%s: who cannot be %q", t.what, n.text)
		return false
	}
	return l.declared(t, n, "who")
}

const devicesExample = `devices = { kind = "press" }, or devices = "all"`

func (l *loader) readDevices(t *table, r *rule) {
	if !t.has("devices") {
		if r.opens() {
			t.must("devices", devicesExample)
		}
		t.known = append(t.known, "devices")
		return
	}
	n := t.key("devices")
	switch {
	case n.kind == unstable.String && n.text == "all":
	case n.isTable() && len(n.keys) > 0:
		for _, label := range n.keys {
			if c, ok := l.readCondition(t, label, n.vals[label]); ok {
				r.devices = append(r.devices, c)
			}
		}
		slices.SortFunc(r.devices, func(a, b condition) int { return strings.Compare(a.label, b.label) })
	default:
		t.problem(n.line, devicesExample, "%s: devices wants at least one label, or \"all\"", t.what)
	}
}

func (l *loader) readCondition(t *table, label string, n *node) (condition, bool) {
	def := l.p.labelDef(label)
	if def == nil {
		write := near(label, l.p.labelNames())
		if write == "" {
			write = fmt.Sprintf("%s = {} into [labels], or one of %s", clip(label), or(strings.Join(l.p.labelNames(), ", "), "the labels declared there"))
		}
		t.problem(n.line, write, "%s: devices names the label %q, which is not declared", t.what, clip(label))
		return condition{}, false
	}
	c := condition{label: label}
	one := &table{out: t.out, file: t.file, what: t.what, n: &node{line: n.line, vals: map[string]*node{label: n}}}
	write := fmt.Sprintf("%s = %q", label, or(strings.Join(def.oneOf[:min(1, len(def.oneOf))], ""), "…"))
	values := []*node{n}
	switch {
	case n.kind == unstable.String && n.text == "*":
		return c, true
	case n.kind == unstable.String && n.text == "" || n.kind != unstable.String && n.kind != unstable.Array:
		t.problem(n.line, write, "%s: the label %q wants a value in quotes, a list of them, or \"*\"", t.what, label)
		return c, false
	case n.kind == unstable.Array:
		values = one.words(label, write)
	}
	for _, v := range values {
		if !def.knows(v.text) || v.text == "*" {
			t.problem(v.line, or(nearestQuoted(v.text, def.oneOf), "one of "+quoted(def.oneOf)), "%s: the label %q has no value %q", t.what, label, clip(v.text))
			continue
		}
		c.values = append(c.values, v.text)
	}
	return c, c.values != nil
}

func nearestQuoted(word string, known []string) string {
	if n := near(word, known); n != "" {
		return fmt.Sprintf("%q", n)
	}
	return ""
}

func (l *loader) readRoleName(t *table, r *rule) {
	if !t.must("role", `role = "diagnose"`) {
		return
	}
	name := t.str("role", `role = "diagnose"`)
	if r.role = l.p.roles[name]; r.role == nil && name != "" {
		write := or(nearestQuoted(name, l.p.roleOrder), fmt.Sprintf("[role.%s] for it, or one of %s", clip(name), or(quoted(l.p.roleOrder), "the roles declared")))
		t.problem(t.line("role"), write, "%s: there is no role %q", t.what, clip(name))
	}
}

func (l *loader) readAllow(t *table, r *rule) {
	l.readRoleName(t, r)
	l.readExpiry(t, r)
	if t.must("hours", `hours = "always", or the name of [hours.…]`) {
		r.open = l.readHoursName(t, "always")
	}
}

// readHoursName gives nil for the word that means no limit.
func (l *loader) readHoursName(t *table, unlimited string) *window {
	name := t.str("hours", `hours = "office"`)
	if name == "" || name == unlimited {
		return nil
	}
	w := l.p.hours[name]
	if w == nil {
		known := sortedKeys(l.p.hours)
		write := or(nearestQuoted(name, known), fmt.Sprintf("[hours.%s] for it, or one of %s", clip(name), quoted(append(known, unlimited))))
		t.problem(t.line("hours"), write, "%s: there are no hours %q", t.what, clip(name))
	}
	return w
}

// readExpiry reads what happens to running work when time is up; absent: it is cut.
func (l *loader) readExpiry(t *table, r *rule) {
	r.finish = t.oneOf("on_expiry", "cut", "finish-command") == "finish-command"
	if !r.finish {
		if t.has("finish_at_most") {
			t.problem(t.line("finish_at_most"), `on_expiry = "finish-command" with it`, "%s: finish_at_most belongs to on_expiry = \"finish-command\"", t.what)
		}
		t.known = append(t.known, "finish_at_most")
		return
	}
	if t.must("finish_at_most", `finish_at_most = "15m"`) {
		r.finishAtMost = t.duration("finish_at_most", `finish_at_most = "15m"`)
	}
}

// readAbout reads the actions of a require or deny rule; absent: all.
func (l *loader) readAbout(t *table, r *rule) {
	if !t.has("actions") {
		t.known = append(t.known, "actions")
		r.about = []Pattern{{kinds: everyKind, any: true}}
		return
	}
	r.kinds = 0
	for _, n := range t.words("actions", `actions = ["shell", "files.write"]`) {
		p, err := parseRestriction(n.text)
		if err != nil {
			t.problem(n.line, "one of "+strings.Join(actionWords(), ", ")+", or *", "%s: %v", t.what, err)
			continue
		}
		p = p.restricts()
		r.kinds |= p.kinds
		r.about = append(r.about, p)
		r.aboutWords = append(r.aboutWords, n.text)
	}
}

// readNeed reads what a require rule wants.
func (l *loader) readNeed(t *table, r *rule) {
	n := &r.need
	before := len(*t.out)
	n.mfaWithin = t.duration("mfa_within", `mfa_within = "30m"`)
	for _, w := range t.words("from", `from = ["198.51.100.0/24"]`) {
		prefix, err := netip.ParsePrefix(w.text)
		if err != nil || prefix != prefix.Masked() {
			t.problem(w.line, `a network as in "198.51.100.0/24"`, "%s: from: %q is not a network", t.what, clip(w.text))
			continue
		}
		n.from = append(n.from, prefix)
	}
	n.attended, n.ticket = t.flag("attended"), t.flag("ticket")
	n.atOnce = int(t.number("sessions_at_once", 1, 1000))
	if t.has("hours") {
		n.hours = l.readHoursName(t, "")
	}
	t.known = append(t.known, "hours")
	if n.empty() && before == len(*t.out) {
		t.problem(t.n.line, `mfa_within, from, attended, sessions_at_once, ticket or hours`, "%s requires nothing", t.what)
	}
}
