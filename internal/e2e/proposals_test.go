package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/sallyport/sallyport/internal/testenv"
	"github.com/sallyport/sallyport/web/apitype"
)

// TestASecondAdministratorConfirmsWhatWidens: by the command line, with the real gateway, provider and agent.
func TestASecondAdministratorConfirmsWhatWidens(t *testing.T) {
	t.Parallel()
	n := newTelling(t)
	s := n.Server
	s.WaitReady(s.Serve())
	s.AddUser("ada", "administrators", "--email", "ada@acme.example")
	s.AddUser("bob", "administrators", "--email", "bob@acme.example")
	s.AddUser("olga", "compliance")
	ada := s.Person("ada")
	s.Join(ada, "press-1", "--ca", s.CA())
	now, err := os.ReadFile(s.Path("etc", "policy.toml"))
	if err != nil {
		t.Fatal(err)
	}
	policy := func(name, from, to string) string {
		t.Helper()
		next := strings.Replace(string(now), from, to, 1)
		if next == string(now) {
			t.Fatalf("the policy does not have %q", from)
		}
		path := s.Path("etc", name)
		if err := os.WriteFile(path, []byte(next), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	alone := policy("alone.toml", `at_most = "1h"`, `at_most = "2h"`)
	if got := ada.Run("policy", "apply", alone); got.Status != 0 {
		t.Fatalf("as the only administrator: got %+v", got)
	}
	if got := ada.Must("policy", "status"); !strings.Contains(got, "there was no second administrator") {
		t.Errorf("got %s", got)
	}

	bob, olga := s.Person("bob"), s.Person("olga") // that bob signs in is enough
	wider := policy("wider.toml", `at_most = "1h"`, `at_most = "3h"`)
	if got := ada.Run("policy", "apply", wider, "--reason", "long repairs"); got.Status != 1 || !strings.Contains(got.Err, "waits for another administrator") {
		t.Fatalf("got %+v", got)
	}
	p := proposal(t, bob)
	if p.Reason != "long repairs" || p.By == "" || p.Mine || p.Devices != 1 || p.Count == 0 {
		t.Errorf("got %+v", p)
	}
	n.mailTo(1, "bob@acme.example", "Change to confirm: policy", "Reason: long repairs", s.URL+"/proposals/"+p.ID)
	shown := bob.Must("proposals", "show", p.ID[:6])
	for _, want := range []string{"- ", "+ ", "up to 3 h", "compliance: ", "may ask: reason, one technician, up to 3 h, rule R1, on press-1", "people known here: 1"} {
		if !strings.Contains(shown, want) {
			t.Errorf("the proposal does not show %q: %s", want, shown)
		}
	}
	if got := ada.Run("proposals", "confirm", p.ID, entryOf(p)); got.Status != 1 || !strings.Contains(got.Err, "you proposed this change") {
		t.Errorf("by its proposer: got %+v", got)
	}
	for _, what := range [][]string{{"proposals", "confirm", p.ID, entryOf(p)}, {"proposals", "withdraw", p.ID}} {
		if got := olga.Run(what...); got.Status != 77 {
			t.Errorf("%v without the duty: got %+v", what, got)
		}
	}
	if got := bob.Run("proposals", "confirm", p.ID); got.Status != 2 || !strings.Contains(got.Err, "--entry") {
		t.Errorf("without what was read: got %+v", got)
	}
	if got := bob.Run("proposals", "confirm", p.ID, "--entry", "1"); got.Status != 1 || !strings.Contains(got.Err, "since you read it") {
		t.Errorf("another entry: got %+v", got)
	}
	bob.Must("policy", "confirm", p.ID, entryOf(p))
	if got := ada.Must("policy", "status"); !strings.Contains(got, "proposed by") || strings.Contains(got, "no second administrator") {
		t.Errorf("got %s", got)
	}
	if got := bob.Run("proposals", "confirm", p.ID, entryOf(p)); got.Status != 1 {
		t.Errorf("twice: got %+v", got)
	}

	if got := bob.Run("sites", "owners", "plant", "--add", "olga"); got.Status != 1 { // no device is there yet
		t.Errorf("got %+v", got)
	}
	ada.Must("proposals", "list")
	narrower := policy("narrower.toml", `at_most = "1h"`, `at_most = "30m"`)
	ada.Must("policy", "apply", narrower)

	if got := bob.Run("policy", "apply", wider); got.Status != 1 {
		t.Errorf("back to the wider one: got %+v", got)
	}
	ada.Must("proposals", "withdraw", proposal(t, ada).ID, "--reason", "not needed")
	var none []apitype.Proposal
	if json.Unmarshal([]byte(bob.Must("proposals", "list", "--json")), &none); len(none) != 0 {
		t.Errorf("still waiting: %+v", none)
	}
	log := olga.Must("audit", "tail", "--json")
	for _, typ := range []string{"proposed", "dropped"} {
		if !strings.Contains(log, `"type": "`+typ+`"`) {
			t.Errorf("the list of events has none of type %s", typ)
		}
	}
}

func entryOf(p apitype.Proposal) string { return fmt.Sprintf("--entry=%d", p.Entry) }

// proposal gives the one that waits.
func proposal(t *testing.T, who *testenv.Person) apitype.Proposal {
	t.Helper()
	var list []apitype.Proposal
	if err := json.Unmarshal([]byte(who.Must("proposals", "list", "--json")), &list); err != nil || len(list) != 1 {
		t.Fatalf("got %d proposals, %v", len(list), err)
	}
	return list[0]
}

// TestAMappingInTheConfigurationIsConfirmed: editing the configuration is not enough to make a person an administrator.
func TestAMappingInTheConfigurationIsConfirmed(t *testing.T) {
	t.Parallel()
	s := testenv.NewServer(t)
	gateway := s.Serve()
	s.WaitReady(gateway)
	s.AddUser("ada", "administrators")
	s.Person("ada")
	gateway.End(syscall.SIGTERM)
	s.Text = strings.Replace(s.Text, "[identity.groups]\n", "[identity.groups]\nhelpers = \"administrators\"\n", 1)
	s.Write()
	gateway = s.Serve()
	s.WaitReady(gateway)
	if !strings.Contains(gateway.Output(), "have no effect until an administrator confirms them") {
		t.Errorf("the log does not say that the mapping waits: %s", gateway.Output())
	}
	s.AddUser("eve", "helpers")
	eve := s.Person("eve")
	if got := eve.Run("proposals", "list"); got.Status != 77 {
		t.Errorf("eve is an administrator: got %+v", got)
	}
	ada := s.Person("ada")
	p := proposal(t, ada)
	if shown := ada.Must("proposals", "show", p.ID); p.Kind != "groups" || p.By != "configuration" || !strings.Contains(shown, "+ administrators") {
		t.Errorf("got %+v: %s", p, shown)
	}
	if log := ada.Must("audit", "tail", "--json"); !strings.Contains(log, `"actor": "configuration"`) {
		t.Errorf("the list of events does not say that the configuration proposes it: %s", log)
	}
	ada.Must("proposals", "confirm", p.ID, entryOf(p))
	if got := eve.Run("proposals", "list"); got.Status != 77 {
		t.Errorf("before eve signs in again: got %+v", got)
	}
	if got := s.Person("eve").Run("proposals", "list"); got.Status != 0 {
		t.Errorf("after eve signed in again: got %+v", got)
	}
}

// TestLabelsAreConfirmedInTheBrowser: two administrators in a real Chromium.
func TestLabelsAreConfirmedInTheBrowser(t *testing.T) {
	t.Parallel()
	s := testenv.NewServer(t)
	raw, err := os.ReadFile(s.Path("etc", "policy.toml"))
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(strings.Replace(string(raw), "site = {}", "site = {}\nhall = {}", 1), `devices = "all"`, `devices = { hall = "1" }`, 1)
	if err := os.WriteFile(s.Path("etc", "policy.toml"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	gateway := s.Serve()
	s.WaitReady(gateway)
	s.AddUser("ada", "administrators")
	s.AddUser("bob", "administrators")
	s.Join(s.Person("ada"), "press-1", "--ca", s.CA())
	known := map[string]any{
		"url":     s.URL,
		"users":   []map[string]string{{"name": "ada", "password": testenv.Password}, {"name": "bob", "password": testenv.Password}},
		"devices": []map[string]string{{"name": "press-1"}},
		"labels":  "hall=1",
	}
	cmd := inChromium(t, "proposal.mjs", known)
	if got := testenv.Finish(t, cmd); got.Status != 0 {
		t.Errorf("got %d %s%s\n%s", got.Status, got.Out, got.Err, gateway.Output())
	}
}
