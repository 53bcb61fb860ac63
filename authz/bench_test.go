package authz

import (
	"testing"
	"time"

	"github.com/sallyport/sallyport/authz/authztest"
)

// crowd is a policy of 300 allow rules for as many customers, and 10,000 grants in force.
func crowd(t testing.TB) (*Snapshot, Request) {
	t.Helper()
	p := must(t, authztest.Policy(exampleText(t)))
	grants := make([]Grant, authztest.Grants)
	for i := range grants {
		grants[i] = Grant{Rule: "R1", Actions: p.roles["maintain"].gives, From: office.Add(-time.Hour),
			Until: office.Add(time.Hour)}
		grants[i].ID, grants[i].Who, grants[i].Device = authztest.Grant(i)
	}
	return NewSnapshot(p, grants), Request{Person: person("technicians"), Device: device("press-7"),
		Action: action(t, "shell:root"), Ticket: "T-1"}
}

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

func BenchmarkDecide10000(b *testing.B) {
	s, r := crowd(b)
	b.ReportAllocs()
	for b.Loop() {
		if d := Decide(s, r, office); d.Grant == "" {
			b.Fatalf("got %s", d.Reason)
		}
	}
}
