package signer

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/wire"
	"github.com/sallyport/sallyport/recorder/ledger"
)

const hall3 = `one_of = ["1", "2", "3"]`

// TestARuleForDevicesThatThereAreNotWaits: one administrator could put it into force, and then admit such a device.
func TestARuleForDevicesThatThereAreNotWaits(t *testing.T) {
	h := pair(t)
	_, err := h.apply(ada, strings.Replace(policy, `one_of = ["1", "2"]`, hall3, 1)+`
[role.root]
why = "all"
shell = { as = ["root"] }
[[allow]]
id = "GHOST"
why = "x"
who = "everyone"
role = "root"
devices = { hall = "3" }
hours = "always"
`)
	if p := h.proposed(err); len(p.Gains) != 1 || p.Gains[0].String() != "everyone: shell:root, now, rule GHOST, on devices that may come: hall=3" {
		t.Errorf("got %v", p.Gains)
	}
}

// TestAnOldTokenDoesNotMakeAnAdministratorForgotten: it has the groups of the day when it was made.
func TestAnOldTokenDoesNotMakeAnAdministratorForgotten(t *testing.T) {
	h := pair(t)
	p := h.cfg.Identities.(provider)
	p["bob-before"] = person("bob", "technicians")
	tok := "spt_bob"
	if _, err := h.PutToken(t.Context(), evidence("bob-before"), Token{ID: "bobjob", Hash: wire.Sum([]byte(tok)), Principal: person("bob").Principal, Scopes: []string{ScopeSession}, Expires: t0.Add(24 * time.Hour)}); err != nil {
		t.Fatal(err)
	}
	if err := h.Identify(t.Context(), bob); err != nil { // bob was promoted and signs in
		t.Fatal(err)
	}
	if n := h.administrators(); n != 2 {
		t.Fatal(n)
	}
	if err := h.Identify(t.Context(), Evidence{APIToken: tok}); err != nil { // his nightly script
		t.Fatal(err)
	}
	if n := h.administrators(); n != 2 {
		t.Errorf("bob's script made the signer count %d administrators", n)
	}
	_, err := h.apply(ada, wider)
	h.proposed(err)
}

// TestADutyIsListedBeforeMuchElse: lists are cut at their end.
func TestADutyIsListedBeforeMuchElse(t *testing.T) {
	h := pair(t)
	var b strings.Builder
	b.WriteString(strings.Replace(strings.Replace(policy, `administer = ["administrators"]`, `administer = ["administrators", "technicians"]`, 1), `groups = [`, `groups = ["crew", `, 1))
	b.WriteString("[role.many]\nwhy = \"x\"\nweb = [")
	for i := range 60 {
		fmt.Fprintf(&b, "\"page%d\",", i)
	}
	b.WriteString("]\n")
	for i := range 4 {
		fmt.Fprintf(&b, "[[allow]]\nid = \"M%d\"\nwhy = \"x\"\nwho = [\"crew\"]\nrole = \"many\"\ndevices = \"all\"\nhours = \"always\"\n", i)
	}
	_, err := h.apply(ada, b.String())
	p := h.proposed(err)
	if logged := h.lastLeaf(proposedLeaf).Fields["gains"]; p.Gains[0].How != authz.GainDuty || !strings.Contains(logged, authz.GainDuty) {
		t.Errorf("got %v first of %d, and in the log %.80q", p.Gains[0], len(p.Gains), logged)
	}
}

func TestAProposalDoesNotOutliveThePolicyThatItWasMadeUnder(t *testing.T) {
	h := pair(t)
	strict := strings.Replace(strings.Replace(policy, `one_of = ["1", "2"]`, hall3, 1), "administer =", "approve = [\"compliance\"]\nadminister =", 1) + `
[[request]]
id = "R1"
why = "x"
who = ["technicians"]
role = "maintain"
devices = { hall = "3" }
at_most = "10m"
agree = [{ from = "compliance", count = 5 }]
`
	h.both(strict)
	d := machine("press-2", "3")
	_, err := h.PutDevice(t.Context(), ada, d)
	p := h.proposed(err)
	h.both(strings.Replace(strict, `agree = [{ from = "compliance", count = 5 }]`, `agree = "nobody"`, 1))
	confirms := bob
	confirms.Confirms = p.Leaf
	if _, err := h.PutDevice(t.Context(), confirms, d); err == nil || !strings.Contains(err.Error(), "has changed since") {
		t.Errorf("bob confirmed under another policy: %v", err)
	}
	_, err = h.PutDevice(t.Context(), bob, d)
	if again := h.proposed(err); again.By.Subject != "bob" || again.Gains[0].How == p.Gains[0].How {
		t.Errorf("got %+v", again)
	}
}

