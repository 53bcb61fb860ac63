package authz

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// cellNames reports whether a cell names a rule.
func cellNames(cell, rule string) bool {
	return regexp.MustCompile(`(^|; )` + regexp.QuoteMeta(rule) + `( |;|$)`).MatchString(cell)
}

// classOf finds the selector that a row's devices were written from.
func classOf(p *Policy, r *MatrixRow) selector {
	for _, x := range p.rules {
		if x.devices.String() == r.Devices {
			return x.devices
		}
	}
	return nil
}

// TestAMatrixLeavesNothingOut asks Decide and WhoCan for everything on a device and looks it up in the rows whose
// class the device belongs to: what gives, what must be so as well, and what takes away.
func TestAMatrixLeavesNothingOut(t *testing.T) {
	worlds(t, func(d dice, s *Snapshot, dev Device) {
		p, rows := s.Policy, Matrix(s.Policy)
		here := slices.DeleteFunc(slices.Clone(rows), func(r MatrixRow) bool {
			return r.Devices == "" || strings.HasPrefix(r.Role, dutyRole) || !classOf(p, &r).matches(&dev)
		})
		for _, e := range NewSnapshot(p, nil).WhoCan(dev, office) {
			if !slices.ContainsFunc(here, func(r MatrixRow) bool {
				cell := map[string]string{HowNow: r.Allow, HowLater: r.Allow, HowAsk: r.Ask,
					HowEmergency: r.Emergency}[e.How]
				return r.Who == e.Who && r.Role == e.Role && cellNames(cell, e.Rule)
			}) {
				t.Errorf("%+v is in no row of %+v", e, here)
			}
		}
		for i := range here {
			r := &here[i]
			for _, given := range p.roles[r.Role].gives {
				for _, a := range given.actions() {
					asked := Request{Person: Person{Groups: []string{r.Who}}, Device: dev,
						Action: whole(t, a.String()), LiveSessions: 9}
					if isMachine(r.Who) {
						asked.Person = Person{Machine: "m1"}
					}
					switch got := Decide(NewSnapshot(p, nil), asked, office); {
					case got.Reason == DeniedByRule && !cellNames(r.Never, got.DeniedBy):
						t.Errorf("%s of %s on %v is denied by %s, which is not in %+v", a, r.Who, dev.Labels,
							got.DeniedBy, r)
					case got.Reason == RequirementOpen && !cellNames(r.Must, got.Missing):
						t.Errorf("%s of %s on %v misses %s, which is not in %+v", a, r.Who, dev.Labels, got.Missing, r)
					}
				}
			}
		}
	})
}

func TestAMatrixHasARowForEveryGroupWithEveryRole(t *testing.T) {
	p := example(t)
	rows := Matrix(p)
	for _, g := range p.Groups() {
		for _, role := range p.roleOrder {
			if !slices.ContainsFunc(rows, func(r MatrixRow) bool { return r.Who == g && r.Role == role }) {
				t.Errorf("no row for %s with %s", g, role)
			}
		}
	}
}

// TestAMatrixNamesTheGroupsWithADuty: nobody may watch or replay whom the matrix does not name.
func TestAMatrixNamesTheGroupsWithADuty(t *testing.T) {
	p := must(t, strings.Replace(exampleText(t), "[duties]", "[duties]\nown = [\"supplier-nord\", \"on-call\"]", 1))
	for _, d := range duties {
		for _, g := range p.Groups() {
			want := slices.Contains(p.Duties([]string{g}), d)
			i := slices.IndexFunc(Matrix(p), func(r MatrixRow) bool { return r.Who == g && r.Role == "duty "+string(d) })
			if (i >= 0) != want {
				t.Errorf("%s with the duty %s: got row %d, want one %v", g, d, i, want)
			}
			if d == DutyOwn && want {
				row := Matrix(p)[i]
				if row.Devices != "the sites they own" || !strings.HasPrefix(row.Gives, "watch and replay the sessions") {
					t.Errorf("got %+v", row)
				}
			}
		}
	}
}

func TestAMatrixNamesTheLoginOfEachCommand(t *testing.T) {
	before := Matrix(example(t))
	i := slices.IndexFunc(before, func(r MatrixRow) bool { return r.Role == "inventory" && r.Devices == "all" })
	want := "run:svc-ro /usr/bin/dpkg-query -W; run:svc-ro /opt/press/bin/version"
	if i < 0 || before[i].Gives != want {
		t.Fatalf("got row %d of %+v, want one that gives %q", i, before, want)
	}
	asRoot := strings.Replace(exampleText(t), `run     = { as = ["svc-ro"]`, `run     = { as = ["root"]`, 1)
	if after := Matrix(must(t, asRoot)); after[i].Gives == want {
		t.Error("the matrix is the same for commands as root")
	}
}
