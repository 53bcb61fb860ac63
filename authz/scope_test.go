package authz

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// toolbox is a policy in which technicians have two roles without asking and one by asking. %s are further rules.
const toolbox = `format = 1
name = "toolbox"
groups = ["technicians"]
[hours.early]
zone = "Europe/Berlin"
days = ["wed"]
from = "07:00"
to   = "11:00"
[role.work]
why = "made"
shell = { as = ["svc", "root"] }
run = { as = ["svc"], argv = [["/bin/x", "{word}"], ["/bin/x", "{number}", "a b"], ["/bin/y"]] }
files = { read = ["/var/log"], write = ["/opt/in"] }
ports = ["plc.local:102"]
desktop = "control"
[role.other]
why = "made"
shell = { as = ["guest"] }
run = { as = ["svc"], argv = [["/bin/z"]] }
[role.asked]
why = "made"
shell = { as = ["svc"] }
run = { as = ["svc"], argv = [["/bin/x", "{word}"]] }
files = { read = ["/opt"] }
[[allow]]
id = "A1"
why = "made"
who = ["technicians"]
role = "work"
devices = "all"
hours = "always"
[[allow]]
id = "A2"
why = "made"
who = ["technicians"]
role = "other"
devices = "all"
hours = "always"
[[request]]
id = "E1"
why = "made"
emergency = true
who = ["technicians"]
role = "asked"
devices = "all"
at_most = "30m"
agree = "nobody"
tell = ["technicians"]
review_within = "24h"
%s`

func rules(kind string, bodies ...string) string {
	var b strings.Builder
	for i, body := range bodies {
		fmt.Fprintf(&b, "[[%s]]\nid = \"%s%d\"\nwhy = \"made\"\n%s\n", kind, kind, i, body)
	}
	return b.String()
}

// scopeOf decides an action and gives the scope of a session that begins with it.
func scopeOf(t *testing.T, s *Snapshot, r Request, login string) (Scope, Limits) {
	t.Helper()
	d := Decide(s, r, office)
	if !d.Allowed {
		t.Fatalf("%s is refused: %s", r.Action, d.Explain())
	}
	return d.Scope(login)
}

func TestScopeHasTheActionsOfOneRuleForOneLogin(t *testing.T) {
	rest := []string{"desktop.control", "desktop.view", "files.read:/var/log", "files.write:/opt/in",
		"ports:plc.local:102"}
	svc := append(slices.Clone(rest), "run:svc /bin/y", "shell:svc", "run:svc /bin/x {word}",
		"run:svc /bin/x {number} 'a b'")
	for _, c := range []struct {
		name, more, action, login string
		want                      []string
	}{
		{"all that the rule gives as the login", "", "shell:svc", "svc", svc},
		{"another login of the same role", "", "shell:root", "root", append(slices.Clone(rest), "shell:root")},
		{"the same set, whatever the session begins with", "", "run:svc /bin/x 7", "svc", svc},
		{"an action that names no login", "", "files.read:/var/log/a", "svc", svc},
		{"another rule has another set", "", "run:svc /bin/z", "svc", []string{"run:svc /bin/z"}},
		{"an action as another login has none", "", "shell:root", "svc", nil},
		{"an invalid login has no scope", "", "desktop.view", "-x", nil},
		{"denied commands of a template take the template", rules("deny", `actions = ["run:/bin/x stop"]`), "shell:svc",
			"svc", append(slices.Clone(rest), "run:svc /bin/y", "shell:svc", "run:svc /bin/x {number} 'a b'")},
		{"and leave the command that was decided", rules("deny", `actions = ["run:/bin/x stop"]`), "run:svc /bin/x go",
			"svc", append(slices.Clone(rest), "run:svc /bin/x go", "run:svc /bin/y", "shell:svc",
				"run:svc /bin/x {number} 'a b'")},
		{"a denied template of the same words", rules("deny", `actions = ["run:svc /bin/x {number} {word}"]`),
			"shell:svc",
			"svc", append(slices.Clone(rest), "run:svc /bin/y", "shell:svc", "run:svc /bin/x {word}",
				"run:svc /bin/x {number} 'a b'")},
		{"a denied path takes the paths above it", rules("deny", `actions = ["files.read:/var/log/secret"]`),
			"shell:root",
			"root", []string{"desktop.control", "desktop.view", "files.write:/opt/in", "ports:plc.local:102",
				"shell:root"}},
		{"a path that was decided is not named with a denied path below it",
			rules("deny", `actions = ["files.read:/var/log/secret"]`),
			"files.read:/var/log", "root",
			[]string{"desktop.control", "desktop.view", "files.write:/opt/in", "ports:plc.local:102", "shell:root"}},
		{"to see the screen is left when control is denied",
			rules("deny", `actions = ["desktop.control", "files.read:/var", "files.write", "ports"]`), "shell:root",
			"root",
			[]string{"desktop.view", "shell:root"}},
		{"an unmet requirement takes what it is about", rules("require",
			"actions = [\"shell\", \"desktop.view\"]\nattended = true"),
			"run:svc /bin/y", "svc", append([]string{"files.read:/var/log", "files.write:/opt/in",
				"ports:plc.local:102",
				"run:svc /bin/y"}, svc[len(svc)-2:]...)},
		{"a rule against emergencies takes nothing elsewhere",
			rules("deny", "actions = [\"shell\"]\nonly_emergency = true"), "shell:svc", "svc", svc},
	} {
		s := NewSnapshot(must(t, fmt.Sprintf(toolbox, c.more)), nil)
		r := Request{Person: person("technicians"), Device: Device{Name: "press-7"}, Action: action(t, c.action)}
		got, _ := scopeOf(t, s, r, c.login)
		if !slices.Equal(got.Words(), c.want) {
			t.Errorf("%s: got %q, want %q", c.name, got.Words(), c.want)
		}
	}
}

