package authz

import (
	"net/netip"
	"slices"
	"testing"
	"time"
)

func TestWhatIsNotKnownOfOthersIsNotTakenAsGiven(t *testing.T) {
	jana := with(person("technicians"), func(p *Person) { p.SecondFactorAt, p.Address = time.Time{}, netip.Addr{} })
	for _, c := range []struct {
		name, action string
		who          Person
		device       Device
		want         string
		unknown      []string
	}{
		{"a second factor", "shell:svc-ro", jana, device("press-7"),
			"Jana Keller would be told now: You may not open a shell as svc-ro on press-7 yet: rule G1 wants a " +
				"second factor proven within 30 min." +
				" Not known here, and so not taken as given: when Jana Keller last proved a second factor.",
			[]string{"when Jana Keller last proved a second factor"}},
		{"who stands where", "shell:svc-ro", jana, device("press-9", "safety", "sil2"),
			"Jana Keller would be told now: You may not open a shell as svc-ro on press-9 yet: rule G1 wants a " +
				"second factor proven within 30 min; rule G3 wants somebody to stand beside press-9." +
				" Not known here, and so not taken as given: when Jana Keller last proved a second factor and " +
				"whether somebody stands beside press-9.",
			[]string{"when Jana Keller last proved a second factor", "whether somebody stands beside press-9"}},
		{"what no rule gives needs no such word, and what can be asked for is said", "shell:root", jana,
			device("press-7"), "Jana Keller would be told now: You may not open a shell as root on press-7.", nil},
		{"a machine is known to have no second factor", "run:svc-ro /opt/press/bin/version", job("inventory-job"),
			device("press-7"),
			"Jana Keller would be told now: You may run /opt/press/bin/version as svc-ro on press-7 (rule A2).", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := Decide(NewSnapshot(example(t), nil), Request{Person: c.who, Device: c.device,
				Action: action(t, c.action)}, office)
			e, unknown := d.ExplainOf("Jana Keller")
			if e.Text != c.want || !slices.Equal(unknown, c.unknown) {
				t.Errorf("got  %s %q\nwant %s %q", e.Text, unknown, c.want, c.unknown)
			}
			if len(e.CanAsk) == 0 && c.action == "shell:root" {
				t.Errorf("got no way to ask, want R1: %+v", e)
			}
		})
	}
}
