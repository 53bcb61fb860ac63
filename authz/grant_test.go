package authz

import (
	"slices"
	"strings"
	"testing"
	"time"
)

const commands = `format = 1
name = "commands"
groups = ["technicians"]
[role.commands]
why = "made"
run = { as = ["svc"], argv = [["/bin/x", "{word}"], ["/bin/y", "{number}"]] }
[[allow]]
id = "A1"
why = "made"
who = ["technicians"]
role = "commands"
devices = "all"
hours = "always"
[[deny]]
id = "D1"
why = "made"
actions = ["run:/bin/x stop"]
`

// If the question {word} meant every word, its answer would allow a command that a deny rule forbids.
func TestAPlaceInACommandIsNoWordOfAQuestion(t *testing.T) {
	s := NewSnapshot(must(t, commands), nil)
	for _, c := range []struct {
		word string
		want Reason
	}{
		{"run:svc /bin/x start", Permitted}, {"run:svc /bin/x stop", DeniedByRule}, {"run:svc /bin/x {word}", NoRule},
		{"run:svc /bin/x {number}", NoRule},
		{"run:svc /bin/y 7", Permitted}, {"run:svc /bin/y {number}", NoRule}, {"run:svc /bin/y {word}", NoRule},
	} {
		got := Decide(s, Request{Person: person("technicians"), Device: Device{Name: "press-7"},
			Action: action(t, c.word)}, office)
		if got.Reason != c.want {
			t.Errorf("%s: got %s, want %s", c.word, got.Reason, c.want)
		}
	}
	if got := RunAction("svc", []string{"/bin/x", "{word}", "a{"}).String(); got != "run:svc /bin/x '{word}' 'a{'" {
		t.Errorf("got %s, want a literal that does not read as a place", got)
	}
}

func TestWhatARoleGivesIsListedWithItsPlaces(t *testing.T) {
	s := NewSnapshot(must(t, commands), nil)
	open := s.Reach(person("technicians"), Device{Name: "press-7"}, office).Open
	if len(open) != 1 || len(open[0].Rights) != 2 || open[0].Rights[0].Action != "run:svc /bin/x {word}" {
		t.Errorf("got %+v, want both commands of A1", open)
	}
}

// Whoever may control a screen sees it, also where no more than that was approved of a role.
func TestAGrantOfControlGivesTheViewAsWell(t *testing.T) {
	control, err := ParsePattern("desktop.control")
	if err != nil {
		t.Fatal(err)
	}
	who, press := person("technicians"), device("press-7")
	g := Grant{ID: "g1", Rule: "R1", Who: who.ID, Device: "press-7", Actions: []Pattern{control}, From: office,
		Until: office.Add(time.Hour)}
	s := NewSnapshot(example(t), []Grant{g})
	if d := Decide(s, Request{Person: who, Device: press, Action: action(t, "desktop.view")},
		office); d.Rule != "A1" || !d.Allowed {
		t.Errorf("got %s by %q, want it allowed by A1", d.Reason, d.Rule)
	}
	at := night.Add(-24 * time.Hour)
	s.Grants[0].From, s.Grants[0].Until = at, at.Add(time.Hour)
	who.SecondFactorAt = at
	if d := Decide(s, Request{Person: who, Device: press, Action: action(t, "desktop.view")}, at); !d.Allowed ||
		d.Grant != "g1" {
		t.Errorf("got %s by grant %q, want it allowed by g1", d.Reason, d.Grant)
	}
	if !slices.ContainsFunc(s.WhoCan(press, at), func(e Access) bool {
		return e.Grant == "g1" && e.Action == "desktop.view"
	}) {
		t.Error("who-can does not list the view that the grant gives")
	}
	if open := s.Reach(who, press, at).Open; len(open) != 1 || open[0].Grant != "g1" || len(open[0].Rights) != 2 {
		t.Errorf("got %+v, want view and control of g1", open)
	}
}

// A machine's principal is its maker's. What its maker was granted is not for it, also where the rule names both.
func TestAGrantOfItsMakerGivesAMachineNothing(t *testing.T) {
	p := must(t, strings.Replace(askable, `who = ["technicians"]
role = "work"
devices = { hall = "1" }`, `who = ["technicians", "machine:robot"]
role = "work"
devices = { hall = "1" }`, 1))
	maker := person("technicians")
	g := Grant{ID: "g", Rule: "R1", Who: maker.ID, Device: "press-7", Actions: patterns(t, "shell:svc"), From: office.Add(-time.Minute), Until: office.Add(time.Hour)}
	q := Request{Person: maker, Device: Device{Name: "press-7", Labels: map[string]string{"hall": "1"}}, Action: ShellAction("svc")}
	s := NewSnapshot(p, []Grant{g})
	if d := Decide(s, q, office); !d.Allowed {
		t.Fatalf("its maker: got %+v", d.Reason)
	}
	q.Person.Machine = "robot"
	if d := Decide(s, q, office); d.Allowed {
		t.Error("the machine uses the grant of its maker")
	}
}
