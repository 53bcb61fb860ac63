package authz

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/id"
)

// altered is a policy with one line changed, or one rule removed.
func (d dice) altered(text string) string {
	parts := strings.Split(text, "\n[[")
	i := 1 + d.IntN(len(parts)-1)
	if d.IntN(2) == 0 {
		return strings.Join(slices.Delete(slices.Clone(parts), i, i+1), "\n[[")
	}
	swaps := []string{`"always"`, `"day"`, `"4h"`, `"1h"`, `"all"`, `{ kind = "a" }`, `{ hall = "*" }`, `{ kind = "b", hall = "1" }`,
		`"g1", "g2"`, `"g1"`, `"g3"`, `"machine:m1"`, `count = 1`, `count = 2`, `"30m"`, `"10m"`, `for = "people"`, `for = "machines"`,
		`"shell"`, `"shell:root"`, `"r0"`, `"r6"`, `"192.0.2.0/24"`, `"192.0.2.0/25"`, `at_once = 2`, `at_once = 1`, `only_emergency = true`, ``}
	for range 50 {
		j := d.IntN(len(swaps)/2) * 2
		from, to := swaps[j], swaps[j+1]
		if d.IntN(2) == 0 && to != "" {
			from, to = to, from
		}
		if next := strings.Replace(parts[i], from, to, 1); next != parts[i] {
			parts[i] = next
			break
		}
	}
	return strings.Join(parts, "\n[[")
}

// TestWithoutAGainNobodyCanDoMore compares decisions under thousands of pairs of policies and devices that differ a little.
func TestWithoutAGainNobodyCanDoMore(t *testing.T) {
	pairs, without, more := 0, 0, 0
	for seed := range uint64(1500) {
		d := dice{newRand(seed)}
		text := d.policy()
		before, problems := Load(File{"made.toml", []byte(text)})
		if problems != nil {
			continue
		}
		after, problems := Load(File{"made.toml", []byte(d.altered(text))})
		if problems != nil {
			continue
		}
		c := DeviceChange{d.device(), Device{}}
		if c.After = c.Before; d.IntN(3) == 0 {
			after, c.After = before, d.device()
		}
		pairs++
		grants := d.grants(before)
		if gains := Gains(before, after, []DeviceChange{c}); len(gains) > 0 {
			more++
			continue
		}
		without++
		if what := gained(NewSnapshot(before, grants), NewSnapshot(after, grants), c); what != "" {
			t.Fatalf("seed %d: no gain is named, and yet %s\nbefore:\n%s\nafter, on %v:\n%s", seed, what, text, c, dice{newRand(seed)}.altered(text))
		}
		if before == after {
			continue
		}
		to := d.device() // that comes later
		if what := gained(NewSnapshot(before, nil), NewSnapshot(after, nil), DeviceChange{to, to}); what != "" {
			t.Fatalf("seed %d: no gain is named, and yet on a device that comes later %s\nbefore:\n%s\nafter, on %v", seed, what, text, to)
		}
	}
	if t.Logf("%d pairs, %d with a gain, %d without", pairs, more, without); without < 200 || more < 200 {
		t.Error("want at least 200 of each kind")
	}
}

// gained finds a person who can do or request more after a change.
func gained(before, after *Snapshot, c DeviceChange) string {
	for _, who := range everyKindOfPerson() {
		for _, text := range manyActions {
			a, err := ParseAction(text)
			if err != nil {
				return err.Error()
			}
			for _, now := range []time.Time{office, office.Add(14 * time.Hour)} {
				was, is := Decide(before, asking(who, c.Before, a), now), Decide(after, asking(who, c.After, a), now)
				if is.Allowed && (!was.Allowed || is.Grant == "" && later(is.Until, was.Until)) {
					return fmt.Sprintf("%v may %s by rule %s; it was %s", who, text, is.Rule, was.Reason)
				}
				if was.Allowed || was.Reason == RequirementOpen { // then there was a rule that gives it, and nobody has to ask
					continue
				}
				for _, w := range is.Explain().CanAsk {
					if !slices.ContainsFunc(was.Explain().CanAsk, func(o Way) bool { return o.Rule == w.Rule }) {
						return fmt.Sprintf("%v may ask to %s by rule %s", who, text, w.Rule)
					}
				}
			}
		}
	}
	return ""
}

