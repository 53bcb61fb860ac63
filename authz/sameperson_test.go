package authz

import (
	"strings"
	"testing"

	"github.com/sallyport/sallyport/internal/id"
)

const twoAccounts = "[[same_person]]\nwhy = \"Works for both.\"\naccounts = [\"https://a.test 1\", \"https://b.test ada\"]\n"

func TestAccountsOfOnePerson(t *testing.T) {
	p := loaded(t, gainsPolicy+twoAccounts)
	a, b, other := id.Principal{Issuer: "https://a.test", Subject: "1"}, id.Principal{Issuer: "https://b.test", Subject: "ada"}, id.Principal{Issuer: "https://b.test", Subject: "1"}
	if !p.Same(a, b) || !p.Same(b, a) || !p.Same(other, other) || p.Same(a, other) || (*Policy)(nil).Same(a, b) {
		t.Error("the accounts are not told apart as the policy says")
	}
	said := false
	for _, w := range Words(p) {
		said = said || strings.Contains(w.Text, `"https://a.test 1" and "https://b.test ada" belong to one person`)
	}
	if !said {
		t.Error("no sentence says it")
	}
	if got := Gains(p, loaded(t, gainsPolicy), nil); len(got) != 1 || got[0].String() != "https://b.test ada: no longer counts as the same person as https://a.test 1, for approvals" {
		t.Errorf("when it is removed: got %v", got)
	}
	if got := Gains(loaded(t, gainsPolicy), p, nil); len(got) != 0 {
		t.Errorf("when it is added: got %v", got)
	}
}

func TestSamePersonIsReadStrictly(t *testing.T) {
	for text, want := range map[string]string{
		`accounts = ["https://a.test 1"]`:                     "at least two entries",
		`accounts = ["https://a.test 1", "ada"]`:              "must be an issuer, a space and a subject",
		`accounts = ["https://a.test 1", "https://a.test 1"]`: "twice",
		`accounts = []`: "at least one entry",
		`people = ["https://a.test 1", "https://b.test 1"]`: `has no "accounts"`,
	} {
		_, problems := Load(File{"p.toml", []byte(gainsPolicy + "[[same_person]]\nwhy = \"x\"\n" + text + "\n")})
		if problems == nil || !strings.Contains(problems.Error(), want) {
			t.Errorf("%s: got %v, want %q", text, problems, want)
		}
	}
	if _, problems := Load(File{"p.toml", []byte(gainsPolicy + twoAccounts + strings.Replace(twoAccounts, "https://a.test 1", "https://c.test 1", 1))}); problems == nil {
		t.Error("an account of two people is accepted")
	}
}
