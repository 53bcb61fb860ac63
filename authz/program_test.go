package authz

import (
	"strings"
	"testing"
)

const withoutLogin = `format = 1
name = "earlier"
groups = ["technicians"]
[role.look]
why = "made"
run = [["/usr/bin/uptime", "-p"],
  ["/bin/x", "a b", "{word}"]]
[role.mend]
why = "made"
shell = { as = ["svc", "root"] }
run = { argv = [["/bin/y"]] }
[[allow]]
id = "A1"
why = "made"
who = ["technicians"]
role = "look"
devices = "all"
hours = "always"
[[allow]]
id = "A2"
why = "made"
who = ["technicians"]
role = "mend"
devices = "all"
hours = "always"
[[deny]]
id = "D1"
why = "made"
actions = ["run:/bin/z", "shell:root"]
`

func TestCommandsWithoutLoginAreRefusedWithWhatToWrite(t *testing.T) {
	p, problems := Load(File{"p.toml", []byte(withoutLogin)})
	if p != nil || len(problems) != 2 {
		t.Fatalf("got %v", problems)
	}
	for i, want := range []string{
		`p.toml:6: role "look": run has no "as", so its commands would be allowed as every login. ` +
			`Write run = { as = ["svc"], argv = [["/usr/bin/uptime", "-p"], ["/bin/x", "a b", "{word}"]] }, with ` +
			`those logins that need it.`,
		`p.toml:11: role "mend": run has no "as", so its commands would be allowed as every login. ` +
			`Write run = { as = ["svc", "root"], argv = [["/bin/y"]] }, with those logins that need it.`,
	} {
		if got := problems[i].String(); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	for i, q := range problems { // what it says is what can be written
		write, _, _ := strings.Cut(q.Write, ", with those")
		old := []string{`run = [["/usr/bin/uptime", "-p"],` + "\n" + `  ["/bin/x", "a b", "{word}"]]`,
			`run = { argv = [["/bin/y"]] }`}[i]
		mended := strings.Replace(withoutLogin, old, write, 1)
		if _, left := Load(File{"p.toml", []byte(mended)}); len(left) != 1 {
			t.Errorf("with %s: got %v", write, left)
		}
	}
}

func TestARoleWithAMistakeIsNotSaidToGiveNothing(t *testing.T) {
	for _, run := range []string{`"uptime"`, `{ as = [], argv = [["/bin/y"]] }`, `{ as = ["svc"], argv = [["uptime"]] }`} {
		text := strings.Replace(withoutLogin, `[["/usr/bin/uptime", "-p"],`+"\n"+`  ["/bin/x", "a b", "{word}"]]`, run, 1)
		text = strings.Replace(text, `run = { argv = [["/bin/y"]] }`, "", 1)
		if p, problems := Load(File{"p.toml", []byte(text)}); p != nil || len(problems) != 1 || problems[0].Line != 6 {
			t.Errorf("run = %s: got %v, want the mistake alone", run, problems)
		}
	}
}

func TestAStoredPolicyWhoseCommandsNameNoLoginGivesNoneOfThem(t *testing.T) {
	p, problems := LoadStored(File{"p.toml", []byte(withoutLogin)})
	if p == nil {
		t.Fatal(problems)
	}
	if got := p.Ignored(); len(got) != 2 || got[0].Line != 6 || got[1].Line != 11 {
		t.Errorf("got %v, want both runs listed", got)
	}
	s := NewSnapshot(p, nil)
	for word, want := range map[string]Reason{"run:svc /usr/bin/uptime -p": NoRule,
		"run:root /usr/bin/uptime -p": NoRule,
		"run:svc /bin/y":              NoRule, "shell:svc": Permitted, "shell:root": DeniedByRule,
		"run:svc /bin/z": DeniedByRule} {
		d := Decide(s, asking(person("technicians"), Device{Name: "press-1"}, action(t, word)), office)
		if d.Reason != want {
			t.Errorf("%s: got %s, want %s", word, d.Reason, want)
		}
		d.Explain()
	}
	want := "The role look is to do nothing, and nothing else; its commands name no login, so they are refused."
	if words := sentences(p); !strings.Contains(words, want) {
		t.Errorf("got %s", words)
	}
	MatrixCSV(Matrix(p))
	s.WhoCan(Device{Name: "press-1"}, office)
	if good := example(t); len(good.Ignored()) != 0 {
		t.Errorf("the example ignores %v", good.Ignored())
	}
}

func TestAPolicyOfThePastReadsAsItWasMeant(t *testing.T) {
	p, problems := LoadPast(File{"p.toml", []byte(withoutLogin)})
	if p == nil {
		t.Fatal(problems)
	}
	want := "The role look is to run exactly /usr/bin/uptime -p or /bin/x 'a b' {word} as any login, and nothing else"
	if !strings.Contains(sentences(p), want) {
		t.Errorf("got %s", sentences(p))
	}
	a, err := ParsePastAction("run:/usr/bin/uptime -p", "root")
	if err != nil || a.String() != "run:root /usr/bin/uptime -p" {
		t.Fatalf("got %s, %v", a, err)
	}
	d := Decide(NewSnapshot(p, nil), asking(person("technicians"), Device{Name: "press-1"}, a), office)
	if !d.Allowed || d.Rule != "A1" {
		t.Errorf("got %s by %q, want it allowed by A1 as then", d.Reason, d.Rule)
	}
	if a, err := ParsePastAction("run:svc /bin/x", "root"); err != nil || a.Login() != "svc" {
		t.Errorf("a word with a login: got %+v, %v", a, err)
	}
}

func TestARuleThatClosesMayNameTheLoginOfACommandOrMeanAll(t *testing.T) {
	for _, c := range []struct {
		about     string
		svc, root Reason
		words     string
	}{
		{"run:/bin/x stop", DeniedByRule, DeniedByRule, "run exactly /bin/x stop as any login"},
		{"run:root /bin/x stop", Permitted, DeniedByRule, "run exactly /bin/x stop as root"},
	} {
		text := strings.Replace(commands, `as = ["svc"]`, `as = ["svc", "root"]`, 1)
		text = strings.Replace(text, "run:/bin/x stop", c.about, 1)
		p := must(t, text)
		s := NewSnapshot(p, nil)
		for login, want := range map[string]Reason{"svc": c.svc, "root": c.root} {
			stop := RunAction(login, []string{"/bin/x", "stop"})
			q := Request{Person: person("technicians"), Device: Device{Name: "press-7"}, Action: stop}
			if got := Decide(s, q, office); got.Reason != want {
				t.Errorf("%s, as %s: got %s, want %s", c.about, login, got.Reason, want)
			}
		}
		if !strings.Contains(sentences(p), c.words) {
			t.Errorf("%s: got %s", c.about, sentences(p))
		}
	}
}

func TestARefusedCommandNamesTheLoginThatMayRunIt(t *testing.T) {
	s := NewSnapshot(must(t, commands), nil)
	q := Request{Person: person("technicians"), Device: Device{Name: "press-7"}}
	a, d := DecideProgram(s, q, Program{Login: "root", Argv: []string{"/bin/y", "7"}}, office)
	want := "You may not run /bin/y 7 as root on press-7. Nearest: you may run /bin/y 7 as svc on press-7 now " +
		"(rule A1)."
	if got := d.Explain().String(); d.Allowed || a.String() != "run:root /bin/y 7" || got != want {
		t.Errorf("got  %s: %s\nwant %s", a, got, want)
	}
	// the last is denied
	for _, argv := range [][]string{{"/bin/other"}, {"/bin/x", "stop", "\x1b[2J"}, {"/bin/x", "stop"}} {
		a, d = DecideProgram(s, q, Program{Login: "root", Argv: argv}, office)
		if d.Allowed || a.String() != "shell:root" {
			t.Errorf("%q: got %s allowed: %v, want the shell refused", argv, a, d.Allowed)
		}
	}
}

func TestTheLoginOfACommandIsFoundWithoutBeingNamed(t *testing.T) {
	const shell = `[role.shell]
why = "made"
shell = { as = ["admin"] }
[[allow]]
id = "A2"
why = "made"
who = ["technicians"]
role = "shell"
devices = "all"
hours = "always"
[[allow]]`
	text := strings.Replace(commands, "[[allow]]", shell, 1)
	reach := NewSnapshot(must(t, text), nil).Reach(person("technicians"), Device{Name: "press-7"}, office)
	for _, c := range []struct {
		p    Program
		want string
	}{
		{Program{}, "admin"},
		{Program{Argv: []string{"/bin/x", "a"}}, "svc"},
		{Program{Argv: []string{"/bin/q"}}, "admin"},
		{Program{Argv: []string{"/bin/x", "a"}, Terminal: true}, "admin"},
	} {
		if got := reach.Logins(c.p); len(got) != 1 || got[0] != c.want {
			t.Errorf("%+v: got %v, want %s", c.p, got, c.want)
		}
	}
}

func TestAnActionWordNeverLosesItsLogin(t *testing.T) {
	svc, root := RunAction("svc", []string{"/bin/x"}), RunAction("root", []string{"/bin/x"})
	for _, word := range []string{"run:/bin/x", "run:/bin/x svc", "run:svc", "run:svc ", "run: /bin/x", "run:-x /bin/x",
		"run:'svc' /bin/x", "run:svc root /bin/x", "run:a/b /bin/x", "run:svc bin/x"} {
		if a, err := ParseAction(word); err == nil {
			t.Errorf("%q is read as %+v", word, a)
		}
		if p, err := ParsePattern(word); err == nil {
			t.Errorf("%q is read as the pattern %+v", word, p)
		}
		if s, err := ParseScope("svc", []string{word}, nil); err == nil {
			t.Errorf("%q is read as the scope %q", word, s.Words())
		}
	}
	if s, err := ParseScope("svc", []string{svc.String()}, nil); err != nil || !s.Covers(svc) || s.Covers(root) {
		t.Errorf("a scope covers its command as its login alone: %v", err)
	}
}
