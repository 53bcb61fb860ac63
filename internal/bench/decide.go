package main

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// decisions measures one question to the policy. Of the rounds the fastest counts, because other work only adds to the clock.
func decisions(b *bench) ([]row, error) {
	f, err := b.gobench("authz", "^BenchmarkDecide", b.rounds(5), 1)
	if err != nil {
		return nil, err
	}
	g, large, spread, busy := f["Decide10000"], f["DecideMillion/one"], f["DecideMillion/many"], f["Decide64"]
	us := func(g figure) string {
		return fmt.Sprintf("%.2f us, %.0f allocations", slices.Min(g.ns)/1000, median(g.allocs))
	}
	ok := func(g figure, most float64) bool { return slices.Min(g.ns) <= most && median(g.allocs) == 0 }
	reference, beside, err := b.cedar(slices.Min(g.ns))
	return []row{
		{"authz decision, 10,000 grants, 300 rules", "<= 2 us, 0 allocations", us(g), reference, beside, met(ok(g, 2000))},
		{"The same, 1,000,000 grants of 118,000 people, the same question again", "<= 0.5 us, 0 allocations", us(large), "10,000 grants " + us(g),
			ratio(slices.Min(large.ns), slices.Min(g.ns)), met(ok(large, 500))},
		{"The same, 2,000 people in turn, whose grants are not in the processor's caches", "-", us(spread), "the same question again " + us(large),
			ratio(slices.Min(spread.ns), slices.Min(large.ns)), ""},
		{"The same, 64 grants of the person for the device, as many as the signer keeps", "<= 0.5 us, 0 allocations", us(busy), "-", "", met(ok(busy, 500))},
	}, err
}

// cedar measures the same question to Cedar, by the policies that tests/cedar makes of the same rules and grants. Its module
// is not one of the product's, so it may be missing.
func (b *bench) cedar(ours float64) (reference, beside string, err error) {
	fetch := exec.Command("go", "mod", "download")
	fetch.Dir = filepath.Join(b.root, "tests", "cedar")
	if out, err := fetch.CombinedOutput(); err != nil {
		b.say("authz: go mod download in tests/cedar: %v: %s", err, out)
		return "Cedar could not be fetched", "", nil
	}
	f, err := b.gobench("tests/cedar", "^BenchmarkCedar$", b.rounds(5), 1)
	if err != nil {
		return "Cedar was not measured", "", err
	}
	data, policies := slices.Min(f["Cedar/data"].ns), slices.Min(f["Cedar/policies"].ns)
	return fmt.Sprintf("Cedar %.0f us with the grants as data, %.1f ms with a policy for each", data/1000, policies/1e6), ratio(ours, data), nil
}

// requestLists measures a page of 50 of each list of requests, from the call of the API to its answer.
func requestLists(b *bench) ([]row, error) {
	f, err := b.gobench("web/api", "^BenchmarkRequests$", b.rounds(3), 1)
	if err != nil {
		return nil, err
	}
	var words []string
	slowest := 0.0
	for _, l := range [][2]string{{"inbox", "inbox"}, {"owner", "an owner's"}, {"reviewer", "a reviewer's"}, {"last-page", "its last page"}, {"grants", "grants"}, {"one", "one by its id"}} {
		ns := median(f["Requests/"+l[0]].ns)
		words, slowest = append(words, l[1]+" "+ms(time.Duration(ns))), max(slowest, ns)
	}
	return []row{{"Lists of 10,000 requests, a page of 50", "<= 100 ms each", strings.Join(words, ", "), "-", "", met(slowest > 0 && slowest <= 100e6)}}, nil
}