func TestScopeOfAGrantIsWhatWasApproved(t *testing.T) {
	who := person("technicians")
	grant := func(words ...string) []Grant {
		g := Grant{ID: "g1", Rule: "E1", Who: who.ID, Device: "press-7", From: office.Add(-time.Hour),
			Until:     office.Add(time.Hour),
			Emergency: true}
		for _, w := range words {
			p, err := ParsePattern(w)
			if err != nil {
				t.Fatal(err)
			}
			g.Actions = append(g.Actions, p)
		}
		return []Grant{g}
	}
	at := office.Add(30 * time.Minute)
	for _, c := range []struct {
		more     string
		approved []string
		want     []string
	}{
		{"", []string{"*"}, []string{"files.read:/opt", "shell:svc", "run:svc /bin/x {word}"}},
		{"", []string{"files.read:/opt/a", "files.read:/opt/b", "shell", "run:svc /bin/x {number}"},
			[]string{"files.read:/opt/a", "files.read:/opt/b", "shell:svc", "run:svc /bin/x {number}"}},
		{"", []string{"files.read", "run:root /bin/x {word}", "shell:root"}, []string{"files.read:/opt"}},
		{rules("deny", "actions = [\"shell\"]\nonly_emergency = true"), []string{"*"},
			[]string{"files.read:/opt", "run:svc /bin/x {word}"}},
	} {
		s := NewSnapshot(must(t, fmt.Sprintf(toolbox, c.more)), grant(c.approved...))
		r := Request{Person: who, Device: Device{Name: "press-7"}, Action: action(t, "files.read:/opt/a")}
		d := Decide(s, r, at)
		got, limits := d.Scope("svc")
		if d.Grant != "g1" || !slices.Equal(got.Words(), c.want) || !limits.Until.Equal(s.Grants[0].Until) {
			t.Errorf("%v: got %q until %s by %q, want %q", c.approved, got.Words(), limits.Until, d.Grant, c.want)
		}
	}
}

func TestLimitsOfAScopeAreTheStrictest(t *testing.T) {
	more := rules("require", "actions = [\"run\"]\nhours = \"early\"\nsessions_at_once = 3",
		"actions = [\"ports\"]\nsessions_at_once = 2",
		"actions = [\"files.write\"]\nattended = true", "actions = [\"desktop.view\"]\nsessions_at_once = 1")
	s := NewSnapshot(must(t, fmt.Sprintf(toolbox, more)), nil)
	r := Request{Person: person("technicians"), Device: Device{Name: "press-7"}, Action: action(t, "shell:svc"),
		LiveSessions: 1}
	_, got := scopeOf(t, s, r, "svc")
	if !got.Until.Equal(office.Add(time.Hour)) || got.SessionsAtOnce != 2 || got.Attended {
		t.Errorf("got %+v, want the hours of run, two sessions for ports, and nothing of what is left out", got)
	}
	r.Action, r.Attended, r.LiveSessions = action(t, "shell:root"), true, 0
	if _, got = scopeOf(t, s, r, "root"); got != (Limits{SessionsAtOnce: 1, Attended: true}) {
		t.Errorf("got %+v, want the limits of view and write", got)
	}
}