// both has two administrators apply a policy.
func (h *house) both(text string) {
	h.t.Helper()
	_, err := h.apply(ada, text)
	h.proposed(err)
	if _, err := h.apply(bob, text); err != nil {
		h.t.Fatal(err)
	}
}

func TestOneOfTwoAdministratorsConfirmsToBeAnOwner(t *testing.T) {
	h := pair(t)
	site := Site{Name: "ulm", Owners: []id.Principal{person("bob").Principal}}
	_, err := h.PutSite(t.Context(), ada, site)
	h.proposed(err)
	if _, err = h.PutSite(t.Context(), bob, site); err != nil {
		t.Errorf("nobody can confirm it: %v", err)
	}
}

func TestWhoReadAProposalConfirmsThatOne(t *testing.T) {
	h := pair(t)
	_, err := h.apply(ada, wider)
	p := h.proposed(err) // bob looks: one device
	for i := range 20 {
		h.admit(fmt.Sprintf("press-%d", 100+i), "2")
	}
	_, err = h.apply(ada, wider)
	q := h.proposed(err)
	if p.ID != q.ID || p.Devices != 1 || q.Devices != 21 {
		t.Fatalf("got %d and then %d devices", p.Devices, q.Devices)
	}
	confirms := bob
	confirms.Confirms = p.Leaf
	if _, err := h.apply(confirms, wider); err == nil || !strings.Contains(err.Error(), "since you read it") {
		t.Errorf("bob confirmed what he had not read: %v", err)
	}
	if confirms.Confirms = q.Leaf; h.state.policy.Version != 1 {
		t.Error("it took effect")
	}
	if got, err := h.apply(confirms, wider); err != nil || got.Version != 2 {
		t.Errorf("after he read it again: %+v, %v", got, err)
	}
}

func TestAListOfProposalsFitsIntoAnAnswer(t *testing.T) {
	h := pair(t)
	for i := range 30 {
		name := fmt.Sprintf("d%03d-%s", i, strings.Repeat("x", 55))
		h.admit(name, "2")
	}
	var b strings.Builder
	b.WriteString(policy + "[role.many]\nwhy = \"x\"\nweb = [")
	for i := range 60 {
		fmt.Fprintf(&b, "\"page%02d\",", i)
	}
	b.WriteString("]\n")
	for i := range 4 {
		fmt.Fprintf(&b, "[[allow]]\nid = \"M%d\"\nwhy = \"x\"\nwho = [\"technicians\"]\nrole = \"many\"\ndevices = \"all\"\nhours = \"always\"\n", i)
	}
	for i := range mostOfProposer {
		_, err := h.apply(ada, b.String()+fmt.Sprintf("# %d\n", i))
		h.proposed(err)
		all, _ := h.Proposals(t.Context())
		raw, _ := json.Marshal(all)
		if len(raw) > maxCall {
			t.Errorf("%d proposals are an answer of %d bytes; the limit is %d", i+1, len(raw), maxCall)
			return
		}
	}
}

func TestTheLongestOwnersCanBeConfirmed(t *testing.T) {
	h := pair(t)
	var a, b []id.Principal
	for i := range mostOwners {
		a = append(a, id.Principal{Issuer: "https://idp.test/" + strings.Repeat("r", 120), Subject: fmt.Sprintf("a%03d-%s", i, strings.Repeat("s", 250))})
		b = append(b, id.Principal{Issuer: "https://idp.test/" + strings.Repeat("r", 120), Subject: fmt.Sprintf("b%03d-%s", i, strings.Repeat("s", 250))})
	}
	h.state.sites["ulm"] = Site{Name: "ulm", Owners: a}
	_, err := h.PutSite(t.Context(), ada, Site{Name: "ulm", Owners: b})
	p := h.proposed(err)
	if _, err = h.PutSite(t.Context(), bob, Site{Name: "ulm", Owners: b}); err != nil {
		_, perr := h.Proposal(t.Context(), p.ID)
		t.Errorf("confirm: %v; the proposal: %v (MaxBody %d)", err, perr, ledger.MaxBody)
	}
}

