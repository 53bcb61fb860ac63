package authz

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/id"
)

// dice makes policies, grants and people out of few words, so that they meet often.
type dice struct{ *rand.Rand }

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 7)) }

func (d dice) of(words ...string) string { return words[d.IntN(len(words))] }

func (d dice) some(words ...string) []string {
	out := slices.DeleteFunc(slices.Clone(words), func(string) bool { return d.IntN(2) == 0 })
	if len(out) == 0 {
		out = words[:1]
	}
	return out
}

func array(words []string) string { return `["` + strings.Join(words, `", "`) + `"]` }

var madeRoles = []string{
	`shell = { as = ["svc", "root"] }`, `run = { as = ["svc", "root"], argv = [["/bin/x", "{word}"], ["/bin/x", ` +
		`"{number}", "a"]] }`, `files = { read = ["/var", "/opt/a"], write = ["/opt/a/in"] }`,
	"ports = [\"plc.local:102\"]\nweb = [\"hmi\"]", `desktop = "control"`, `desktop = "view"`,
	"shell = { as = [\"svc\"] }\nrun = { as = [\"svc\"], argv = [[\"/bin/x\", \"{word}\"], [\"/bin/x\", \"b\"]] " +
		"}\nfiles = { read = [\"/var\"] }\ndesktop = \"control\"",
}

var madeWords = []string{"shell", "shell:root", "run:svc /bin/x b", "run:root /bin/x {word}",
	"run:svc /bin/x {number} a", "files.read:/var/log", "files.read:/var", "files.write", "ports:plc.local:102",
	"web", "desktop.view", "desktop.control"}

func (d dice) devices() string {
	return d.of(`"all"`, `{ kind = "a" }`, `{ kind = ["a", "b"] }`, `{ hall = "*" }`, `{ kind = "b", hall = "1" }`)
}

func (d dice) policy() string {
	var b strings.Builder
	b.WriteString("format = 1\nname = \"made\"\ngroups = [\"g1\", \"g2\", \"g3\"]\n")
	if d.IntN(3) == 0 {
		b.WriteString("never_together = [[\"g1\", \"g3\"]]\n")
	}
	b.WriteString("[labels]\nkind = { needed = true, one_of = [\"a\", \"b\"] }\nhall = {}\n[hours.day]\nzone = " +
		"\"Europe/Berlin\"\ndays = [\"mon\", \"wed\"]\nfrom = \"07:00\"\nto = \"19:00\"\n")
	for i, r := range madeRoles {
		fmt.Fprintf(&b, "[role.r%d]\nwhy = \"made\"\n%s\n", i, r)
	}
	rule := func(kind string, n int, keys string) {
		fmt.Fprintf(&b, "[[%s]]\nid = \"%s%d\"\nwhy = \"made\"\n%s\n", kind, kind, n, keys)
	}
	for i := range 2 + d.IntN(4) {
		who := d.of(array(d.some("g1", "g2", "g3", "machine:m1")), `"everyone"`)
		rule("allow", i, fmt.Sprintf("who = %s\nrole = \"r%d\"\ndevices = %s\nhours = %q", who,
			d.IntN(len(madeRoles)), d.devices(), d.of("always", "day")))
	}
	for i := range 1 + d.IntN(3) {
		extra := d.of("agree = [{ from = \"g3\", count = 1 }]", "agree = \"nobody\"",
			"agree = \"nobody\"\nemergency = true\ntell = [\"g3\"]\nreview_within = \"24h\"")
		rule("request", i, fmt.Sprintf("who = %s\nrole = \"r%d\"\ndevices = %s\nat_most = \"4h\"\n%s",
			array(d.some("g1", "g2", "g3")), d.IntN(len(madeRoles)), d.devices(), extra))
	}
	limits := func() string {
		return d.of("", "who = "+array(d.some("g1", "g2", "g3"))+"\n") +
			d.of("", "for = \"people\"\n", "for = \"machines\"\n") + "devices = " + d.devices() + "\nactions = " +
			array(d.some(append(madeWords, "run:/bin/x b")...)) + "\n"
	}
	for i := range d.IntN(3) {
		rule("require", i, limits()+d.of(`mfa_within = "30m"`, `from = ["192.0.2.0/24"]`, "attended = true",
			"sessions_at_once = 2", "ticket = true", `hours = "day"`))
	}
	for i := range d.IntN(3) {
		rule("deny", i, limits()+d.of("", "only_emergency = true"))
	}
	return b.String()
}

func (d dice) device() Device {
	out := Device{Name: "dev", Labels: map[string]string{"kind": d.of("a", "b")}}
	if d.IntN(2) == 0 {
		out.Labels["hall"] = d.of("1", "2")
	}
	return out
}

// able is somebody for whom every condition holds that can.
func able(groups ...string) Person {
	return Person{ID: id.Principal{Issuer: "made", Subject: "p"}, Groups: groups,
		SecondFactorAt: office.Add(-time.Minute), Address: netip.MustParseAddr("192.0.2.7")}
}

func (d dice) grants(p *Policy) []Grant {
	var out []Grant
	for _, r := range p.rules {
		if r.kind == request && d.IntN(2) == 0 {
			g := Grant{ID: "g-" + r.id, Rule: r.id, Who: able().ID, Device: "dev", From: office.Add(-time.Hour),
				Until: office.Add(time.Hour), Emergency: r.emergency()}
			g.Actions = r.role.gives
			if d.IntN(3) == 0 {
				if some, err := ParsePattern(d.of(madeWords...)); err == nil {
					g.Actions = []Pattern{some.gives()}
				}
			}
			out = append(out, g)
		}
	}
	return out
}

