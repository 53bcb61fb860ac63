package cedar

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// dice makes policies and grants out of few words, so that they meet often.
type dice struct{ *rand.Rand }

func roll(seed uint64) dice { return dice{rand.New(rand.NewPCG(seed, 2026))} }

func one[T any](d dice, of ...T) T { return of[d.IntN(len(of))] }

// some takes a part of them, at least one.
func some[T any](d dice, of ...T) []T {
	out := slices.Clone(of)
	d.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out[:1+d.IntN(len(out))]
}

// in says yes one time in n.
func (d dice) in(n int) bool { return d.IntN(n) == 0 }

var (
	someGroups  = []string{"g1", "g2", "g3", "g4"}
	subjects    = []string{"g1", "g2", "g3", "g4", "machine:m1", "machine:m2"}
	accounts    = []string{"u1", "u1@other", "job"}
	devs        = []string{"dev-1", "dev-2"}
	durations   = []string{"30m", "90s", "1h30m", "7d"}
	someActions = []string{"*", "shell", "shell:root", "run", "run:svc /bin/x b", "run:root /bin/x {word}", "run:svc /bin/x {number} a", "files.read:/var/log", "files.read:/var", "files.write",
		"files.write:/", "ports:plc.local:102", "ports", "web:hmi", "web", "desktop.view", "desktop.control"}
	madeRoles = map[string]role{
		"shells":   {Shell: &shell{As: []string{"svc", "root"}}},
		"commands": {Run: &commands{As: []string{"svc", "root"}, Argv: [][]string{{"/bin/x", "{word}"}, {"/bin/x", "{number}", "a"}, {"/bin/x", "a b*", "it's"}, {"/bin/y"}}}},
		"files":    {Files: &files{Read: []string{"/var", "/opt/a*"}, Write: []string{"/opt/a/in"}}, Shell: &shell{As: []string{"svc"}}},
		"reader":   {Files: &files{Read: []string{"/"}}},
		"ports":    {Ports: []string{"plc.local:102", "[2001:db8::1]:22"}, Web: []string{"hmi"}},
		"control":  {Desktop: "control"},
		"view":     {Desktop: "view", Web: []string{"hmi", "log"}},
	}
	// moments near which clocks change somewhere, and one near which none does.
	changes = []time.Time{time.Date(2026, 3, 4, 9, 0, 0, 0, time.UTC), time.Date(2026, 3, 29, 1, 0, 0, 0, time.UTC), time.Date(2026, 10, 25, 1, 0, 0, 0, time.UTC),
		time.Date(2026, 10, 3, 15, 30, 0, 0, time.UTC), time.Date(2026, 11, 1, 5, 0, 0, 0, time.UTC), time.Date(2011, 12, 30, 10, 0, 0, 0, time.UTC)}
	zones = []string{"Europe/Berlin", "Europe/Berlin", "Asia/Beirut", "Australia/Lord_Howe", "America/Havana", "Pacific/Apia", "Asia/Kathmandu", "UTC"}
	spans = [][2]string{{"07:00", "19:00"}, {"22:30", "06:00"}, {"02:15", "02:45"}, {"00:00", "24:00"}, {"12:00", "00:00"}, {"00:00", "00:00"}, {"01:45", "01:30"}, {"23:15", "24:00"}}
)

func (d dice) policy() policy {
	p := policy{Format: 1, Name: "made", Groups: someGroups, Labels: d.labels(), Hours: map[string]hours{"day": d.hours(), "night": d.hours()}, Roles: map[string]role{}}
	for name, r := range madeRoles {
		r.Why = "made"
		p.Roles[name] = r
	}
	if d.in(4) {
		p.Never = [][]string{some(d, "g1", "g2", "g3")}
		p.Never[0] = slices.Compact(append(p.Never[0], "g4"))
	}
	if d.in(4) {
		p.Duties = map[string][]string{"administer": {"g1"}, "approve": {"g2"}}
	}
	for i := range 1 + d.IntN(4) {
		p.Allows = append(p.Allows, d.allow(i))
	}
	for i := range 1 + d.IntN(3) {
		p.Requests = append(p.Requests, d.request(i))
	}
	for i := range d.IntN(4) {
		p.Requires = append(p.Requires, d.require(i))
	}
	for i := range d.IntN(3) {
		r := d.closing("D", i)
		r.OnlyEmergency = d.in(3)
		p.Denies = append(p.Denies, r)
	}
	return p
}

