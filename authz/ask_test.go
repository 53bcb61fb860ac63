package authz

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

const askable = `format = 1
name = "asking"
groups = ["technicians", "leads", "security", "guests", "owners"]
[duties]
approve = ["leads", "security"]
own = ["owners"]
[role.work]
why = "made"
shell = { as = ["svc"] }
files = { read = ["/var/log"] }
[role.other]
why = "made"
shell = { as = ["root"] }
[[request]]
id = "R1"
why = "made"
who = ["technicians"]
role = "work"
devices = { hall = "1" }
at_most = "4h"
ask_for = ["reason", "ticket"]
agree = [{ from = "leads", count = 1 }, { from = "security", count = 2 }, { from = "guests", count = 1 }, { from = "@owner", count = 1 }]
[[allow]]
id = "A1"
why = "made"
who = ["technicians"]
role = "work"
devices = { hall = "2" }
hours = "always"
[labels]
hall = { one_of = ["1", "2"] }
`

func patterns(t testing.TB, words ...string) (out []Pattern) {
	t.Helper()
	for _, w := range words {
		p, err := ParsePattern(w)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, p)
	}
	return out
}

func TestTermsKeepToTheirRule(t *testing.T) {
	p := must(t, askable)
	hall := func(n string) Device { return Device{Name: "press-7", Labels: map[string]string{"hall": n}} }
	good := Terms{Device: "press-7", Rule: "R1", Actions: patterns(t, "shell:svc"), For: time.Hour, Reason: "the pump stands", Ticket: "T-1"}
	if text := good.Check(p, hall("1")); text != "" {
		t.Fatal(text)
	}
	for name, c := range map[string]struct {
		change func(*Terms)
		hall   string
		want   string
	}{
		"no such rule":           {func(x *Terms) { x.Rule = "R9" }, "1", "no rule"},
		"a rule that allows":     {func(x *Terms) { x.Rule = "A1" }, "2", "no rule"},
		"another device":         {func(x *Terms) {}, "2", "is not for press-7"},
		"an unknown label":       {func(x *Terms) {}, "9", "is not for press-7"},
		"another login":          {func(x *Terms) { x.Actions = patterns(t, "shell:root") }, "1", "does not give shell:root"},
		"every login":            {func(x *Terms) { x.Actions = patterns(t, "shell") }, "1", "does not give shell"},
		"everything":             {func(x *Terms) { x.Actions = patterns(t, "*") }, "1", "does not give *"},
		"a directory above":      {func(x *Terms) { x.Actions = patterns(t, "files.read:/var") }, "1", "does not give files.read:/var"},
		"one that is not given":  {func(x *Terms) { x.Actions = patterns(t, "shell:svc", "files.write:/var/log/x") }, "1", "files.write"},
		"nothing":                {func(x *Terms) { x.Actions = nil }, "1", "1 to 64"},
		"too many":               {func(x *Terms) { x.Actions = slices.Repeat(x.Actions, 65) }, "1", "1 to 64"},
		"longer than it gives":   {func(x *Terms) { x.For = 4*time.Hour + time.Second }, "1", "at most 4 h"},
		"no time":                {func(x *Terms) { x.For = 0 }, "1", "at least one minute"},
		"a time before the past": {func(x *Terms) { x.For = -time.Hour }, "1", "at least one minute"},
		"no reason":              {func(x *Terms) { x.Reason = " " }, "1", "wants a reason"},
		"no ticket":              {func(x *Terms) { x.Ticket = "" }, "1", "wants a ticket"},
		"a long reason":          {func(x *Terms) { x.Reason = strings.Repeat("ü", 501) }, "1", "at most 500"},
		"a long ticket":          {func(x *Terms) { x.Ticket = strings.Repeat("9", 65) }, "1", "a ticket 64"},
	} {
		bad := good
		c.change(&bad)
		if text := bad.Check(p, hall(c.hall)); !strings.Contains(text, c.want) {
			t.Errorf("%s: got %q, want %q", name, text, c.want)
		}
	}
	less := good
	less.Actions = patterns(t, "files.read:/var/log/pump")
	if text := less.Check(p, hall("1")); text != "" {
		t.Errorf("a part of the role: %s", text)
	}
	if good.Check(nil, hall("1")) == "" {
		t.Error("terms hold without a policy")
	}
}

