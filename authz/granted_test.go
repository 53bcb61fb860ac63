package authz

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/id"
)

// requestable lets technicians ask for two roles, one of them also in an emergency.
const requestable = `format = 1
name = "requestable"
groups = ["technicians", "leads", "auditors"]
never_together = [["technicians", "auditors"]]
[duties]
approve = ["leads"]
[labels]
hall = { needed = true, one_of = ["1", "2"] }
line = {}
[role.work]
why = "made"
shell = { as = ["svc", "root"] }
files = { read = ["/var"], write = ["/opt"] }
desktop = "control"
[role.look]
why = "made"
files = { read = ["/"] }
desktop = "view"
[[request]]
id = "R1"
why = "made"
who = ["technicians"]
role = "work"
devices = "all"
at_most = "4h"
agree = [{ from = "leads", count = 1 }]
[[request]]
id = "R2"
why = "made"
who = ["technicians", "leads"]
role = "look"
devices = { hall = "1" }
at_most = "4h"
agree = [{ from = "leads", count = 1 }]
[[request]]
id = "E1"
why = "made"
who = ["technicians"]
role = "work"
devices = "all"
at_most = "1h"
agree = "nobody"
emergency = true
tell = ["leads"]
review_within = "24h"
`

const denials = `
[[deny]]
id = "D1"
why = "made"
devices = { hall = "2" }
actions = ["shell:root", "files.write:/opt/press"]
[[deny]]
id = "D2"
why = "made"
who = ["leads"]
actions = ["desktop.view"]
`

const requirements = `
[[require]]
id = "G1"
why = "made"
actions = ["shell:root"]
from = ["192.0.2.0/24"]
`

var (
	askedActions = []string{"shell:svc", "shell:root", "files.read:/var/log", "files.read:/etc", "files.write:/opt/press/in", "files.write:/opt", "desktop.view", "desktop.control"}
	wideActions  = []string{"*", "shell", "shell:root", "files.read", "files.read:/", "files.read:/var", "files.write:/opt", "files.write:/opt/press", "desktop.control", "desktop.view"}
)

// random makes grants and questions.
type random struct {
	*rand.Rand
	t testing.TB
}

func (r random) one(of []string) string { return of[r.IntN(len(of))] }

// near gives a time at an edge of a grant, just beside it, or anywhere around.
func (r random) near(g *Grant) time.Time {
	at := []time.Time{g.From, g.Until}[r.IntN(2)]
	if r.IntN(3) == 0 {
		return at.Add(time.Duration(r.IntN(7200)-3600) * time.Second)
	}
	return at.Add(time.Duration(r.IntN(3) - 1))
}

func (r random) grant() Grant {
	g := Grant{Rule: r.one([]string{"R1", "R1", "R2", "E1"}), Who: person().ID, Device: "press-7", Actions: patterns(r.t, r.one(wideActions), r.one(wideActions)),
		From: office.Add(time.Duration(r.IntN(7200)-3600) * time.Second)}
	g.ID, g.Emergency = g.Rule+" "+g.From.String(), g.Rule == "E1"
	g.Until = g.From.Add(time.Duration(1+r.IntN(3600)) * time.Second)
	return g
}

func (r random) question() Request {
	groups := [][]string{{"technicians"}, {"leads"}, {"technicians", "leads"}, {}}[r.IntN(4)]
	return Request{Person: person(groups...), Device: Device{Name: "press-7", Labels: map[string]string{"hall": r.one([]string{"1", "2"})}}, Action: action(r.t, r.one(askedActions))}
}

