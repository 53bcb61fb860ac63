package authz

import (
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/id"
)

// The example policy is the design's own; it must load as it stands.
func example(t testing.TB) *Policy {
	t.Helper()
	return must(t, exampleText(t))
}

func exampleText(t testing.TB) string {
	t.Helper()
	raw, err := os.ReadFile("testdata/example.toml")
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func must(t testing.TB, text string) *Policy {
	t.Helper()
	p, problems := Load(File{"policy.toml", []byte(text)})
	if problems != nil {
		t.Fatalf("the policy does not load:\n%v", problems.Error())
	}
	return p
}

var berlin = func() *time.Location {
	z, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		panic(err)
	}
	return z
}()

// office is a Wednesday at ten, night the same day at 20:14.
var (
	office = time.Date(2026, 3, 4, 10, 0, 0, 0, berlin)
	night  = time.Date(2026, 3, 4, 20, 14, 0, 0, berlin)
)

func person(groups ...string) Person {
	return Person{ID: id.Principal{Issuer: "https://login.example", Subject: "u1"}, Name: "Jana Keller", Groups: groups,
		SecondFactorAt: office.Add(-5 * time.Minute), Address: netip.MustParseAddr("192.0.2.7")}
}

func job(name string) Person {
	return Person{ID: id.Principal{Issuer: "sallyport", Subject: name}, Machine: name, ViaToken: true}
}

// device makes a device whose labels are complete for the example, and more or other ones as given.
func device(name string, labels ...string) Device {
	d := Device{Name: id.Device(name), Labels: map[string]string{"customer": "brauer", "site": "kassel",
		"kind": "press"}}
	for i := 0; i < len(labels); i += 2 {
		d.Labels[labels[i]] = labels[i+1]
		if labels[i+1] == "" {
			delete(d.Labels, labels[i])
		}
	}
	return d
}

func action(t testing.TB, text string) Action {
	t.Helper()
	a, err := ParseAction(text)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func with(p Person, change func(*Person)) Person { change(&p); return p }

func TestTheExampleDecides(t *testing.T) {
	tech, press := person("technicians"), device("press-7")
	for _, c := range []struct {
		name   string
		who    Person
		device Device
		action string
		at     time.Time
		want   Reason
		rule   string
	}{
		{"a technician looks at a press in office hours", tech, press, "shell:svc-ro", office, Permitted, "A1"},
		{"a technician reads logs below the granted directory", tech, press, "files.read:/var/log/syslog", office,
			Permitted, "A1"},
		{"a path that only begins alike is not below", tech, press, "files.read:/var/logs", office, NoRule, ""},
		{"the screen may be seen and not controlled", tech, press, "desktop.view", office, Permitted, "A1"},
		{"controlling the screen needs more", tech, press, "desktop.control", office, NoRule, ""},
		{"root is not given without asking", tech, press, "shell:root", office, NoRule, ""},
		{"the same look at night is refused for the hour", tech, press, "shell:svc-ro", night, OutsideHours, "A1"},
		{"on a Saturday as well", tech, press, "shell:svc-ro", office.AddDate(0, 0, 3), OutsideHours, "A1"},
		{"a router is not a press", tech, device("r-1", "kind", "edge-router"), "shell:svc-ro", office, NoRule, ""},
		{"a group the policy does not name opens nothing", person("gardeners"), press, "shell:svc-ro", office, NoRule,
			""},
		{"no group opens nothing", person(), press, "shell:svc-ro", office, NoRule, ""},
		{"a second factor of 31 minutes ago is too old", with(tech,
			func(p *Person) { p.SecondFactorAt = office.Add(-31 * time.Minute) }), press, "shell:svc-ro", office,
			RequirementOpen, "A1"},
		{"a second factor from the future is none", with(tech,
			func(p *Person) { p.SecondFactorAt = office.Add(2 * time.Minute) }), press, "shell:svc-ro", office,
			RequirementOpen, "A1"},
		{"no second factor", with(tech, func(p *Person) { p.SecondFactorAt = time.Time{} }), press, "shell:svc-ro",
			office, RequirementOpen, "A1"},
		{"an API token proves no second factor", with(tech, func(p *Person) { p.ViaToken = true }), press,
			"shell:svc-ro", office, RequirementOpen, "A1"},
		{"the nightly job runs its command", job("inventory-job"), press, "run:svc-ro /usr/bin/dpkg-query -W", night,
			Permitted, "A2"},
		{"the job runs nothing else", job("inventory-job"), press, "run:svc-ro /usr/bin/dpkg-query -l", night, NoRule,
			""},
		{"the job gets no shell", job("inventory-job"), press, "shell:svc-ro", office, NoRule, ""},
		{"another job gets nothing", job("other-job"), press, "run:svc-ro /usr/bin/dpkg-query -W", night, NoRule, ""},
		{"a job does not inherit the groups of who made it",
			with(job("x"), func(p *Person) { p.Groups = []string{"technicians"} }), press, "shell:svc-ro", office,
			NoRule, ""},
		{"a job may nothing where who made it may nothing", with(job("inventory-job"),
			func(p *Person) { p.Groups = []string{"technicians", "compliance"} }), press,
			"run:svc-ro /usr/bin/dpkg-query -W", night, NeverTogether, ""},
		{"a person cannot pass as a job by a group's name", person("machine:inventory-job"), press,
			"run:svc-ro /opt/press/bin/version", office, NoRule, ""},
		{"nothing is written to a payment terminal", tech, device("till-1", "kind", "payment-terminal"),
			"files.write:/opt", office, DeniedByRule, ""},
		{"a safety machine needs somebody beside it", tech, device("press-9", "safety", "sil2"), "shell:svc-ro",
			office, RequirementOpen, "A1"},
		{"reading logs on it does not", tech, device("press-9", "safety", "sil2"), "files.read:/var/log", office,
			Permitted, "A1"},
		{"a device without a needed label is reachable by nobody", tech, device("press-8", "customer", ""),
			"shell:svc-ro", office, UnknownLabels, ""},
		{"a label value the policy does not know closes the device", tech, device("press-8", "safety", "SIL3"),
			"shell:svc-ro", office, UnknownLabels, ""},
		{"a misspelt label closes the device, for its guardrail hangs on it", tech,
			device("press-8", "saftey", "sil3"), "shell:svc-ro", office, UnknownLabels, ""},
		{"an officer who is a technician as well may do nothing", person("technicians", "compliance"), press,
			"shell:svc-ro", office, NeverTogether, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := NewSnapshot(example(t), nil)
			d := Decide(s, Request{Person: c.who, Device: c.device, Action: action(t, c.action)}, c.at)
			if d.Reason != c.want || d.Rule != c.rule || d.Allowed != (c.want == Permitted) {
				t.Errorf("got %s by %q (allowed %v), want %s by %q", d.Reason, d.Rule, d.Allowed, c.want, c.rule)
			}
		})
	}
}

