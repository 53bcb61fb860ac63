package authz

import (
	"testing"
	"time"

	"github.com/sallyport/sallyport/authz/authztest"
	"github.com/sallyport/sallyport/internal/id"
)

// crowd is a policy of 300 allow rules for as many customers, and 10,000 grants in force.
func crowd(t testing.TB) (*Snapshot, Request) {
	t.Helper()
	return site(t, authztest.Grants, authztest.Grant), granted(t, 7)
}

// site has n grants of one rule in force, of the people and for the devices that of names.
func site(t testing.TB, n int, of func(int) (string, id.Principal, id.Device)) *Snapshot {
	t.Helper()
	p := must(t, authztest.Policy(exampleText(t)))
	grants := make([]Grant, n)
	for i := range grants {
		grants[i] = Grant{Rule: "R1", Actions: p.roles["maintain"].gives, From: office.Add(-time.Hour),
			Until: office.Add(time.Hour), Approvers: []string{"Lea Lang"}}
		grants[i].ID, grants[i].Who, grants[i].Device = of(i)
	}
	return NewSnapshot(p, grants)
}

// granted asks for what the grant of person u1 for a press gives.
func granted(t testing.TB, press int) Request {
	t.Helper()
	_, who, _ := authztest.Grant(1)
	_, _, dev := authztest.Grant(press * 500)
	q := Request{Person: person("technicians"), Device: device(string(dev)), Action: action(t, "shell:root"), Ticket: "T-1"}
	q.Person.ID = who
	return q
}

// holder is a person with a grant for a device.
type holder struct {
	who    id.Principal
	device id.Device
}

// spread gives n different people with their devices, some of them with 64 grants.
func spread(grants, n int) []holder {
	out := make([]holder, n)
	for i := range out {
		_, out[i].who, out[i].device = authztest.Holder(i * (grants / n))
	}
	return out
}

func (h holder) asks(q *Request) { q.Person.ID, q.Device.Name = h.who, h.device }

func TestDecidingAllocatesNothing(t *testing.T) {
	s, granted := crowd(t)
	allowed, refused := granted, granted
	allowed.Action, refused.Action = action(t, "shell:svc-ro"), action(t, "shell:nobody")
	for what, c := range map[string]struct {
		r    Request
		want Reason
	}{"by a grant": {granted, Permitted}, "by a rule": {allowed, Permitted}, "refused": {refused, NoRule}} {
		var got Reason
		if n := testing.AllocsPerRun(100, func() { got = Decide(s, c.r, office).Reason }); n != 0 || got != c.want {
			t.Errorf("%s: got %s with %v allocations, want %s with none", what, got, n, c.want)
		}
	}
}

func TestDecidingAmongManyGrantsAllocatesNothing(t *testing.T) {
	const grants = 100_000
	s, of, q := site(t, grants, authztest.Holder), spread(grants, 500), granted(t, 0)
	i := 0
	if n := testing.AllocsPerRun(1000, func() {
		of[i%len(of)].asks(&q)
		if d := Decide(s, q, office); d.Grant == "" || d.Rule != "R1" {
			t.Fatalf("%s on %s: got %s by grant %q of rule %q", q.Person.ID.Subject, q.Device.Name, d.Reason, d.Grant, d.Rule)
		}
		i++
	}); n != 0 {
		t.Errorf("got %v allocations, want none", n)
	}
}

func BenchmarkDecide10000(b *testing.B) {
	s, r := crowd(b)
	b.ReportAllocs()
	for b.Loop() {
		if d := Decide(s, r, office); d.Grant == "" {
			b.Fatalf("got %s", d.Reason)
		}
	}
}

// BenchmarkDecideMillion asks about one grant again and again, and about 2,000 in turn, which are seldom in the processor's
// caches.
func BenchmarkDecideMillion(b *testing.B) {
	s := site(b, authztest.Million, authztest.Holder)
	for _, c := range []struct {
		name    string
		holders int
	}{{"one", 1}, {"many", 2000}} {
		b.Run(c.name, func(b *testing.B) {
			of, i, q := spread(authztest.Million, c.holders), 0, granted(b, 0)
			b.ReportAllocs()
			for b.Loop() {
				of[i].asks(&q)
				if d := Decide(s, q, office); d.Grant == "" {
					b.Fatalf("got %s", d.Reason)
				}
				if i++; i == len(of) {
					i = 0
				}
			}
		})
	}
}

// BenchmarkDecide64 has as many grants of one person for one device as the signer keeps of one person, and each ends later
// than the one before, so that all are looked at.
func BenchmarkDecide64(b *testing.B) {
	q, n := granted(b, 0), time.Duration(0)
	s := site(b, 64, func(int) (string, id.Principal, id.Device) { return "g", q.Person.ID, q.Device.Name })
	for i := range s.Grants {
		s.Grants[i].Until = office.Add(time.Hour + n)
		n += time.Minute
	}
	s = NewSnapshot(s.Policy, s.Grants)
	b.ReportAllocs()
	for b.Loop() {
		if d := Decide(s, q, office); d.Grant == "" {
			b.Fatalf("got %s", d.Reason)
		}
	}
}
