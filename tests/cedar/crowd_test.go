package cedar

import (
	"slices"
	"testing"
	"time"

	"github.com/cedar-policy/cedar-go"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/authz/authztest"
)

// office is a Wednesday at ten in Berlin.
var office = time.Date(2026, 3, 4, 9, 0, 0, 0, time.UTC)

// crowd is the policy and the grants that authz is measured with, and its question.
func crowd(t testing.TB) (world, question) {
	t.Helper()
	text := authztest.Policy(example(t))
	var all []grant
	for i := range authztest.Grants {
		name, who, device := authztest.Grant(i)
		all = append(all, grant{ID: name, Rule: "R1", Who: who.Subject, Device: string(device), Actions: []string{"*"}, From: office.Add(-time.Hour), Until: office.Add(time.Hour)})
	}
	w := newWorld(t, read(t, text), all, office)
	w.written = text
	return w, question{Who: "u1", Groups: []string{"technicians"}, Factor: office.Add(-5 * time.Minute), Address: "192.0.2.7",
		Device: "press-7", Labels: map[string]string{"customer": "brauer", "site": "kassel", "kind": "press"}, Kind: "shell", Arg: "root", Ticket: "T-1", At: office}
}

// asData puts the grants into the entities, where Cedar finds one without looking at all: as tags of the person, by device.
// That holds one grant for a person on a device, which is what the crowd has, and no approved part of a role.
func asData(t testing.TB, w world, q question) (*cedar.PolicySet, cedar.EntityMap, cedar.Request) {
	t.Helper()
	all := w.grants
	w.grants = nil
	x := translation{t, w, translate(t, w)}
	for _, r := range w.policy.Requests {
		if r.Emergency {
			continue // nobody in the crowd has a grant of it
		}
		held := "principal.getTag(resource.name)"
		x.add("request "+r.ID, "permit (principal, action, resource)", append([]string{
			"principal.hasTag(resource.name) && " + held + ".rule == " + quote(r.ID) + " && context.now >= " + held + ".from && context.now < " + held + ".until"},
			append(devices(r), names(r), x.role(r.Role))...), "")
	}
	entities, request := q.request(t)
	tags := map[string]cedar.RecordMap{}
	for _, g := range all {
		if tags[g.Who] == nil {
			tags[g.Who] = cedar.RecordMap{}
		}
		tags[g.Who][cedar.String(g.Device)] = cedar.NewRecord(cedar.RecordMap{"rule": cedar.String(g.Rule), "from": cedar.NewDatetime(g.From), "until": cedar.NewDatetime(g.Until)})
	}
	for who, held := range tags {
		uid := cedar.NewEntityUID("Principal", cedar.String(who))
		e := entities[uid]
		e.UID, e.Tags = uid, cedar.NewRecord(held)
		entities[uid] = e
	}
	press := entities[request.Resource]
	press.Attributes = cedar.NewRecord(cedar.RecordMap{"labels": attribute(t, press, "labels"), "name": cedar.String(q.Device)})
	entities[request.Resource] = press
	return x.s, entities, request
}

func attribute(t testing.TB, e cedar.Entity, name cedar.String) cedar.Value {
	t.Helper()
	v, ok := e.Attributes.Get(name)
	if !ok {
		t.Fatalf("%s has no %s", e.UID, name)
	}
	return v
}

// TestTheCrowdIsDecidedAlike holds the benchmark to its claim, with the grants that the person or the device has: one
// answer to each of three questions, by authz and by Cedar's two ways.
func TestTheCrowdIsDecidedAlike(t *testing.T) {
	w, q := crowd(t)
	w.grants = slices.DeleteFunc(w.grants, func(g grant) bool { return g.Who != q.Who && g.Device != q.Device })
	s, set := w.load(t), translate(t, w)
	for login, want := range map[string]authz.Reason{"root": authz.Permitted, "svc-ro": authz.Permitted, "nobody": authz.NoRule} {
		q.Arg = login
		d, difference := differ(t, s, set, q)
		if difference != "" || d.Reason != want {
			t.Errorf("%s: got %s, want %s\n%s", login, d.Reason, want, difference)
		}
		data, entities, request := asData(t, w, q)
		if allowed, why := cedar.Authorize(data, entities, request); bool(allowed) != d.Allowed || len(why.Errors) > 0 {
			t.Errorf("%s: got %s with the grants as data, %+v, want %v", login, allowed, why, d.Allowed)
		}
	}
}

// BenchmarkCedar is what `make bench` puts beside authz: the question that a grant allows, with the grants as a policy each
// and as data.
func BenchmarkCedar(b *testing.B) {
	w, q := crowd(b)
	b.Run("policies", func(b *testing.B) {
		set := translate(b, w)
		entities, request := q.request(b)
		measure(b, set, entities, request)
	})
	b.Run("data", func(b *testing.B) {
		set, entities, request := asData(b, w, q)
		measure(b, set, entities, request)
	})
}

func measure(b *testing.B, set *cedar.PolicySet, entities cedar.EntityMap, request cedar.Request) {
	b.ReportAllocs()
	for b.Loop() {
		if allowed, _ := cedar.Authorize(set, entities, request); !allowed {
			b.Fatal("got a refusal")
		}
	}
}