func TestARefusalIsASignpost(t *testing.T) {
	tech, press := person("technicians"), device("press-7")
	for _, c := range []struct {
		name, action string
		who          Person
		device       Device
		at           time.Time
		want         string
	}{
		{"asking is the nearest way to root", "shell:root", tech, press, office,
			"You may not open a shell as root on press-7. Nearest: R1 lets you ask for it: ticket, one shift " +
				"lead, up to 4 h."},
		{"at night asking is nearer than waiting", "shell:svc", tech, press, night,
			"You may not open a shell as svc on press-7. Nearest: R1 lets you ask for it: ticket, one shift lead, " +
				"up to 4 h. Then rule G1 wants a second factor proven within 30 min."},
		{"out of hours the rule and the hour are named", "shell:svc-ro", tech, press, night,
			"You may not open a shell as svc-ro on press-7 now: rule A1 is open mon to fri 07:00 to 19:00 " +
				"(Europe/Berlin), and it is Wed 20:14 there. Nearest: rule A1 opens Thu 07:00."},
		{"who is eligible is told of the second factor", "shell:svc-ro",
			with(tech, func(p *Person) { p.SecondFactorAt = time.Time{} }), press, office,
			"You may not open a shell as svc-ro on press-7 yet: rule G1 wants a second factor proven within 30 " +
				"min. Nearest: prove your second factor again."},
		{"a token cannot prove one", "shell:svc-ro", with(tech, func(p *Person) { p.ViaToken = true }), press, office,
			"You may not open a shell as svc-ro on press-7 yet: rule G1 wants a second factor proven within 30 " +
				"min, which an API token cannot prove. Nearest: sign in as yourself, with your second factor."},
		{"what is not visible reads as what does not exist", "shell:root", person("gardeners"), press, office,
			"No machine of the name press-7 is visible to you. Nearest: `sallyport devices list` shows what you " +
				"can reach and what you can ask for. The duties administer, review and own open no session."},
		{"a supplier hears of the owner and of the network", "shell:root", person("supplier-nord"),
			device("press-2", "maker", "nord"), office,
			"You may not open a shell as root on press-2. Nearest: R2 lets you ask for it: ticket, one shift " +
				"lead, the owner, up to 2 h. Then rule G2 wants you to come from 198.51.100.0/24."},
		{"break-glass says what it costs", "shell:root", person("on-call"), press, office,
			"You may not open a shell as root on press-7. Nearest: E1 lets you in at once in an emergency: up to " +
				"30 min, the owner and it-security told, reviewed within 24 h."},
		{"break-glass is not offered where it is forbidden", "shell:root", person("on-call"),
			device("press-3", "safety", "sil3"), office,
			"You may not open a shell as root on press-3. Nearest: it-security@acme.example answers for the policy."},
		{"what nobody gives leads to what is open", "shell:admin", tech, press, office,
			"You may not open a shell as admin on press-7. Nearest: you may open a shell as svc-ro on press-7 now " +
				"(rule A1)."},
		{"a label that is missing is named to who is eligible", "shell:svc-ro", tech,
			device("press-8", "customer", ""), office,
			"You may not open a shell as svc-ro on press-8: the label \"customer\" is missing, and the policy " +
				"needs it. Nearest: an administrator mends the labels of press-8."},
		{"groups that exclude each other are named", "shell:svc-ro", person("technicians", "compliance"), press, office,
			"You are in the groups compliance and technicians, which the policy never allows together, so you may " +
				"do nothing. Nearest: whoever runs your accounts takes you out of one of them."},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := NewSnapshot(example(t), nil)
			got := Decide(s, Request{Person: c.who, Device: c.device, Action: action(t, c.action)},
				c.at).Explain().String()
			if got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}