var manyActions = []string{"shell:svc", "shell:root", "run:svc /bin/x b", "run:root /bin/x b", "run:svc /bin/x 7", "run:root /bin/x 7 a",
	"files.read:/var/log/x", "files.read:/opt/a", "files.write:/opt/a/in/f", "ports:plc.local:102", "web:hmi", "desktop.view", "desktop.control"}

// everyKindOfPerson gives people of every combination of groups, machines, and people who do not meet some condition.
func everyKindOfPerson() []Person {
	out := []Person{{Machine: "m1", Address: netip.MustParseAddr("192.0.2.7")}, {Machine: "m2"}}
	for bits := range 8 {
		var groups []string
		for i, g := range []string{"g1", "g2", "g3"} {
			if bits>>i&1 == 1 {
				groups = append(groups, g)
			}
		}
		late := able(groups...)
		late.SecondFactorAt = office.Add(-20 * time.Minute)
		far := able(groups...)
		far.Address = netip.MustParseAddr("192.0.2.200")
		out = append(out, able(groups...), late, far)
	}
	return out
}

const gainsPolicy = `format = 1
name = "press"
groups = ["techs", "leads", "admins", "chiefs"]
never_together = [["techs", "admins"]]
[duties]
administer = ["admins"]
approve = ["leads"]
[labels]
kind = { needed = true, one_of = ["press", "oven"] }
hall = {}
[hours.day]
zone = "UTC"
days = ["mon", "tue"]
from = "08:00"
to = "16:00"
[role.work]
why = "service"
shell = { as = ["svc"] }
files = { read = ["/var/log"] }
[[allow]]
id = "presses"
why = "service"
who = ["techs"]
role = "work"
devices = { kind = "press" }
hours = "day"
[[request]]
id = "ovens"
why = "service"
who = ["techs"]
role = "work"
devices = { kind = "oven" }
at_most = "1h"
agree = [{ from = "leads", count = 2 }]
[[require]]
id = "fresh"
why = "safety"
devices = "all"
mfa_within = "30m"
[[deny]]
id = "never-read"
why = "secrets"
who = ["chiefs"]
devices = "all"
actions = ["files.read:/var/log/secret"]
`

func TestGainsAreNamed(t *testing.T) {
	press := Device{Name: "press-1", Labels: map[string]string{"kind": "press"}}
	oven := Device{Name: "oven-1", Labels: map[string]string{"kind": "oven"}}
	for _, c := range []struct{ what, from, to, want string }{
		{"nothing", "", "", ""},
		{"a rule for devices that there are not", "[[require]]", "[[allow]]\nid = \"ghost\"\nwhy = \"x\"\nwho = \"everyone\"\nrole = \"work\"\ndevices = { kind = [\"press\", \"oven\"], hall = \"9\" }\nhours = \"always\"\n[[require]]",
			"everyone files.read:/var/log now ghost []hall=9, kind=press|oven; everyone shell:svc now ghost []hall=9, kind=press|oven"},
		{"longer hours", `to = "16:00"`, `to = "18:00"`, "techs shell:svc in mon, tue 08:00 to 18:00 (UTC) presses [press-1]; techs files.read:/var/log in mon, tue 08:00 to 18:00 (UTC) presses [press-1]"},
		{"shorter hours", `from = "08:00"`, `from = "09:00"`, ""},
		{"another login", `as = ["svc"]`, `as = ["svc", "root"]`, "techs shell:root may ask: ticket, two leads, up to 1 h ovens [oven-1]; techs shell:root in mon, tue 08:00 to 16:00 (UTC) presses [press-1]"},
		{"a path that a limit kept from sessions with its parent", `read = ["/var/log"]`, `read = ["/var/log/press"]`,
			"techs files.read:/var/log/press in mon, tue 08:00 to 16:00 (UTC) presses [press-1]; techs files.read:/var/log/press may ask: ticket, two leads, up to 1 h ovens [oven-1]"},
		{"two rules become one", `shell = { as = ["svc"] }`, `shell = { as = ["svc"] }` + "\nweb = [\"hmi\"]", "techs web:hmi in mon, tue 08:00 to 16:00 (UTC) presses [press-1]; techs web:hmi may ask: ticket, two leads, up to 1 h ovens [oven-1]"},
		{"one approval less", "count = 2", "count = 1", asks("ticket, one lead, up to 1 h")},
		{"one approval more", "count = 2", "count = 3", ""},
		{"a longer grant", `"1h"`, `"2h"`, asks("ticket, two leads, up to 2 h")},
		{"a shorter grant", `"1h"`, `"30m"`, ""},
		{"an older second factor", `"30m"`, `"40m"`, "everyone do anything without a limit fresh [oven-1 press-1]"},
		{"a fresher second factor", `"30m"`, `"20m"`, ""},
		{"a limit for fewer", `who = ["chiefs"]`, `who = ["admins"]`, "chiefs read /var/log/secret or below without a limit never-read [oven-1 press-1]"},
		{"a limit for more", `who = ["chiefs"]`, `who = ["chiefs", "admins"]`, ""},
		{"a duty", `approve = ["leads"]`, `approve = ["leads", "techs"]`, "techs " + dutyWhat[DutyApprove] + " as a duty  []"},
		{"a duty less", "approve = [\"leads\"]\n", "", ""},
		{"both groups", `never_together = [["techs", "admins"]]`, "", "techs and admins anything that either of them may in more than one of the groups  []"},
	} {
		t.Run(c.what, func(t *testing.T) {
			got := said(Gains(loaded(t, gainsPolicy), loaded(t, strings.Replace(gainsPolicy, c.from, c.to, 1)), Unchanged(press, oven)))
			if got != sorted(c.want) {
				t.Errorf("got\n%s\nwant\n%s", got, sorted(c.want))
			}
		})
	}
}

