package authz

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the files in testdata anew")

// golden compares with a file of testdata. Whoever changes a sentence changes what people have signed, and sees it
// here.
func golden(t *testing.T, file string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile("testdata/"+file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("testdata/%s has drifted; write it anew with: go test ./authz -update\ngot\n%s", file, got)
	}
}

func sentences(p *Policy) string {
	var b strings.Builder
	for _, s := range Words(p) {
		fmt.Fprintf(&b, "%s %s: %s\n", s.Kind, s.ID, s.Text)
	}
	return b.String()
}

func TestTheExampleInWordsAndAsAMatrix(t *testing.T) {
	p := example(t)
	golden(t, "example.words", []byte(sentences(p)))
	golden(t, "example.csv", MatrixCSV(Matrix(p)))
}

func TestWordsAreTheSameEveryTime(t *testing.T) {
	first, matrix := sentences(example(t)), string(MatrixCSV(Matrix(example(t))))
	for range 20 { // maps come in another order each time
		if p := example(t); sentences(p) != first || string(MatrixCSV(Matrix(p))) != matrix {
			t.Fatal("the same policy gave other words")
		}
	}
}

// TestEveryChangeOfARuleShowsInItsWords: who signs sentences must not sign two policies at once.
func TestEveryChangeOfARuleShowsInItsWords(t *testing.T) {
	for _, c := range []struct{ id, old, new string }{
		{"A1", `["technicians"]`, `"everyone"`}, {"A1", `["technicians"]`, `["technicians", "on-call"]`},
		{"A1", `"diagnose"`, `"maintain"`},
		{"A1", `{ kind = "press" }`, `"all"`}, {"A1", `kind = "press"`, `kind = ["press", "edge-router"]`},
		{"A1", `kind = "press"`, `kind = "*"`},
		{"A1", `"office"`, `"always"`}, {"A1", `hours   = "office"`,
			"hours   = \"office\"\non_expiry = \"finish-command\"\nfinish_at_most = \"15m\""},
		{"A2", `"machine:inventory-job"`, `"on-call"`},
		{"R1", `"4h"`, `"5h"`}, {"R1", `["ticket"]`, `["ticket", "reason"]`}, {"R1", `["ticket"]`, `["reason"]`},
		{"R1", "count = 1", "count = 2"},
		{"R1", `"shift-leads"`, `"@owner"`}, {"R1", `[{ from = "shift-leads", count = 1 }]`, `"nobody"`},
		{"R1", `"30m"`, `"31m"`},
		{"E1", `agree     = "nobody"`, `agree     = [{ from = "shift-leads", count = 1 }]`},
		{"E1", `["@owner", "it-security"]`, `["@owner"]`}, {"E1", `"24h"`, `"48h"`},
		{"E1", "emergency = true", "emergency = false"}, {"G1", `"people"`, `"machines"`}, {"G1", `"30m"`, `"60m"`},
		{"G1", `for     = "people"`, ""},
		{"G2", `who     = ["supplier-nord"]`, ""}, {"G2", `["198.51.100.0/24"]`, `["198.51.100.0/25"]`},
		{"G3", `"*"`, `["sil2", "sil3"]`},
		{"G3", `"shell", `, ""}, {"G3", `"shell", `, `"shell:root", `}, {"G3", "attended = true", ""},
		{"G3", "at_once = 1", "at_once = 2"}, {"G3", "sessions_at_once = 1", ""},
		{"G3", "attended = true", "attended = true\nticket = true"},
		{"G3", "attended = true", "attended = true\nhours = \"office\""},
		{"D1", `"files.write", `, `"files.write:/opt", `}, {"D1", `"everyone"`, `["technicians"]`},
		{"D1", `who     = "everyone"`, `for = "people"`},
		{"D1", `who     = "everyone"`, `for = "machines"`}, {"D2", "only_emergency = true", ""},
		{"D2", `["*"]`, `["shell"]`}, {"D2", `"sil3"`, `"sil2"`},
	} {
		before, rule, after := ruleIn(t, exampleText(t), c.id)
		p, problems := Load(File{"policy.toml", []byte(before + strings.Replace(rule, c.old, c.new, 1) + after)})
		if problems != nil && !strings.Contains(problems.Error(), "review_within belongs") &&
			!strings.Contains(problems.Error(), "can never match") {
			t.Fatalf("%s: %s for %s: %v", c.id, c.new, c.old, problems.Error())
		}
		if p != nil && sentenceOf(p, c.id) == sentenceOf(example(t), c.id) {
			t.Errorf("%s: %s for %s leaves the sentence as it was: %s", c.id, c.new, c.old, sentenceOf(p, c.id))
		}
	}
}

func sentenceOf(p *Policy, id string) string {
	for _, s := range Words(p) {
		if s.ID == id {
			return s.Text
		}
	}
	return ""
}

func TestACellIsTextToASpreadsheet(t *testing.T) {
	for _, cell := range []string{"=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1"} {
		if got := neutral(cell); got != "'"+cell {
			t.Errorf("%q: got %q, want an apostrophe in front", cell, got)
		}
	}
	rows := []MatrixRow{{Who: "=HYPERLINK(\"https://evil.example\")", Role: "r"}}
	if got := string(MatrixCSV(rows)); !strings.Contains(got,
		"\"'=HYPERLINK(\"\"https://evil.example\"\")\",r,none,no,no,no,nothing,nothing,nothing\r\n") {
		t.Errorf("got %q", got)
	}
}

func TestChangesAreTheSentencesThatDiffer(t *testing.T) {
	text := exampleText(t)
	_, rule, _ := ruleIn(t, text, "A2")
	other := strings.Replace(text, rule, "[[deny]]\nid = \"D9\"\nwhy = \"New.\"\ndevices = { kind = "+
		"\"edge-router\" }\nactions = [\"shell\"]\n", 1)
	other = strings.Replace(strings.Replace(other, `"4h"`, `"5h"`, 1), "# ---- roles", "# another comment", 1)
	var got []string
	for _, c := range Changes(Words(must(t, text)), Words(must(t, other))) {
		got = append(got, fmt.Sprintf("%s %s %v %v", c.Kind, c.ID, c.Before != "", c.After != ""))
	}
	if want := "[allow A2 true false request R1 true true deny D9 false true]"; fmt.Sprint(got) != want {
		t.Errorf("got %v, want %s", got, want)
	}
	if got := Changes(Words(must(t, text)), Words(must(t, text))); len(got) != 0 {
		t.Errorf("a policy and itself: got %+v", got)
	}
}
