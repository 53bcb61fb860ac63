package main

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/internal/id"
)

var update = flag.Bool("update", false, "write the transcripts of docs/policy.md anew")

// policyPage reads docs/policy.md: its policy, which is all its toml blocks one after the other, and its transcripts.
func policyPage(t *testing.T) (page, policy string, transcripts []string) {
	t.Helper()
	raw, err := os.ReadFile("../../docs/policy.md")
	if err != nil {
		t.Fatal(err)
	}
	var blocks []string
	for _, m := range regexp.MustCompile("(?s)```(toml|console)\n(.*?)```").FindAllStringSubmatch(string(raw), -1) {
		if m[1] == "toml" {
			blocks = append(blocks, m[2])
		} else {
			transcripts = append(transcripts, m[2])
		}
	}
	return string(raw), strings.Join(blocks, "\n"), transcripts
}

// TestThePolicyPageIsTrue runs every command of the page on the page's own policy.
func TestThePolicyPageIsTrue(t *testing.T) {
	page, policy, transcripts := policyPage(t)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "policy.toml"), []byte(policy), 0o600); err != nil {
		t.Fatal(err)
	}
	if len(transcripts) != 3 {
		t.Fatalf("got %d transcripts, want 3", len(transcripts))
	}
	for _, want := range transcripts {
		var got strings.Builder
		for _, line := range strings.Split(want, "\n") {
			if command, ok := strings.CutPrefix(line, "$ "); ok {
				sh := exec.Command("sh", "-c", command)
				sh.Dir = dir
				out, err := sh.CombinedOutput()
				if _, failed := err.(*exec.ExitError); err != nil && !failed {
					t.Fatal(err)
				}
				got.WriteString(line + "\n" + strings.ReplaceAll(string(out), "\r\n", "\n"))
			}
		}
		if got.String() == want {
			continue
		}
		t.Errorf("docs/policy.md has drifted (write it anew with -update); got\n%s", got.String())
		page = strings.Replace(page, want, got.String(), 1)
	}
	if *update {
		if err := os.WriteFile("../../docs/policy.md", []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestThePolicyPageNamesEveryKey asks the loader which keys each table knows: it says so of one that it does not know.
func TestThePolicyPageNamesEveryKey(t *testing.T) {
	page, policy, _ := policyPage(t)
	found := 0
	for _, head := range []string{"format  = 1", "[duties]", "needed = true, one_of", "[hours.office]", "[role.maintain]", "[[allow]]", "[[request]]", "[[require]]", "[[deny]]"} {
		text := strings.Replace(policy, head, head+"\nqqqq = 1", 1)
		if strings.HasPrefix(head, "needed") {
			text = strings.Replace(policy, head, "qqqq = 1, "+head, 1)
		}
		_, problems := authz.Load(authz.File{Name: "policy.toml", Text: []byte(text)})
		for _, p := range problems {
			keys, ok := strings.CutPrefix(p.Write, "one of ")
			if !ok || !strings.Contains(p.Text, "qqqq") {
				t.Fatalf("%s: got %s, want a list of keys", head, p)
			}
			for _, key := range strings.Split(keys, ", ") {
				found++
				if !strings.Contains(page, "`"+key+"`") && !regexp.MustCompile("(?m)\\[\\[?"+key+`[.\]]`).MatchString(page) {
					t.Errorf("docs/policy.md does not name the key %s of %s", key, head)
				}
			}
		}
	}
	if found < 60 {
		t.Errorf("got %d keys, want 60 and more", found)
	}
}

// TestThePolicyPageQuotesARefusal as the page's own policy gives it.
func TestThePolicyPageQuotesARefusal(t *testing.T) {
	page, policy, _ := policyPage(t)
	p, problems := authz.Load(authz.File{Name: "policy.toml", Text: []byte(policy)})
	if problems != nil {
		t.Fatal(problems.Error())
	}
	root, err := authz.ParseAction("shell:root")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 3, 4, 10, 0, 0, 0, time.UTC)
	r := authz.Request{Action: root, Device: authz.Device{Name: "press-7", Labels: map[string]string{"customer": "brauer", "kind": "press"}},
		Person: authz.Person{ID: id.Principal{Issuer: "x", Subject: "jana"}, Groups: []string{"technicians"}, SecondFactorAt: now}}
	if got := authz.Decide(authz.NewSnapshot(p, nil), r, now).Explain().String(); !strings.Contains(page, "> "+got+"\n") {
		t.Errorf("docs/policy.md does not quote %q", got)
	}
}
