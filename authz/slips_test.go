package authz

import (
	"slices"
	"strings"
	"testing"
)

// TestEverySlipIsRefused makes the slips of the pen that silently opened doors where only strict keys were wanted:
// each is one line lost or misspelt in the example. Each is refused with its file, its line and what to write
// instead.
func TestEverySlipIsRefused(t *testing.T) {
	const lost = ""
	for _, c := range []struct {
		name, rule, old, new string // in the rule with this id, old becomes new
		// text of the line that is named: what was written, or the rule's head where a line was lost
		at          string
		text, write string // parts of the problem
	}{
		{"agree lost: self-service root", "R1", "agree    = [{ from = \"shift-leads\", count = 1 }]\n", lost,
			"[[request]]", `request "R1" has no "agree"`, `agree = "nobody"`},
		{"agree empty", "R1", `[{ from = "shift-leads", count = 1 }]`, `[]`, "agree    = []",
			`request "R1": agree wants at least one`, `agree = "nobody"`},
		{"agree with count 0", "R1", "count = 1", "count = 0", "count = 0", "count = 0 is not possible",
			"a number from 1 to 20"},
		{"agree without count", "R1", ", count = 1", lost, `{ from = "shift-leads" }`, `has no "count"`, "count = 1"},
		{"hours lost: access around the clock", "A1", "\nhours   = \"office\"", lost, "[[allow]]",
			`allow "A1" has no "hours"`, `hours = "always"`},
		{"hours misspelt as a key", "A1", "hours   =", "huors   =", "huors   =", `the key "huors" is not known`,
			"hours = …"},
		{"hours that nobody declared", "A1", `"office"`, `"offise"`, `"offise"`, `there are no hours "offise"`,
			`"office"`},
		{"who lost", "A1", "who     = [\"technicians\"]\n", lost, "[[allow]]", `allow "A1" has no "who"`,
			`who = "everyone"`},
		{"who empty", "A1", `["technicians"]`, `[]`, "who     = []", "who wants a list with at least one entry",
			`who = "everyone"`},
		{"devices lost", "A1", "devices = { kind = \"press\" }\n", lost, "[[allow]]", `allow "A1" has no "devices"`,
			`devices = "all"`},
		{"devices empty", "R1", `{ kind = "press" }`, `{}`, "devices  = {}", "devices wants at least one label",
			`devices = "all"`},
		{"a role that does not exist", "A1", `"diagnose"`, `"diagnos"`, `"diagnos"`, `there is no role "diagnos"`,
			`"diagnose"`},
		{"at_most lost", "R1", "at_most  = \"4h\"\n", lost, "[[request]]", `request "R1" has no "at_most"`,
			`at_most = "4h"`},
		{"a label misspelt in a require: the guardrail is gone", "G3", `{ safety = "*" }`, `{ saftey = "*" }`,
			"saftey", `the label "saftey", which is not declared`, "safety"},
		{"a label misspelt in a deny", "D1", `{ kind = "payment-terminal" }`, `{ kindd = "payment-terminal" }`,
			"kindd", `the label "kindd", which is not declared`, "kind"},
		{"a group misspelt in a require", "G2", `["supplier-nord"]`, `["supplier-nrod"]`, "supplier-nrod",
			`the group "supplier-nrod", which is not declared`, `"supplier-nord"`},
		{"a group misspelt in a deny", "D1", `"everyone"`, `["techncians"]`, "techncians",
			`the group "techncians", which is not declared`, `"technicians"`},
		{"a label's value that it cannot have", "D2", `"sil3"`, `"SIL-3"`, `"SIL-3"`,
			`the label "safety" has no value "SIL-3"`, `"sil3"`},
		{"the logins of a command lost: an exact command as root", "inventory", `{ as = ["svc-ro"], argv = `,
			`{ argv = `, "run     =", `role "inventory": run has no "as"`,
			`run = { as = ["svc"], argv = [["/usr/bin/dpkg-query", "-W"], ["/opt/press/bin/version"]] }`},
		{"the logins of a command empty", "inventory", `["svc-ro"]`, `[]`, "run     =",
			"run: as wants a list with at least one entry", `as = ["svc"]`},
		{"the logins of a command misspelt as a key", "inventory", `as =`, `sa =`, "run     =",
			`role "inventory": run has no "as"`, `as = ["svc"]`},
		{"an id that is taken", "R2", `"R2"`, `"R1"`, `id       = "R1"`,
			`the id "R1" is taken by the request rule at policy.toml:`, "another id"},
	} {
		t.Run(c.name, func(t *testing.T) {
			before, rule, after := ruleIn(t, exampleText(t), c.rule)
			changed := strings.Replace(rule, c.old, c.new, 1)
			if changed == rule {
				t.Fatalf("%s does not hold %q", c.rule, c.old)
			}
			line := strings.Count(before, "\n") + 1 + strings.Count(changed[:strings.Index(changed, c.at)], "\n")
			p, problems := Load(File{"policy.toml", []byte(before + changed + after)})
			if p != nil || len(problems) == 0 {
				t.Fatal("the policy loads")
			}
			if !slices.ContainsFunc(problems, func(p Problem) bool {
				return p.File == "policy.toml" && p.Line == line && strings.Contains(p.Text, c.text) &&
					strings.Contains(p.Write, c.write)
			}) {
				t.Errorf("got\n%v\nwant policy.toml:%d: …%s… Write …%s…", problems.Error(), line, c.text, c.write)
			}
		})
	}
}

