package authz

import (
	"fmt"
	"strings"
	"testing"
)

// large is a policy with one role, whose lines %s are.
const large = `format = 1
name = "large"
groups = ["technicians"]

[role.large]
why = "made"
%s
[role.small]
why = "made"
shell = { as = ["guest"] }
[[allow]]
id = "A1"
why = "made"
who = ["technicians"]
role = "large"
devices = "all"
hours = "always"
[[allow]]
id = "A2"
why = "made"
who = ["technicians"]
role = "small"
devices = "all"
hours = "always"
`

// numbered lists n texts in quotes, each of which counts.
func numbered(n int, format string) string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf(format, i)
	}
	return strings.Join(out, ", ")
}

func TestARoleThatIsTooLargeForAPassIsRefused(t *testing.T) {
	commands := func(n int, words string) string {
		return fmt.Sprintf(`run = { as = ["svc"], argv = [%s] }`, numbered(n, `["/bin/x", "%04d"`+words+`]`))
	}
	for _, c := range []struct {
		name, role string
		want       string // the beginning of the problem; empty: there is none
	}{
		{"64 actions", `ports = [` + numbered(64, `"h:1%03d"`) + `]`, ""},
		{"65 actions", `ports = [` + numbered(65, `"h:1%03d"`) + `]`,
			`p.toml:5: role "large": a session would have 65 actions, and a pass names at most 64. Write two ` +
				`roles, each`},
		{"control of a screen counts for its view", `desktop = "control"` + "\nports = [" +
			numbered(63, `"h:1%03d"`) + `]`,
			`p.toml:5: role "large": a session would have 65 actions`},
		{"logins count each for itself", `shell = { as = ["svc", "root"] }` + "\nports = [" +
			numbered(63, `"h:1%03d"`) + `]`, ""},
		{"the login that has more is named", `shell = { as = ["root", "svc"] }` + "\n" + commands(64, ""),
			`p.toml:5: role "large": a session as svc would have 65 actions`},
		{"the room of a pass", commands(24, `, "`+strings.Repeat("a", 60)+`"`), ""},
		{"more than the room of a pass", commands(25, `, "`+strings.Repeat("a", 60)+`"`),
			`p.toml:5: role "large": the actions of a session as svc take 2050 bytes, and a pass has room for ` +
				`1968. Write two roles`},
		{"a word of 500 bytes", `run = { as = ["svc"], argv = [["/bin/x", "` + strings.Repeat("a", 500-15) + `"]] }`,
			""},
		{"a word of 501 bytes", `run = { as = ["svc"], argv = [["/bin/x", "` + strings.Repeat("a", 501-15) + `"]] }`,
			`p.toml:5: role "large": a pass cannot name "run:svc /bin/x aaaa`},
		{"a path of 501 bytes", `files = { read = ["/` + strings.Repeat("a", 501-12) + `"] }`,
			`p.toml:5: role "large": a pass cannot name "files.read:/aaaa`},
		{"a word that does not show", `run = { as = ["svc"], argv = [["/bin/x", "a\u202eb"]] }`,
			`p.toml:5: role "large": a pass cannot name "run:svc /bin/x`},
	} {
		p, problems := Load(File{"p.toml", []byte(fmt.Sprintf(large, c.role))})
		if got := problems.Error(); (c.want == "") != (p != nil) || !strings.HasPrefix(got, c.want) ||
			len(problems) > 1 {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

// The longest command of a template is named in its place where a rule is about another of its commands.
func TestTheRoomOfAPassIsKeptForTheCommandOfATemplate(t *testing.T) {
	words := func(n int) string { return strings.Repeat(`, "{word}"`, n) }
	role := func(fill int) string {
		return fmt.Sprintf("run = { as = [\"svc\"], argv = [[\"/bin/t\"%s]] }\nfiles = { read = [%s] }", words(7),
			numbered(fill, `"/a/%0100d"`))
	}
	p, problems := Load(File{"p.toml", []byte(fmt.Sprintf(large, role(12)))})
	if p == nil {
		t.Fatal(problems)
	}
	r := p.roles["large"]
	argv := append([]string{"/bin/t"}, strings.Fields(strings.Repeat(strings.Repeat("a", 64)+" ", 7))...)
	exact := newScope("svc", append(r.gives[1:], Pattern{kinds: Run, arg: "svc", run: literals(argv)}))
	if whole := newScope("svc", r.gives); whole.largest() != exact.Size() {
		t.Errorf("got room for %d, want %d for the command that was decided", whole.largest(), exact.Size())
	}
	if _, problems = Load(File{"p.toml", []byte(fmt.Sprintf(large, role(13)))}); len(problems) != 1 {
		t.Errorf("got %v, want a role that is too large", problems)
	}
}

func TestAStoredRoleThatIsTooLargeGivesNothing(t *testing.T) {
	file := File{"p.toml", []byte(fmt.Sprintf(large, "shell = { as = [\"svc\"] }\nports = ["+numbered(64,
		`"h:1%03d"`)+`]`))}
	p, problems := LoadStored(file)
	if p == nil {
		t.Fatal(problems)
	}
	if got := p.Ignored(); len(got) != 1 || got[0].Line != 5 {
		t.Errorf("got %v, want the role listed", got)
	}
	s := NewSnapshot(p, nil)
	for word, want := range map[string]Reason{"shell:svc": NoRule, "ports:h:1001": NoRule, "shell:guest": Permitted} {
		if d := Decide(s, asking(person("technicians"), Device{Name: "press-1"}, action(t, word)),
			office); d.Reason != want {
			t.Errorf("%s: got %s, want %s", word, d.Reason, want)
		}
	}
	want := "The role large is to do nothing, and nothing else; it has more than a pass can name, so all of it is " +
		"refused."
	if words := sentences(p); !strings.Contains(words, want) {
		t.Errorf("got %s", words)
	}
	past, problems := LoadPast(file)
	if past == nil {
		t.Fatal(problems)
	}
	d := Decide(NewSnapshot(past, nil), asking(person("technicians"), Device{Name: "press-1"},
		action(t, "shell:svc")), office)
	if !d.Allowed {
		t.Errorf("a policy of the past gives %s, want what it gave", d.Reason)
	}
}