func TestARestoreDoesNotForgetAnAdministrator(t *testing.T) {
	h := pair(t)
	_, err := h.apply(bob, wider) // bob's act is in the log
	h.proposed(err)
	h.Close()
	for k := range h.state.administrators {
		if k.Subject == "bob" {
			delete(h.state.administrators, k)
		}
	}
	h.state.write("administrators", h.state.listAdministrators()) // as in the backup
	h.start()
	_, err = h.apply(ada, wider+"#\n")
	h.proposed(err)
}

func TestARestoreDoesNotForgetTheLabelsOfADevice(t *testing.T) {
	h := pair(t)
	d := h.admit("press-7", "2")
	h.Close()
	h.state.remove("devices/" + d.FP.String()) // backup is older
	h.start()
	_, err := h.PutDevice(t.Context(), ada, machine("press-7", "1"))
	h.proposed(err)
}

// TestAChangeThatNobodyCouldReadIsRefused: and computing it on many devices neither takes long nor fills the memory.
func TestAChangeThatNobodyCouldReadIsRefused(t *testing.T) {
	h := pair(t)
	for i := range 5000 {
		d := machine(fmt.Sprintf("press-%05d", i), "1")
		d.State = wire.StateOK
		h.state.holdDevice(d)
	}
	many := func(rules int) string {
		var b strings.Builder
		b.WriteString(strings.Replace(policy, `groups = [`, `groups = ["a","b","c",`, 1) + "[role.many]\nwhy = \"x\"\nweb = [")
		for i := range 10 {
			fmt.Fprintf(&b, "\"page%02d\",", i)
		}
		b.WriteString("]\n")
		for i := range rules {
			fmt.Fprintf(&b, "[[allow]]\nid = \"M%d\"\nwhy = \"x\"\nwho = [\"a\",\"b\",\"c\"]\nrole = \"many\"\ndevices = \"all\"\nhours = \"always\"\n", i)
		}
		return b.String()
	}
	began := time.Now()
	_, err := h.apply(ada, many(200))
	wantKind(t, "6000 gains", err, errkind.Usage)
	t.Logf("computed in %s", time.Since(began))
	_, err = h.apply(ada, many(20))
	if p := h.proposed(err); p.Count != 600 || p.Devices != 5002 || len(p.Gains) != 600 {
		t.Errorf("got %d gains on %d devices, %d listed", p.Count, p.Devices, len(p.Gains))
	}
}

func TestAnAPITokenDoesNotConfirm(t *testing.T) {
	h := pair(t)
	token := "spt_ci"
	_, err := h.PutToken(t.Context(), bob, Token{ID: "ci", Hash: wire.Sum([]byte(token)), Principal: person("bob").Principal,
		Scopes: []string{"administer"}, Expires: t0.Add(24 * time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	_, err = h.apply(ada, wider)
	h.proposed(err)
	_, err = h.apply(Evidence{APIToken: token}, wider)
	wantKind(t, "an API token", err, errkind.Denied)
	if h.state.policy.Version != 1 {
		t.Error("it took effect")
	}
}

func TestWhatALimitKeptFromSessionsIsAGain(t *testing.T) {
	h := pair(t)
	base := strings.Replace(policy, `shell = { as = ["svc"] }`, `shell = { as = ["svc"] }`+"\nfiles = { read = [\"/var\"] }", 1) +
		"[[deny]]\nid = \"D\"\nwhy = \"x\"\nactions = [\"files.read:/var/secret\"]\n"
	h.both(base)
	_, err := h.apply(ada, strings.Replace(base, `read = ["/var"]`, `read = ["/var", "/var/log"]`, 1))
	if p := h.proposed(err); len(p.Gains) != 1 || p.Gains[0].What != "files.read:/var/log" {
		t.Errorf("got %v", p.Gains)
	}
}

func TestWhatNoSessionHadTogetherIsAGain(t *testing.T) {
	h := pair(t)
	base := policy + "[role.net]\nwhy = \"x\"\nports = [\"127.0.0.1:22\"]\n" +
		"[[allow]]\nid = \"A3\"\nwhy = \"x\"\nwho = [\"technicians\"]\nrole = \"net\"\ndevices = \"all\"\nhours = \"always\"\n"
	h.both(base)
	_, err := h.apply(ada, strings.Replace(base, `shell = { as = ["svc"] }`, `shell = { as = ["svc"] }`+"\nports = [\"127.0.0.1:22\"]", 1))
	if p := h.proposed(err); len(p.Gains) != 1 || p.Gains[0].What != "ports:127.0.0.1:22" || p.Gains[0].Rule != "A1" {
		t.Errorf("got %v", p.Gains)
	}
}