func TestGainsOfALabel(t *testing.T) {
	p := loaded(t, gainsPolicy)
	named := func(kind string) Device { return Device{Name: "dev", Labels: map[string]string{"kind": kind}} }
	if got := Gains(p, p, []DeviceChange{{named("press"), named("oven")}}); len(got) != 2 || got[0].Rule != "ovens" {
		t.Errorf("got %+v, want what rule ovens gives", got)
	}
	if got := Gains(p, p, []DeviceChange{{named("oven"), named("unknown")}}); len(got) != 0 {
		t.Errorf("got %+v, want none for a device that nobody reaches any more", got)
	}
	if got := Gains(p, p, []DeviceChange{{named("unknown"), named("oven")}}); len(got) != 2 {
		t.Errorf("got %+v, want all for a device that nobody reached", got)
	}
}

func TestManyDevicesAreOneGain(t *testing.T) {
	var devices []Device
	for i := range 3000 {
		devices = append(devices, Device{Name: id.Device(fmt.Sprintf("press-%04d", 2999-i)), Labels: map[string]string{"kind": "press"}})
	}
	p := loaded(t, strings.Replace(gainsPolicy, `to = "16:00"`, `to = "18:00"`, 1))
	got := Gains(loaded(t, gainsPolicy), p, Unchanged(devices...))
	if len(got) != 2 || len(got[0].Devices) != listedDevices || got[0].More != 3000-listedDevices || got[0].Devices[0] != "press-0000" || CountDevices(got) != 3000 {
		t.Errorf("got %v", got)
	}
	fewer := Gains(loaded(t, gainsPolicy), p, Unchanged(devices[1:]...))
	if !Expected(got, got) || Expected(fewer, got) || Expected(got, fewer) || !Expected(nil, got) {
		t.Error("a gain on other devices counts as expected")
	}
}

func loaded(t *testing.T, text string) *Policy {
	t.Helper()
	p, problems := Load(File{"p.toml", []byte(text)})
	if problems != nil {
		t.Fatal(problems.Error())
	}
	return p
}

func asks(terms string) string {
	return "techs files.read:/var/log may ask: " + terms + " ovens [oven-1]; techs shell:svc may ask: " + terms + " ovens [oven-1]"
}

func said(gains []Gain) string {
	var out []string
	for _, g := range gains {
		out = append(out, fmt.Sprint(g.Who, " ", g.What, " ", g.How, " ", g.Rule, " ", g.Devices, g.Where))
	}
	return sorted(strings.Join(out, "; "))
}

func sorted(text string) string {
	parts := strings.Split(text, "; ")
	slices.Sort(parts)
	return strings.Join(parts, "; ")
}