// each runs a check with many grants and questions.
func each(t *testing.T, check func(r random)) {
	t.Helper()
	for seed := range uint64(20_000) {
		check(random{rand.New(rand.NewPCG(seed, 7)), t})
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func TestGrantsAllowOnlyWithinTheirTimes(t *testing.T) {
	p, inside, outside := must(t, requestable), 0, 0
	each(t, func(r random) {
		grants := make([]Grant, 1+r.IntN(4))
		for i := range grants {
			grants[i] = r.grant()
		}
		q, now := r.question(), r.near(&grants[0])
		d := Decide(NewSnapshot(p, grants), q, now)
		inForce := slices.DeleteFunc(slices.Clone(grants), func(g Grant) bool { return now.Before(g.From) || !now.Before(g.Until) })
		if len(inForce) == 0 {
			outside++
		}
		if !d.Allowed {
			return
		}
		inside++
		if !slices.ContainsFunc(inForce, func(g Grant) bool { return g.ID == d.Grant && g.Rule == d.Rule && !d.Until.After(g.Until) }) {
			t.Errorf("at %s: allowed by %q until %s", now, d.Grant, d.Until)
		}
	})
	if inside < 1000 || outside < 1000 {
		t.Errorf("got %d answers that allow and %d without a grant in force, want 1000 of each", inside, outside)
	}
}

// NewSnapshot makes an index, and a decision stops at the first grant there that no other can beat.
func TestTheIndexOfGrantsChangesNoDecision(t *testing.T) {
	p, allowed := must(t, requestable+requirements), 0
	each(t, func(r random) {
		grants := make([]Grant, 2+r.IntN(8))
		for i := range grants {
			grants[i] = r.grant()
			grants[i].ID = string(rune('a' + i))
			if r.IntN(2) == 0 {
				grants[i].Until = office.Add(time.Hour)
			}
			if r.IntN(4) == 0 {
				grants[i].Who.Subject = "u2"
			}
		}
		q, now := r.question(), r.near(&grants[0])
		a, b := Decide(NewSnapshot(p, grants), q, now), Decide(&Snapshot{Policy: p, Grants: grants}, q, now)
		if a.Reason != b.Reason || a.Grant != b.Grant || a.Rule != b.Rule || !a.Until.Equal(b.Until) || a.Emergency != b.Emergency {
			t.Errorf("with an index: %s by %q until %s, without: %s by %q until %s", a.Reason, a.Grant, a.Until, b.Reason, b.Grant, b.Until)
		}
		if a.Allowed {
			allowed++
		}
	})
	if allowed < 1000 {
		t.Errorf("got %d answers that allow, want 1000", allowed)
	}
}

func TestADenyRuleBeatsEveryGrant(t *testing.T) {
	open, closed, denied := must(t, requestable), must(t, requestable+denials), 0
	each(t, func(r random) {
		g, q := r.grant(), r.question()
		now, word := r.near(&g), q.Action.String()
		before, after := Decide(NewSnapshot(open, []Grant{g}), q, now), Decide(NewSnapshot(closed, []Grant{g}), q, now)
		forbidden := q.Device.Labels["hall"] == "2" && (word == "shell:root" || word == "files.write:/opt/press/in") ||
			slices.Contains(q.Person.Groups, "leads") && strings.HasPrefix(word, "desktop")
		switch {
		case forbidden && after.Reason != DeniedByRule:
			t.Errorf("%s in hall %s: got %s by grant %q, want a denial", word, q.Device.Labels["hall"], after.Reason, after.Grant)
		case !forbidden && (after.Allowed != before.Allowed || after.Grant != before.Grant):
			t.Errorf("%s: a deny rule about something else changed the answer from %s to %s", word, before.Reason, after.Reason)
		case forbidden && before.Allowed:
			denied++
		}
	})
	if denied < 100 {
		t.Errorf("%d denials were against a grant, want 100", denied)
	}
}

// narrow makes a grant of fewer actions or less time.
func (r random) narrow(g Grant) Grant {
	var kept []Pattern
	for _, p := range g.Actions {
		for _, word := range append([]string{p.String()}, askedActions...) {
			if part := patterns(r.t, word)[0]; p.Contains(part) && r.IntN(3) == 0 {
				kept = append(kept, part)
			}
		}
	}
	g.Actions = kept
	half := g.Until.Sub(g.From) / 2
	g.From, g.Until = g.From.Add(time.Duration(r.Int64N(int64(half)))), g.Until.Add(-time.Duration(r.Int64N(int64(half))))
	return g
}

func TestNarrowingAGrantNeverWidensIt(t *testing.T) {
	p, less, same := must(t, requestable+denials+requirements), 0, 0
	each(t, func(r random) {
		wide, q := r.grant(), r.question()
		narrow := r.narrow(wide)
		now := r.near([]*Grant{&wide, &narrow}[r.IntN(2)])
		before, after := Decide(NewSnapshot(p, []Grant{wide}), q, now), Decide(NewSnapshot(p, []Grant{narrow}), q, now)
		switch {
		case after.Allowed && !before.Allowed, after.Allowed && after.Until.After(before.Until):
			t.Errorf("%s: the narrowed grant of %v allows until %s, the one of %v until %s (%s)", q.Action, narrow.Actions, after.Until, wide.Actions, before.Until, before.Reason)
		case after.Allowed:
			same++
		case before.Allowed:
			less++
		}
	})
	if less < 200 || same < 200 {
		t.Errorf("got %d answers that narrowing takes away and %d that stay, want 200 of each", less, same)
	}
}

// Each case breaks one thing of a grant that allows. What cannot be matched, read or known must never allow.
func TestAGrantWithAnErrorAllowsNothing(t *testing.T) {
	type asked struct {
		text string
		g    Grant
		q    Request
	}
	for name, breaks := range map[string]func(*asked){
		"a rule that was never there":         func(a *asked) { a.g.Rule = "R9" },
		"no rule":                             func(a *asked) { a.g.Rule = "" },
		"a removed rule":                      func(a *asked) { a.text = strings.Replace(a.text, `id = "R1"`, `id = "R3"`, 1) },
		"a rule of another kind":              func(a *asked) { a.text += requirements; a.g.Rule = "G1" },
		"an emergency rule":                   func(a *asked) { a.g.Rule = "E1" },
		"an emergency under a normal rule":    func(a *asked) { a.g.Emergency = true },
		"a rule for other people":             func(a *asked) { a.text = strings.Replace(a.text, `who = ["technicians"]`, `who = ["leads"]`, 1) },
		"a role that lost the action":         func(a *asked) { a.text = strings.Replace(a.text, `["svc", "root"]`, `["svc"]`, 1) },
		"a holder who left the group":         func(a *asked) { a.q.Person.Groups = nil },
		"a holder in groups kept apart":       func(a *asked) { a.q.Person.Groups = []string{"technicians", "auditors"} },
		"the same name at another provider":   func(a *asked) { a.q.Person.ID.Issuer = "https://other.example" },
		"no person":                           func(a *asked) { a.q.Person = Person{} },
		"a machine of the holder":             func(a *asked) { a.q.Person.Machine = "job" },
		"another device":                      func(a *asked) { a.q.Device.Name = "press-8" },
		"no device":                           func(a *asked) { a.g.Device, a.q.Device = "", Device{} },
		"a label that is not declared":        func(a *asked) { a.q.Device.Labels["hal"] = "1" },
		"a value that is not known":           func(a *asked) { a.q.Device.Labels["hall"] = "3" },
		"an empty label":                      func(a *asked) { a.q.Device.Labels["line"] = "" },
		"a label that is missing":             func(a *asked) { delete(a.q.Device.Labels, "hall") },
		"nothing approved":                    func(a *asked) { a.g.Actions = nil },
		"an approval that cannot be read":     func(a *asked) { a.g.Actions = []Pattern{{}} },
		"another approval":                    func(a *asked) { a.g.Actions = patterns(t, "shell:svc") },
		"no action":                           func(a *asked) { a.q.Action = Action{} },
		"no time":                             func(a *asked) { a.g.From, a.g.Until = time.Time{}, time.Time{} },
		"no end":                              func(a *asked) { a.g.Until = time.Time{} },
		"an end before its beginning":         func(a *asked) { a.g.From, a.g.Until = a.g.Until, a.g.From },
		"a required network, and no address":  func(a *asked) { a.text += requirements; a.q.Person.Address = netip.Addr{} },
		"a policy that cannot be read":        func(a *asked) { a.text += "[[require]]\nid = \"G2\"\nmfa_within = \"soon\"\n" },
		"a rule with a condition of no sense": func(a *asked) { a.text = strings.Replace(a.text, `devices = "all"`, `devices = { hal = "1" }`, 1) },
		"no policy":                           func(a *asked) { a.text = "" },
	} {
		a := asked{requestable, Grant{ID: "g", Rule: "R1", Who: person().ID, Device: "press-7", Actions: patterns(t, "shell:root"), From: office, Until: office.Add(time.Hour)},
			Request{Person: person("technicians"), Device: Device{Name: "press-7", Labels: map[string]string{"hall": "1"}}, Action: action(t, "shell:root")}}
		if d := Decide(NewSnapshot(must(t, a.text), []Grant{a.g}), a.q, office); !d.Allowed {
			t.Fatalf("without an error: got %s", d.Reason)
		}
		breaks(&a)
		p, _ := Load(File{"policy.toml", []byte(a.text)})
		for _, s := range []*Snapshot{NewSnapshot(p, []Grant{a.g}), {Policy: p, Grants: []Grant{a.g}}} {
			if d := Decide(s, a.q, office); d.Allowed || d.Grant != "" || !d.Until.IsZero() {
				t.Errorf("%s: allowed by grant %q until %s", name, d.Grant, d.Until)
			}
		}
	}
}

func TestADecisionNamesWhoApprovedItsGrant(t *testing.T) {
	grant := func(name string, end time.Duration, by ...string) Grant {
		return Grant{ID: name, Rule: "R1", Who: person().ID, Device: "press-7", Actions: patterns(t, "shell"), From: office, Until: office.Add(end), Approvers: by}
	}
	other := grant("g4", 4*time.Hour, "Max Muster")
	other.Who = id.Principal{Issuer: "https://login.example", Subject: "u2"}
	q := Request{Person: person("technicians"), Device: Device{Name: "press-7", Labels: map[string]string{"hall": "1"}}, Action: action(t, "shell:root")}
	for _, c := range []struct {
		grants []Grant
		want   string
	}{
		{[]Grant{grant("g1", time.Hour, "Lea Lang")}, "(grant g1 of rule R1, approved by Lea Lang)"},
		{[]Grant{grant("g1", time.Hour, "Lea Lang"), grant("g2", 2*time.Hour, "Lou Lutz", "Ola Ott"), other}, "(grant g2 of rule R1, approved by Lou Lutz and Ola Ott)"},
		{[]Grant{grant("g3", time.Hour)}, "(grant g3 of rule R1)"},
	} {
		d := Decide(NewSnapshot(must(t, requestable), c.grants), q, office)
		if text := d.Explain().Text; !strings.Contains(text, c.want) {
			t.Errorf("got %q, want %q in it", text, c.want)
		}
	}
	q.Action = action(t, "files.read:/etc")
	if d := Decide(NewSnapshot(must(t, requestable), []Grant{grant("g1", time.Hour, "Lea Lang")}), q, office); d.Approvers() != nil {
		t.Errorf("a refusal names %q", d.Approvers())
	}
}
