package authz

import (
	"strings"
	"testing"
)

func TestWarningsNameRulesThatCannotWork(t *testing.T) {
	emergency := "[[request]]\nid = \"now\"\nwhy = \"fire\"\nwho = [\"techs\"]\nrole = \"work\"\ndevices = \"all\"\nat_most = \"2h\"\nagree = \"nobody\"\n" +
		"emergency = true\ntell = [\"leads\"]\nreview_within = \"24h\"\n"
	for _, c := range []struct{ what, from, to, want string }{
		{"nothing", "", "", ""},
		{"a group without the duty", `approve = ["leads"]`, `approve = ["chiefs"]`,
			`policy.toml:27: request "ovens": the group "leads" cannot approve, because it does not have the duty approve. Write approve = ["leads"] in [duties].`},
		{"owners without the duty", `from = "leads"`, `from = "@owner"`,
			`policy.toml:27: request "ovens": no group has the duty own, so no owner can approve. Write own = ["owners"] in [duties].`},
		{"an emergency", "[[require]]", emergency + "[[require]]", ""},
		{"a review that is due too early", "[[require]]", strings.Replace(emergency, "24h", "2h", 1) + "[[require]]",
			`policy.toml:35: request "now": the review is due 2 h after the start, before the emergency can end. Write review_within longer than 2 h.`},
	} {
		p, problems := Load(File{"policy.toml", []byte(strings.Replace(gainsPolicy, c.from, c.to, 1))})
		if problems != nil {
			t.Fatalf("%s: %v", c.what, problems.Error())
		}
		var got []string
		for _, w := range p.Warnings() {
			got = append(got, w.String())
		}
		if strings.Join(got, "\n") != c.want {
			t.Errorf("%s: got\n%s\nwant\n%s", c.what, strings.Join(got, "\n"), c.want)
		}
	}
}
