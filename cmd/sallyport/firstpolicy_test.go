package main

import (
	"os"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/authz"
)

// TestPolicyPageShowsTheFirstPolicyAsItIs holds the page's copy to the file that operators install.
func TestPolicyPageShowsTheFirstPolicyAsItIs(t *testing.T) {
	raw, err := os.ReadFile("../../examples/first-policy.toml")
	if err != nil {
		t.Fatal(err)
	}
	if _, problems := authz.Load(authz.File{Name: "first-policy.toml", Text: raw}); len(problems) > 0 {
		t.Errorf("examples/first-policy.toml: %v", problems)
	}
	page, _, _ := policyPage(t)
	_, rest, found := strings.Cut(page, "<!-- file: examples/first-policy.toml -->\n```text\n")
	shown, _, closed := strings.Cut(rest, "```\n")
	if !found || !closed || shown != string(raw) {
		t.Errorf("docs/policy.md shows another first policy than examples/first-policy.toml:\n%s", shown)
	}
}
