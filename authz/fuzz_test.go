package authz

import (
	"slices"
	"strings"
	"testing"
)

// FuzzLoad feeds policies to the loader. There is a policy or there are problems, each with a place; and whatever loads
// can be said in words, as a matrix and as who can what without falling over.
func FuzzLoad(f *testing.F) {
	f.Add(exampleText(f))
	for _, seed := range []string{
		"", "format = 1", "format = 2\nname = \"x\"", "format = 1\nname = \"x\"\ngroups = []", "[[allow]]",
		"[allow]\nid = \"A1\"", "allow = 3", "[labels]\nx = 1", "[labels]\nx = {}\nx = {}",
		"[role.r]\nrun = [[]]", "[role.r]\nrun = {}", "[role.r]\nrun = { as = [], argv = [] }",
		"[role.r]\nrun = { argv = [[\"/bin/x\"]] }", "[role.r]\nrun = { as = [\"-x\"], argv = [[\"/bin/x\"]] }",
		"[role.r]\nrun = \"/bin/x\"", "[role.r]\nrun = [[\"/bin/{word}\"]]",
		"[role.r]\nshell = { as = [\"-x\"] }",
		"[hours.h]\nzone = \"Local\"\ndays = [\"mon\"]\nfrom = \"24:00\"\nto = \"24:00\"",
		"[[request]]\nagree = [{ from = \"@owner\", count = 99999999999999999999 }]", "never_together = [[\"a\"]]",
		"a.b.c = 1\na.b = 2", "\xff\xfe", "why = \"\u202e\"", "x = '''\n\n\n'''\ny",
	} {
		f.Add(seed)
	}
	for seed := range uint64(5) {
		f.Add(dice{newRand(seed)}.policy())
	}
	f.Fuzz(func(t *testing.T, text string) {
		file := File{"policy.toml", []byte(text)}
		p, problems := Load(file)
		if (p == nil) == (len(problems) == 0) {
			t.Fatalf("got a policy: %v, and %d problems; want one of them", p != nil, len(problems))
		}
		for _, q := range problems {
			if q.File != "policy.toml" || q.Line < 1 || q.Line > strings.Count(text, "\n")+1 || q.Text == "" {
				t.Errorf("a problem without its place: %+v", q)
			}
		}
		if p == nil {
			return
		}
		again, _ := Load(file)
		if again == nil || again.SHA256() != p.SHA256() || sentences(again) != sentences(p) {
			t.Error("the same text gave another policy")
		}
		MatrixCSV(Matrix(p))
		s := NewSnapshot(p, nil)
		s.WhoCan(device("press-1"), office)
		Decide(s, asking(person("technicians"), device("press-1"), RunAction("svc", []string{"/bin/x"})),
			office).Explain()
	})
}

// FuzzParsePattern: what is read is written as it was read, and covers itself.
func FuzzParsePattern(f *testing.F) {
	for _, seed := range append(madeWords, "*", "run:svc /bin/x 'a b' ''", `run:svc /bin/x it'\''s`, "run:/bin/x b",
		"run:svc", "run:svc ", "run: /bin/x", "run:svc  /bin/x", "run:/svc /bin/x", "run:'svc' /bin/x",
		"run:svc root /bin/x", "ports:[2001:db8::1]:22", "ports:127.1:80", "files.read:/a/../b", "shell:", "run:",
		"web:hmi:8", ":", "shell:root ") {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := ParsePattern(text)
		if err != nil {
			return
		}
		again, err := ParsePattern(p.String())
		if err != nil || again.String() != p.String() || !p.coversAll(&again) {
			t.Errorf("%q is written as %q, which is read as %+v, %v; want %+v", text, p.String(), again, err, p)
		}
		if both, ok := p.meet(again); !ok || both.String() != p.String() {
			t.Errorf("%q does not meet itself: %+v", text, both)
		}
	})
}

// FuzzParseAction: questions come from the API and out of passes. What is read is written so that it reads as the
// same action.
func FuzzParseAction(f *testing.F) {
	for _, seed := range append(madeWords, "shell:root", "run:svc /bin/x 'a b' ''", `run:svc /bin/x it'\''s "q"`,
		"run:svc /bin/x {word} {number}", "run:/bin/x", "run:root", "run:root /", "run:-x /bin/x", "run:a/b /bin/x",
		"run:'root' /bin/x", "ports:[2001:db8::1]:22", "files.write:/a//b", "desktop.view:", "desktop.control",
		"shell:-x", ":", "run:'") {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		a, err := ParseAction(text)
		if err != nil {
			return
		}
		again, err := ParseAction(a.String())
		if err != nil || again.Kind != a.Kind || again.Arg != a.Arg || !slices.Equal(again.Argv, a.Argv) {
			t.Errorf("%q is written as %q, which is read as %+v, %v; want %+v", text, a.String(), again, err, a)
		}
	})
}