// TestWhatAScopeCoversIsAllowed decides each action that a scope covers by itself: the scope never has more, and its
// limits are never looser.
func TestWhatAScopeCoversIsAllowed(t *testing.T) {
	tried := []string{"shell:svc", "shell:root", "run:svc /bin/x b", "run:svc /bin/x zz", "run:svc /bin/x 7 a",
		"run:svc /bin/x 7 b",
		"run:root /bin/x b", "run:root /bin/x zz", "run:root /bin/x 7 a", "files.read:/var", "files.read:/var/log",
		"files.read:/opt/a/b", "files.write:/opt/a/in", "files.write:/opt/a", "ports:plc.local:102", "web:hmi",
		"desktop.view",
		"desktop.control"}
	scopes, covered := 0, 0
	worlds(t, func(d dice, s *Snapshot, dev Device) {
		who := able(d.some("g1", "g2", "g3")...)
		for _, first := range tried {
			r := asking(who, dev, actionOf(t, first))
			r.LiveSessions, r.Attended = d.IntN(3), d.IntN(2) == 0
			decision := Decide(s, r, office)
			for _, login := range []string{"svc", "root"} {
				scope, limits := decision.Scope(login)
				own := r.Action.Login() == "" || r.Action.Login() == login
				files := r.Action.Kind&(FilesRead|FilesWrite) != 0 // a rule may be about what is below it
				if covers := scope.Covers(r.Action); covers != (decision.Allowed && own) && (covers || !files) {
					t.Errorf("%s as %s, allowed %v: the scope is %q", first, login, decision.Allowed, scope.Words())
				}
				scopes++
				for _, word := range tried {
					a := actionOf(t, word)
					if !scope.Covers(a) {
						continue
					}
					covered++
					q := r
					q.Action = a
					one := Decide(s, q, office)
					if !one.Allowed || a.Login() != "" && a.Login() != login {
						t.Errorf("%s: the scope %q as %s covers %s, which is refused: %s", first, scope.Words(),
							login, word, one.Reason)
					}
					if one.SessionsAtOnce > 0 && (limits.SessionsAtOnce == 0 ||
						limits.SessionsAtOnce > one.SessionsAtOnce) ||
						one.Attended && !limits.Attended || later(limits.Until, one.Until) {
						t.Errorf("%s: the limits %+v are looser than those of %s: %+v", first, limits, word, one)
					}
				}
			}
		}
	})
	if scopes < 1000 || covered < 1000 {
		t.Fatalf("got %d scopes that cover %d actions: too few to prove anything", scopes, covered)
	}
}

// A second rule may allow an action for longer; the session keeps to its own rule.
// TestTheEntryForAnAction: an exact action before a template that fits too.
func TestTheEntryForAnAction(t *testing.T) {
	number := Template{{Literal: "/bin/x"}, {Placeholder: AnyNumber}}
	s, err := ParseScope("svc", []string{"run:svc /bin/x 7", "shell:svc"}, []Template{number})
	if err != nil {
		t.Fatal(err)
	}
	for want, a := range map[string]Action{
		"run:svc /bin/x 7":        RunAction("svc", []string{"/bin/x", "7"}),
		"run:svc /bin/x {number}": RunAction("svc", []string{"/bin/x", "8"}),
		"shell:svc":               {Kind: Shell, Arg: "svc"},
		"":                        RunAction("svc", []string{"/bin/x", "y"}),
	} {
		if got := s.EntryFor(a); got != want || s.Covers(a) != (want != "") {
			t.Errorf("%s: got %q, want %q", a, got, want)
		}
	}
}

func TestScopeOfTheLastingRule(t *testing.T) {
	text := strings.Replace(fmt.Sprintf(toolbox, ""), `role = "other"
devices = "all"
hours = "always"`, `role = "work"
devices = "all"
hours = "early"`, 1)
	r := Request{Person: person("technicians"), Device: Device{Name: "press-7"}, Action: action(t, "shell:svc")}
	if _, got := scopeOf(t, NewSnapshot(must(t, text), nil), r, "svc"); !got.Until.IsZero() {
		t.Errorf("got %+v, want the rule without an end", got)
	}
}

func TestAScopeIsReadAsItWasWritten(t *testing.T) {
	s := NewSnapshot(must(t, fmt.Sprintf(toolbox, "")), nil)
	r := Request{Person: person("technicians"), Device: Device{Name: "press-7"}, Action: action(t, "shell:svc")}
	want, _ := scopeOf(t, s, r, "svc")
	got, err := ParseScope(want.Login(), want.Actions(), want.Templates())
	if err != nil || !got.Equal(want) || got.Kinds() != want.Kinds() || got.Size() != want.Size() {
		t.Fatalf("got %q, %v, want %q", got.Words(), err, want.Words())
	}
	for text, covers := range map[string]bool{"shell:svc": true, "shell:root": false, "run:svc /bin/x go": true,
		"run:svc /bin/x 7 'a b'": true,
		"run:svc /bin/x -go":     false, "run:svc /bin/x '{word}'": false, "run:root /bin/x go": false,
		"files.read:/var/log/x": true,
		"files.read:/var":       false, "desktop.view": true, "web:hmi": false} {
		if got.Covers(action(t, text)) != covers {
			t.Errorf("%s: covered is %v, want %v", text, !covers, covers)
		}
	}
	other, err := ParseScope("svc", want.Actions()[1:], want.Templates())
	if err != nil || other.Equal(want) {
		t.Errorf("a smaller scope is equal, %v", err)
	}
}