func TestWhoeverApprovesMayAgreeToLessAlone(t *testing.T) {
	asked := Terms{Device: "press-7", Rule: "R1", Actions: patterns(t, "shell:svc", "files.read:/var/log"), For: time.Hour, Reason: "r", Ticket: "t"}
	for name, c := range map[string]struct {
		change func(*Terms)
		want   bool
	}{
		"the same":          {func(*Terms) {}, true},
		"less time":         {func(x *Terms) { x.For = time.Minute }, true},
		"fewer actions":     {func(x *Terms) { x.Actions = patterns(t, "shell:svc") }, true},
		"a directory below": {func(x *Terms) { x.Actions = patterns(t, "files.read:/var/log/pump") }, true},
		"more time":         {func(x *Terms) { x.For += time.Second }, false},
		"more actions":      {func(x *Terms) { x.Actions = append(slices.Clone(x.Actions), patterns(t, "shell:root")...) }, false},
		"a directory above": {func(x *Terms) { x.Actions = patterns(t, "files.read:/var") }, false},
		"another person":    {func(x *Terms) { x.Who.Subject = "x" }, false},
		"another device":    {func(x *Terms) { x.Device = "press-8" }, false},
		"another rule":      {func(x *Terms) { x.Rule = "R2" }, false},
		"another reason":    {func(x *Terms) { x.Reason = "s" }, false},
		"another ticket":    {func(x *Terms) { x.Ticket = "u" }, false},
	} {
		x := asked
		c.change(&x)
		if got := x.Within(&asked); got != c.want {
			t.Errorf("%s: got %t", name, got)
		}
	}
}

func TestWhoCanSpeakForARule(t *testing.T) {
	p := must(t, askable)
	machine := person("leads")
	machine.Machine = "robot"
	for name, c := range map[string]struct {
		who   Person
		owner bool
		want  []string
	}{
		"a lead":               {person("leads"), false, []string{"leads"}},
		"an owner":             {person("owners"), true, []string{"@owner"}},
		"a lead who is owner":  {person("leads", "security", "owners"), true, []string{"leads", "security", "@owner"}},
		"an owner elsewhere":   {person("owners"), false, nil},
		"without the duty own": {person("technicians"), true, nil},
		"without approve":      {person("guests"), false, nil},
		"with another's duty":  {person("guests", "leads"), false, []string{"leads", "guests"}},
		"nobody of them":       {person("technicians"), false, nil},
		"a machine of a lead":  {machine, true, nil},
		"a group named @owner": {person("@owner"), false, nil},
	} {
		if got := p.Voices("R1", c.who, c.owner); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
	if got := p.Voices("A1", person("leads"), true); got != nil {
		t.Errorf("an allow rule: got %v", got)
	}
}

// Who counts for which entry is chosen so that least is missing, and nobody counts twice.
func TestEachPersonCountsOnce(t *testing.T) {
	agree := []Agree{{From: "leads", Count: 1}, {From: "security", Count: 2}}
	for _, c := range []struct {
		voices string // people apart by blanks, their entries by +
		want   string
	}{
		{"", "[{leads 1} {security 2}]"},
		{"leads", "[{security 2}]"},
		{"leads leads leads", "[{security 2}]"},
		{"leads+security", "[{security 2}]"},
		{"leads+security leads", "[{security 1}]"},
		{"leads+security security security", "[]"},
		{"security security leads+security", "[]"},
		{"leads+security leads+security leads+security", "[]"},
		{"leads+security leads+security", "[{security 1}]"},
		{"security security security", "[{leads 1}]"},
		{"strangers", "[{leads 1} {security 2}]"},
	} {
		var voices [][]string
		for _, who := range strings.Fields(c.voices) {
			voices = append(voices, strings.Split(who, "+"))
		}
		if got := fmt.Sprint(Missing(agree, voices)); got != c.want {
			t.Errorf("%q: got %s, want %s", c.voices, got, c.want)
		}
	}
	if got := Missing(nil, nil); len(got) != 0 {
		t.Errorf("nobody has to agree: got %v", got)
	}
}