func (d dice) labels() map[string]label {
	return map[string]label{"kind": {OneOf: []string{"a", "b", "c"}, Needed: !d.in(4)}, "hall": {}, "site": {Needed: d.in(3)}}
}

func (d dice) hours() hours {
	span := one(d, spans...)
	return hours{Zone: one(d, zones...), Days: some(d, "mon", "tue", "wed", "thu", "fri", "sat", "sun"), From: span[0], To: span[1]}
}

// chosen gives a selector; labels that every made policy declares.
func (d dice) chosen() map[string]any {
	return one(d, map[string]any{"kind": "a"}, map[string]any{"kind": []string{"a", "b"}}, map[string]any{"hall": "*"}, map[string]any{"kind": "b", "hall": []string{"1", "2"}}, map[string]any{"site": "s1"})
}

func (d dice) opening(id string, n int) rule {
	r := rule{ID: fmt.Sprintf("%s%d", id, n), Why: "made", Role: one(d, "shells", "commands", "files", "reader", "ports", "control", "view"), Who: "everyone", Devices: "all"}
	if !d.in(5) {
		r.Who = some(d, subjects...)
	}
	if !d.in(3) {
		r.Devices = d.chosen()
	}
	return r
}

func (d dice) allow(n int) rule {
	r := d.opening("A", n)
	r.Hours = one(d, "always", "day", "night")
	return r
}

func (d dice) request(n int) rule {
	r := d.opening("R", n)
	r.AtMost, r.Agree = "4h", "nobody"
	switch d.IntN(3) {
	case 0:
		r.Emergency, r.Tell, r.ReviewWithin = true, []string{"g4"}, "24h"
	case 1:
		r.Agree = []map[string]any{{"from": "g4", "count": 1}}
	}
	return r
}

// closing makes what require and deny rules share.
func (d dice) closing(id string, n int) rule {
	r := rule{ID: fmt.Sprintf("%s%d", id, n), Why: "made", For: one(d, "", "", "people", "machines")}
	if d.in(10) { // a command as every login, wherever and whoever
		return rule{ID: r.ID, Why: r.Why, Actions: []string{"run:/bin/x {word}"}}
	}
	switch d.IntN(4) {
	case 0:
		r.Who = "everyone"
	case 1, 2:
		r.Who = some(d, someGroups...)
		if r.For != "people" && d.in(2) {
			r.Who = append(some(d, someGroups...), "machine:m1")
		}
	}
	if !d.in(3) {
		r.Devices = d.chosen()
	}
	if !d.in(4) {
		r.Actions = some(d, append(someActions, "run:/bin/x b")...) // without a login: as every login
		r.Actions = r.Actions[:min(3, len(r.Actions))]
	}
	return r
}

func (d dice) require(n int) rule {
	r := d.closing("G", n)
	for range 1 + d.IntN(2) {
		switch d.IntN(6) {
		case 0:
			r.MFAWithin = one(d, durations...)
		case 1:
			r.From = some(d, "192.0.2.0/24", "198.51.100.7/32", "2001:db8::/32")
		case 2:
			r.Attended = true
		case 3:
			r.AtOnce = 1 + d.IntN(2)
		case 4:
			r.Ticket = true
		case 5:
			r.Hours = one(d, "day", "night")
		}
	}
	return r
}

// grants approves requests: most as their rule has it, some that are void.
func (d dice) grants(p policy, around time.Time) []grant {
	var out []grant
	for i := range d.IntN(6) {
		r := one(d, p.Requests...)
		g := grant{ID: fmt.Sprintf("g%d", i), Rule: r.ID, Who: one(d, accounts...), Device: one(d, devs...), Emergency: r.Emergency, From: around.Add(-time.Duration(d.IntN(5000)) * time.Second)}
		g.Until = g.From.Add(time.Duration(1+d.IntN(4)) * time.Hour)
		g.Actions = []string{"*"}
		if d.in(2) {
			g.Actions = some(d, someActions[1:]...)
		}
		switch d.IntN(20) {
		case 0:
			g.Rule = p.Allows[0].ID
		case 1:
			g.Rule = "R9"
		case 2:
			g.Emergency = !g.Emergency
		}
		out = append(out, g)
	}
	return out
}

func (d dice) world(t testing.TB) world {
	p, around := d.policy(), one(d, changes...)
	return newWorld(t, p, d.grants(p, around), around)
}