// TestALiteralThatSpellsAPlaceholderIsALiteral: a text cannot say which of the two is meant, so a pass says it apart.
func TestALiteralThatSpellsAPlaceholderIsALiteral(t *testing.T) {
	exact, err := ParseScope("svc", []string{"run:svc /bin/x '{word}'"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	mixed, err := ParseScope("svc", nil, []Template{{{Literal: "/bin/x"}, {Literal: "{word}"}, {Placeholder: AnyWord}}})
	if err != nil {
		t.Fatal(err)
	}
	if got := mixed.Words()[0]; got != "run:svc /bin/x '{word}' {word}" {
		t.Errorf("got %s", got)
	}
	for _, c := range []struct {
		s    Scope
		argv []string
		want bool
	}{
		{exact, []string{"/bin/x", "{word}"}, true}, {exact, []string{"/bin/x", "go"}, false},
		{mixed, []string{"/bin/x", "{word}", "go"}, true}, {mixed, []string{"/bin/x", "go", "go"}, false},
		{mixed, []string{"/bin/x", "{word}", "{word}"}, false},
	} {
		if c.s.Covers(RunAction("svc", c.argv)) != c.want {
			t.Errorf("%q covers %q: %v, want %v", c.s.Words(), c.argv, !c.want, c.want)
		}
	}
}

func TestAScopeOfAnotherFormIsRefused(t *testing.T) {
	word, number := Word{Placeholder: AnyWord}, Word{Placeholder: AnyNumber}
	x := Word{Literal: "/bin/x"}
	many := make([]string, MaxScope+1)
	for i := range many {
		many[i] = fmt.Sprintf("web:p%03d", i)
	}
	long := "run:svc /bin/x " + strings.Repeat("a", MaxActionWord)
	for name, c := range map[string]struct {
		login     string
		actions   []string
		templates []Template
	}{
		"nothing":                      {"svc", nil, nil},
		"too many":                     {"svc", many, nil},
		"too many with a template":     {"svc", many[:MaxScope], []Template{{x, word}}},
		"no login":                     {"", []string{"desktop.view"}, nil},
		"another login":                {"svc", []string{"shell:root"}, nil},
		"a command as another login":   {"svc", []string{"run:root /bin/x"}, nil},
		"an unknown kind":              {"svc", []string{"shell:svc", "sudo:svc"}, nil},
		"a bare kind":                  {"svc", []string{"shell"}, nil},
		"everything":                   {"svc", []string{"*"}, nil},
		"a command without a login":    {"svc", []string{"run:/bin/x"}, nil},
		"a placeholder in a word":      {"svc", []string{"run:svc /bin/x {word}"}, nil},
		"another spelling":             {"svc", []string{"run:svc /bin/x 'a'"}, nil},
		"two spaces":                   {"svc", []string{"run:svc /bin/x  a"}, nil},
		"another order":                {"svc", []string{"shell:svc", "desktop.view"}, nil},
		"the same twice":               {"svc", []string{"shell:svc", "shell:svc"}, nil},
		"a long word":                  {"svc", []string{long}, nil},
		"a word that does not show":    {"svc", []string{"run:svc /bin/x \u200b"}, nil},
		"an empty template":            {"svc", nil, []Template{{}}},
		"a template without a place":   {"svc", nil, []Template{{x}}},
		"a program of the caller":      {"svc", nil, []Template{{word}}},
		"an unknown placeholder":       {"svc", nil, []Template{{x, {Placeholder: 3}}}},
		"a placeholder with a literal": {"svc", nil, []Template{{x, {Placeholder: AnyWord, Literal: "a"}}}},
		"a relative program":           {"svc", nil, []Template{{{Literal: "x"}, word}}},
		"a way up in a program":        {"svc", nil, []Template{{{Literal: "/bin/../x"}, word}}},
		"a control character":          {"svc", nil, []Template{{x, {Literal: "\n"}, word}}},
		"templates in another order":   {"svc", nil, []Template{{x, number}, {x, word}}},
		"a template twice":             {"svc", nil, []Template{{x, word}, {x, word}}},
		"a literal before a place":     {"svc", nil, []Template{{x, {Literal: "a"}, word}, {x, word}}},
		"a template of many characters": {"svc", nil, []Template{{x, {Literal: strings.Repeat("a", MaxActionWord)},
			word}}},
	} {
		if s, err := ParseScope(c.login, c.actions, c.templates); err == nil {
			t.Errorf("%s: it is read as %q", name, s.Words())
		}
	}
}
