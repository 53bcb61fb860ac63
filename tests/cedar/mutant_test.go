package cedar

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cedar-policy/cedar-go"

	"github.com/sallyport/sallyport/authz"
)

// mutants are translations with one mistake. A comparison that does not notice one compares nothing there.
var mutants = []struct {
	name string
	mistake
}{
	{"a deny rule is dropped", policies(func(p *policy) { p.Denies = nil })},
	{"a deny rule for emergencies denies everything", policies(func(p *policy) { each(p.Denies, func(r *rule) { r.OnlyEmergency = false }) })},
	{"a deny rule denies emergencies alone", policies(func(p *policy) { each(p.Denies, func(r *rule) { r.OnlyEmergency = true }) })},
	{"a deny rule is about everybody", policies(func(p *policy) { each(p.Denies, func(r *rule) { r.Who = nil }) })},
	{"a deny rule is about people and machines", policies(func(p *policy) { each(p.Denies, func(r *rule) { r.For = "" }) })},
	{"a deny rule is about every device", policies(func(p *policy) { each(p.Denies, func(r *rule) { r.Devices = nil }) })},
	{"a deny rule is about every action", policies(func(p *policy) { each(p.Denies, func(r *rule) { r.Actions = nil }) })},
	{"the hours of an allow rule are ignored", policies(func(p *policy) { each(p.Allows, func(r *rule) { r.Hours = "always" }) })},
	{"a window into the next day ends at midnight", policies(func(p *policy) { everyHours(p, func(h *hours) { h.To = max(h.To, "24:00") }) })},
	{"the zone of hours is ignored", policies(func(p *policy) { everyHours(p, func(h *hours) { h.Zone = "Etc/GMT-1" }) })},
	{"an allow rule is for everybody", policies(func(p *policy) { each(p.Allows, func(r *rule) { r.Who = "everyone" }) })},
	{"a label of an allow rule is ignored", policies(func(p *policy) { each(p.Allows, func(r *rule) { r.Devices = "all" }) })},
	{"a label of a request rule is ignored", policies(func(p *policy) { each(p.Requests, func(r *rule) { r.Devices = "all" }) })},
	{"a grant outlives its holder's group", policies(func(p *policy) { each(p.Requests, func(r *rule) { r.Who = "everyone" }) })},
	{"a needed label is not needed", policies(func(p *policy) { everyLabel(p, func(l *label) { l.Needed = false }) })},
	{"a label has any value", policies(func(p *policy) { everyLabel(p, func(l *label) { l.OneOf = nil }) })},
	{"a label is not declared", policies(func(p *policy) { delete(p.Labels, "hall") })},
	{"groups are kept apart no more", policies(func(p *policy) { p.Never = nil })},
	{"a command's number is any word", policies(func(p *policy) {
		replaceRole(p, "commands", role{Run: &commands{As: []string{"svc", "root"}, Argv: [][]string{{"/bin/x", "{word}"}, {"/bin/x", "{word}", "a"}}}})
	})},
	{"a command is for one login more", policies(func(p *policy) {
		replaceRole(p, "commands", role{Run: &commands{As: []string{"svc", "root", "other"}, Argv: madeRoles["commands"].Run.Argv}})
	})},
	{"a command of a deny or require rule is of one login", policies(func(p *policy) {
		named := func(r *rule) {
			r.Actions = slices.Clone(r.Actions)
			for i, w := range r.Actions {
				r.Actions[i] = strings.Replace(w, "run:/", "run:svc /", 1)
			}
		}
		each(p.Denies, named)
		each(p.Requires, named)
	})},
	{"a path is all paths", policies(func(p *policy) {
		replaceRole(p, "files", role{Files: &files{Read: []string{"/"}, Write: []string{"/"}}})
	})},
	{"control does not include view", policies(func(p *policy) { replaceRole(p, "control", role{}) })},
	{"a require rule is dropped", policies(func(p *policy) { p.Requires = nil })},
	{"a second factor lasts for ever", policies(func(p *policy) { each(p.Requires, func(r *rule) { r.MFAWithin = longer(r.MFAWithin) }) })},
	{"networks are ignored", policies(func(p *policy) { each(p.Requires, func(r *rule) { r.From = nil }) })},
	{"nobody has to stand beside", policies(func(p *policy) { each(p.Requires, func(r *rule) { r.Attended = false }) })},
	{"one session more is allowed", policies(func(p *policy) { each(p.Requires, func(r *rule) { r.AtOnce += min(1, r.AtOnce) }) })},
	{"no ticket is wanted", policies(func(p *policy) { each(p.Requires, func(r *rule) { r.Ticket = false }) })},
	{"the hours of a require rule are ignored", policies(func(p *policy) { each(p.Requires, func(r *rule) { r.Hours = "" }) })},
	{"a grant has no end", grants(func(g *grant) { g.Until = g.Until.AddDate(1, 0, 0) })},
	{"a grant has no beginning", grants(func(g *grant) { g.From = g.From.AddDate(-1, 0, 0) })},
	{"a grant gives all of its role", grants(func(g *grant) { g.Actions = []string{"*"} })},
	{"a grant is everybody's", grants(func(g *grant) { g.Who = "u1" })},
	{"a grant is for another device", grants(func(g *grant) { g.Device = "dev-1" })},
	{"a grant is an emergency or not, whatever its rule says", mistake{world: func(w *world) {
		each(w.grants, func(g *grant) { r, _ := w.policy.request(g.Rule); g.Emergency = r.Emergency })
	}}},
	{"a machine is a person", questions(func(q *question) { q.Machine = "" })},
	{"a token proves a second factor", questions(func(q *question) { q.Token = false })},
	{"a second factor has to be fresh all the time", questions(func(q *question) { q.Opened = time.Time{} })},
	{"the site is no label", questions(func(q *question) { q.Site = "" })},
	{"a label may be empty", questions(func(q *question) { fill(q.Labels) })},
}