// asking is a question of somebody who has everything that can be had: a ticket, somebody beside the device.
func asking(who Person, dev Device, a Action) Request {
	return Request{Person: who, Device: dev, Action: a, Ticket: "T-1", Attended: true}
}

// worlds makes policies and what decisions need besides, the same every time.
func worlds(t *testing.T, use func(d dice, s *Snapshot, dev Device)) {
	t.Helper()
	made := 0
	for seed := range uint64(1500) {
		d := dice{newRand(seed)}
		p, problems := Load(File{"made.toml", []byte(d.policy())})
		if problems != nil { // most often: a rule that can never match
			if !strings.Contains(problems.Error(), "can never match") {
				t.Fatalf("seed %d: %v", seed, problems.Error())
			}
			continue
		}
		made++
		use(d, NewSnapshot(p, d.grants(p)), d.device())
		if t.Failed() {
			t.Fatalf("seed %d:\n%s", seed, d.policy())
		}
	}
	if made < 500 {
		t.Fatalf("got %d policies, want at least 500", made)
	}
}

// whole makes a command out of a template: places get a word that no rule names.
func whole(t *testing.T, action string) Action {
	return actionOf(t, strings.NewReplacer(anyWord, "zz", anyNumber, "77").Replace(action))
}

func actionOf(t *testing.T, text string) Action {
	t.Helper()
	a, err := ParseAction(text)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestWhatWhoCanListsIsAllowed(t *testing.T) {
	n := 0
	worlds(t, func(d dice, s *Snapshot, dev Device) {
		for _, e := range s.WhoCan(dev, office) {
			who := able(e.Who)
			if name, ok := strings.CutPrefix(e.Who, machinePrefix); ok {
				who = Person{Machine: name, Address: who.Address}
			}
			impossible := slices.ContainsFunc(e.Conditions, func(c string) bool { return !open(s, c) })
			got := Decide(s, asking(who, dev, whole(t, e.Action)), office)
			switch {
			case e.How == HowNow && got.Allowed == impossible:
				t.Errorf("%+v: got %s, want it allowed: %v", e, got.Reason, !impossible)
			case e.How == HowLater && !got.Allowed && got.Reason != OutsideHours && got.Reason != RequirementOpen:
				t.Errorf("%+v: got %s, want it to be a matter of time", e, got.Reason)
			case !got.Allowed && (e.How == HowAsk || e.How == HowEmergency) &&
				!slices.ContainsFunc(got.Explain().CanAsk, func(w Way) bool { return w.Rule == e.Rule }):
				t.Errorf("%+v: got %+v, want the rule among the ways to ask", e, got.Explain())
			}
			n++
		}
	})
	t.Logf("%d entries", n)
}

// open reports whether the hours that a condition names are open: the one condition that a person cannot meet.
func open(s *Snapshot, condition string) bool {
	_, inside := s.Policy.hours["day"].contains(office)
	return inside || !strings.Contains(condition, "keep to "+s.Policy.hours["day"].String()+" (") ||
		strings.HasPrefix(condition, "to ")
}

func TestWhatIsAllowedIsListedByWhoCan(t *testing.T) {
	actions := []string{"shell:svc", "shell:root", "shell:other", "run:svc /bin/x b", "run:root /bin/x b",
		"run:other /bin/x b", "run:svc /bin/x 7", "run:root /bin/x 7 a", "files.read:/var/log/x", "files.read:/opt/a",
		"files.read:/opt",
		"files.write:/opt/a/in/f", "ports:plc.local:102", "web:hmi", "desktop.view", "desktop.control"}
	n := 0
	worlds(t, func(d dice, s *Snapshot, dev Device) {
		at := office.Add(time.Duration(d.IntN(14*24)) * time.Hour)
		who := able(d.some("g1", "g2", "g3", "g4")...)
		who.SecondFactorAt = at
		if d.IntN(4) == 0 {
			who = Person{ID: who.ID, Machine: "m1", Address: who.Address}
		}
		list := s.WhoCan(dev, at)
		for _, e := range list {
			got := Decide(s, asking(who, dev, whole(t, e.Action)), at)
			if e.How == HowNow && len(e.Conditions) == 0 && s.Holds(&e, who, dev) && !got.Allowed &&
				got.Reason != RequirementOpen {
				t.Errorf("%+v is %v's at %s: got %s", e, who.Groups, at, got.Reason)
			}
		}
		for _, word := range actions {
			got := Decide(s, asking(who, dev, actionOf(t, word)), at)
			if !got.Allowed {
				continue
			}
			n++
			if !slices.ContainsFunc(list, func(e Access) bool {
				return e.How == HowNow && e.Rule == got.Rule && e.Grant == got.Grant &&
					gives(s, &e, who, dev, actionOf(t, word))
			}) {
				t.Errorf("%s of %v at %s is allowed by %s %s and not listed in %+v", word, who.Groups, at, got.Rule,
					got.Grant, list)
			}
		}
	})
	t.Logf("%d permissions", n)
}

func gives(s *Snapshot, e *Access, who Person, dev Device, a Action) bool {
	p, err := ParsePattern(e.Action)
	return err == nil && p.covers(&a) && s.Holds(e, who, dev)
}