// ruleIn cuts the rule with an id out of a policy, from its head to the blank line after it.
func ruleIn(t testing.TB, text, id string) (before, rule, after string) {
	t.Helper()
	i := strings.Index(text, `= "`+id+`"`)
	role := strings.Index(text, "[role."+id+"]")
	if i < 0 && role < 0 {
		t.Fatalf("no rule or role %s", id)
	}
	start := role
	if role < 0 {
		start = strings.LastIndex(text[:i], "[[")
	}
	end := strings.Index(text[start:]+"\n\n", "\n\n") + start
	return text[:start], text[start:min(end, len(text))], text[min(end, len(text)):]
}

// TestWhatAGuardrailLeavesOutMeansAll: who, for, devices and actions that are absent can only tighten.
func TestWhatAGuardrailLeavesOutMeansAll(t *testing.T) {
	text := exampleText(t) + "\n[[deny]]\nid = \"D9\"\nwhy = \"Everything is closed.\"\n"
	if _, problems := Load(File{"policy.toml", []byte(text)}); len(problems) == 0 ||
		!strings.Contains(problems[0].Text, "can never match") {
		t.Errorf("a deny rule about everything: got %v, want rules that can never match", problems)
	}
	p := must(t, strings.Replace(exampleText(t), "devices = { kind = \"payment-terminal\" }\n",
		"devices = { kind = \"payment-terminal\" }\nfor = \"people\"\n", 1)+
		"\n[[require]]\nid = \"G9\"\nwhy = \"A ticket, always.\"\nticket = true\n")
	for _, c := range []struct {
		who    Person
		action string
	}{{person("technicians"), "desktop.view"}, {job("inventory-job"), "run:svc-ro /opt/press/bin/version"}} {
		d := Decide(NewSnapshot(p, nil), Request{Person: c.who, Device: device("press-1"),
			Action: action(t, c.action)}, office)
		if d.Reason != RequirementOpen || d.Missing != "G9" {
			t.Errorf("%s: got %s by %q, want the ticket of G9 to be missing", c.action, d.Reason, d.Missing)
		}
	}
}

func TestLabelsThatSomebodyIsAboutToSet(t *testing.T) {
	none := must(t, "format = 1\nname = \"x\"\ncontact = \"x\"\ngroups = [\"g\"]\n")
	for _, c := range []struct {
		p      *Policy
		labels map[string]string
		want   []string
	}{
		{example(t), map[string]string{"kind": "press", "maker": "anybody"}, nil},
		{example(t), map[string]string{"maker": "anybody"}, nil}, // what is missing is not its matter
		{example(t), map[string]string{"kind": "", "gone": ""}, nil},
		{example(t), map[string]string{"kind": "prss"},
			[]string{`the label "kind" has the value "prss"; the policy knows "press", `}},
		{example(t), map[string]string{"nosuch": "1", "kind": "prss"},
			[]string{`the label "kind" has`, `the label "nosuch" is not declared; the policy declares "`}},
		{none, map[string]string{"anything": "1"}, nil},
		{nil, map[string]string{"anything": "1"}, nil},
	} {
		got := c.p.CheckNewLabels(c.labels)
		fits := len(got) == len(c.want)
		for i := 0; fits && i < len(got); i++ {
			fits = strings.HasPrefix(got[i], c.want[i])
		}
		if !fits {
			t.Errorf("%v: got %q, want %q", c.labels, got, c.want)
		}
	}
}