// mistake is made in the policies that Cedar gets, or in the question.
type mistake struct {
	world    func(*world)
	question func(*question)
}

func policies(change func(*policy)) mistake {
	return mistake{world: func(w *world) { change(&w.policy) }}
}

func grants(change func(*grant)) mistake {
	return mistake{world: func(w *world) { each(w.grants, change) }}
}

func questions(change func(*question)) mistake { return mistake{question: change} }

func each[T any](of []T, change func(*T)) {
	for i := range of {
		change(&of[i])
	}
}

func everyLabel(p *policy, change func(*label)) {
	for name, l := range p.Labels {
		change(&l)
		p.Labels[name] = l
	}
}

func everyHours(p *policy, change func(*hours)) {
	for name, h := range p.Hours {
		change(&h)
		p.Hours[name] = h
	}
}

func replaceRole(p *policy, name string, r role) { p.Roles[name] = r }

func longer(within string) string {
	if within == "" {
		return ""
	}
	return "1000d"
}

func fill(labels map[string]string) {
	for name, v := range labels {
		if v == "" {
			labels[name] = "1"
		}
	}
}

func TestAWrongTranslationIsNoticed(t *testing.T) {
	all := made(t)
	for _, m := range mutants {
		t.Run(m.name, func(t *testing.T) {
			for _, a := range all {
				if noticed(t, a, m.mistake) {
					return
				}
			}
			t.Errorf("got the same answers to all questions in %d worlds, want a difference", len(all))
		})
	}
}

// noticed reports whether a mistaken translation answers one of the questions otherwise than authz does.
func noticed(t *testing.T, a asked, m mistake) bool {
	wrong := newWorld(t, a.world.policy.clone(t), slices.Clone(a.world.grants), a.world.around)
	if m.world != nil {
		m.world(&wrong)
	}
	set := translate(t, wrong)
	for _, q := range a.questions {
		put := q
		put.Labels = maps.Clone(q.Labels)
		if m.question != nil {
			m.question(&put)
		}
		entities, request := put.request(t)
		allowed, _ := cedar.Authorize(set, entities, request)
		if bool(allowed) != authz.Decide(a.snapshot, q.asks(t), q.At).Allowed {
			return true
		}
	}
	return false
}
