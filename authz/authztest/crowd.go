// Package authztest has the policy and the grants by which the time of a decision is measured, so that what is held to
// authz decides on the same.
//
// It knows nothing of authz, whose own tests use it. Only tests import it.
package authztest

import (
	"fmt"
	"strings"

	"github.com/sallyport/sallyport/internal/id"
)

// Rules and Grants say how large the crowd is.
const Rules, Grants = 300, 10_000

// Policy adds an allow rule for each of as many customers to the example policy.
func Policy(example string) string {
	var b strings.Builder
	b.WriteString(example)
	for i := range Rules {
		fmt.Fprintf(&b, "\n[[allow]]\nid = \"C%d\"\nwhy = \"customer\"\nwho = [\"technicians\"]\nrole = \"diagnose\"\ndevices = { customer = \"c%d\" }\nhours = \"office\"\n", i, i)
	}
	return b.String()
}

// Grant says whose grant the i-th is, for which device: each of 500 people has one for each of 20 presses. All are of rule
// R1, give its whole role and last from an hour before the question to an hour after it.
func Grant(i int) (name string, who id.Principal, device id.Device) {
	return fmt.Sprintf("g%d", i), id.Principal{Issuer: "https://login.example", Subject: fmt.Sprintf("u%d", i%500)}, id.Device(fmt.Sprintf("press-%d", i/500))
}

// Million is the number of grants of a large site.
const Million = 1_000_000

// Holder says whose grant the i-th of a large site is, for which device: each of the first 1,000 people has 64, for as many
// devices, and each of the others 8.
func Holder(i int) (name string, who id.Principal, device id.Device) {
	const busy, most, some, devices = 1_000, 64, 8, 10_000
	person, nth := i/most, i%most
	if i >= busy*most {
		person, nth = busy+(i-busy*most)/some, (i-busy*most)%some
	}
	return fmt.Sprintf("g%d", i), id.Principal{Issuer: "https://login.example", Subject: fmt.Sprintf("u%d", person)},
		id.Device(fmt.Sprintf("press-%d", (person*7+nth)%devices))
}
