package signer

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/recorder/ledger"
)

var bob = evidence("bob")

// pair is a house with two administrators, ada and bob.
func pair(t *testing.T) *house {
	t.Helper()
	h := newHouse(t)
	p := h.cfg.Identities.(provider)
	p["bob"], p["olga"] = person("bob", "administrators"), person("olga")
	if err := h.Identify(t.Context(), bob); err != nil {
		t.Fatal(err)
	}
	return h
}

// wider opens hall 2 to technicians as well.
var wider = strings.Replace(policy, `devices = { hall = "1" }`, `devices = "all"`, 1)

func (h *house) apply(by Evidence, text string) (Policy, error) {
	return h.ApplyPolicy(h.t.Context(), by, []PolicyFile{{Name: "p.toml", Text: text}}, "hall 2 too")
}

// proposed checks that a change has become a proposal.
func (h *house) proposed(err error) Proposal {
	h.t.Helper()
	e, ok := errkind.Of(err)
	if !ok || e.Kind != errkind.Conflict || !strings.Contains(e.Hint, "proposals confirm ") {
		h.t.Fatalf("got %v, want that it waits for another administrator", err)
	}
	_, id, _ := strings.Cut(strings.TrimSuffix(e.Hint, "`."), "proposals confirm ")
	p, err := h.Proposal(h.t.Context(), id)
	if err != nil {
		h.t.Fatal(err)
	}
	return p
}

// lastLeaf gives the fields of the newest entry of the log, and checks its type.
func (h *house) lastLeaf(typ string) ledger.EventBody {
	h.t.Helper()
	raw, _, body, err := h.log.Entry(h.log.Head().Size - 1)
	leaf, perr := ledger.ParseLeaf(raw)
	event, berr := ledger.ParseEventBody(body)
	if err = errors.Join(err, perr, berr); err != nil || leaf.Type != typ {
		h.t.Fatalf("got a leaf of type %s, %v; want %s", leaf.Type, err, typ)
	}
	return event
}

func TestASecondAdministratorConfirmsAPolicyThatWidens(t *testing.T) {
	h := pair(t)
	got, err := h.apply(ada, wider)
	p := h.proposed(err)
	if got.Version != 0 || h.state.policy.Version != 1 || len(p.Gains) != 1 || p.Gains[0].String() != "technicians: shell:svc, now, rule A1, on press-2" {
		t.Errorf("got %+v with %v", got, p.Gains)
	}
	if leaf := h.lastLeaf(proposedLeaf); leaf.By != person("ada").Principal.String() || leaf.Fields["gains"] != p.Gains[0].String() {
		t.Errorf("got %+v", leaf)
	}
	if _, err := h.apply(ada, wider); h.proposed(err).ID != p.ID || h.state.policy.Version != 1 || !strings.Contains(err.Error(), "you proposed") {
		t.Errorf("by the same person: got %v", err)
	}
	for name, by := range map[string]Evidence{"a technician": tess, "nobody": {}} {
		if _, err := h.apply(by, wider); err == nil {
			t.Errorf("%s confirmed it", name)
		}
	}
	if got, err = h.apply(bob, wider); err != nil || got.Version != 2 || got.ProposedBy != person("ada").Principal.String() || got.Unconfirmed {
		t.Errorf("got %+v, %v", got, err)
	}
	leaf := h.lastLeaf("policy")
	if leaf.By != person("bob").Principal.String() || leaf.Fields["proposed_by"] != got.ProposedBy || leaf.Fields["proposal"] != p.ID {
		t.Errorf("got %+v", leaf)
	}
	if all, _ := h.Proposals(t.Context()); len(all) != 0 {
		t.Errorf("still waiting: %+v", all)
	}
}

func TestWhatGivesNobodyMoreNeedsNoSecondPerson(t *testing.T) {
	h := pair(t)
	narrower := strings.Replace(policy, `hours = "always"`, "hours = \"office\"", 1) + "[hours.office]\nzone = \"UTC\"\ndays = [\"mon\"]\nfrom = \"07:00\"\nto = \"19:00\"\n"
	if got, err := h.apply(ada, narrower); err != nil || got.Version != 2 {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, there := h.lastLeaf("policy").Fields["unconfirmed"]; there {
		t.Error("it is recorded as unconfirmed")
	}
}

func TestAloneAnAdministratorWidensUnconfirmed(t *testing.T) {
	h := newHouse(t)
	if got, err := h.apply(ada, wider); err != nil || got.Version != 2 || !got.Unconfirmed {
		t.Errorf("got %+v, %v", got, err)
	}
	if leaf := h.lastLeaf("policy"); leaf.Fields["unconfirmed"] != "yes" || leaf.Fields["gains"] == "" {
		t.Errorf("got %+v", leaf)
	}
}

// TestAnAdministratorCountsForThirtyDays: a person who has left must not block the others.
func TestAnAdministratorCountsForThirtyDays(t *testing.T) {
	h := pair(t)
	old := h.cfg.SignInAge
	defer func() { h.Service.cfg.SignInAge = old }()
	h.Service.cfg.SignInAge = 1000 * time.Hour
	h.pass(administersFor - time.Minute)
	_, err := h.apply(ada, wider)
	h.proposed(err)
	h.pass(time.Minute)
	if got, err := h.apply(ada, wider); err != nil || !got.Unconfirmed {
		t.Errorf("after: got %+v, %v", got, err)
	}
}

// TestTheDutyCannotBeTakenFromTheOtherFirst: it would leave one administrator, who then widens alone.
func TestTheDutyCannotBeTakenFromTheOtherFirst(t *testing.T) {
	h := pair(t)
	h.cfg.Identities.(provider)["bob"] = person("bob", "administrators", "technicians")
	if err := h.Identify(t.Context(), bob); err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(policy, `never_together = [["compliance", "technicians"]]`, `never_together = [["compliance", "technicians", "administrators"]]`, 1)
	_, err := h.apply(ada, text)
	if p := h.proposed(err); !strings.Contains(gainsText(p.Gains), "bob") {
		t.Errorf("got %v", p.Gains)
	}
}

func TestLabelsAndOwnersThatWidenWait(t *testing.T) {
	h := pair(t)
	_, err := h.PutDevice(t.Context(), ada, machine("press-2", "1"))
	p := h.proposed(err)
	if p.Kind != ProposedLabels || p.Subject != "press-2" || h.labelOf("press-2") != "2" {
		t.Errorf("got %+v", p)
	}
	if got, err := h.PutDevice(t.Context(), bob, machine("press-2", "1")); err != nil || h.labelOf("press-2") != "1" {
		t.Errorf("confirmed: got %+v, %v", got, err)
	}
	if got, err := h.PutDevice(t.Context(), ada, machine("press-2", "2")); err != nil {
		t.Errorf("back to where nobody reaches it: got %+v, %v", got, err)
	}
	if got, err := h.PutDevice(t.Context(), ada, machine("press-3", "1")); err != nil {
		t.Errorf("a new device: got %+v, %v", got, err)
	}

	site := Site{Name: "ulm", Owners: []id.Principal{person("olga").Principal}}
	_, err = h.PutSite(t.Context(), ada, site)
	if p := h.proposed(err); p.Kind != ProposedOwners || len(p.Gains) != 1 || len(p.Gains[0].Devices) != 3 {
		t.Errorf("got %+v", p)
	}
	if sites, _ := h.Sites(t.Context()); len(sites) != 0 {
		t.Errorf("before it was confirmed: %+v", sites)
	}
	if got, err := h.PutSite(t.Context(), bob, site); err != nil {
		t.Errorf("got %+v, %v", got, err)
	}
	if got, err := h.PutSite(t.Context(), ada, Site{Name: "ulm"}); err != nil {
		t.Errorf("without owners: got %+v, %v", got, err)
	}
	moved := machine("press-2", "2")
	moved.Site = "bonn"
	h.state.sites["bonn"] = Site{Name: "bonn", Owners: site.Owners}
	_, err = h.PutDevice(t.Context(), ada, moved)
	if p := h.proposed(err); len(p.Gains) != 1 || p.Gains[0].How != authz.GainOwner {
		t.Errorf("to a site with an owner: got %+v", p)
	}
}

func (h *house) labelOf(name id.Device) string {
	d, _ := h.state.byName(name)
	return d.Labels["hall"]
}

// TestAProposalThatWouldGiveMoreThanItSaidIsProposedAnew: the second person confirms what both have seen.
func TestAProposalThatWouldGiveMoreThanItSaidIsProposedAnew(t *testing.T) {
	h := pair(t)
	_, err := h.apply(ada, wider)
	h.proposed(err)
	h.admit("press-4", "2")
	_, err = h.apply(bob, wider)
	if p := h.proposed(err); p.By.Subject != "bob" || len(p.Gains[0].Devices) != 2 {
		t.Errorf("got %+v", p)
	}
	if got, err := h.apply(ada, wider); err != nil || got.Version != 2 {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestAWithdrawnOrOldProposalIsNotConfirmed(t *testing.T) {
	h := pair(t)
	_, err := h.apply(ada, wider)
	p := h.proposed(err)
	if _, err := h.DropProposal(t.Context(), p.ID, "a mistake"); err != nil {
		t.Fatal(err)
	}
	_, err = h.DropProposal(t.Context(), p.ID, "again")
	wantKind(t, "twice", err, errkind.NotFound)
	_, err = h.apply(bob, wider)
	if p := h.proposed(err); p.By.Subject != "bob" {
		t.Errorf("got %+v", p)
	}
	h.Service.cfg.SignInAge = 1000 * time.Hour
	h.pass(proposedFor)
	_, err = h.apply(ada, wider)
	if p := h.proposed(err); p.By.Subject != "ada" {
		t.Errorf("after 14 days: got %+v", p)
	}
}

// TestARestoreDoesNotBringAProposalBack: the state of a backup has it, and the log says that it was withdrawn.
func TestARestoreDoesNotBringAProposalBack(t *testing.T) {
	h := pair(t)
	_, err := h.apply(ada, wider)
	p := h.proposed(err)
	name := filepath.Join(h.dir, "state", "proposals", p.ID+".json")
	saved, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.DropProposal(t.Context(), p.ID, "a mistake"); err != nil {
		t.Fatal(err)
	}
	h.Close()
	if err := os.WriteFile(name, saved, 0o600); err != nil {
		t.Fatal(err)
	}
	h.start()
	if all, _ := h.Proposals(t.Context()); len(all) != 0 || h.administrators() != 2 {
		t.Errorf("after a start: %+v, %d administrators", all, h.administrators())
	}
}

func TestOnlySoManyProposalsWait(t *testing.T) {
	h := pair(t)
	for i := range mostOfProposer {
		_, err := h.apply(ada, wider+fmt.Sprintf("# %d\n", i))
		h.proposed(err)
	}
	_, err := h.apply(ada, wider+"# one more\n")
	wantKind(t, "one more", err, errkind.TooMany)
	if got, err := h.apply(bob, wider+"# 7\n"); err != nil || got.Version != 2 {
		t.Errorf("got %+v, %v", got, err)
	}
}

// TestProposerCannotConfirmWithAnotherAccount: and two accounts of one person are one administrator.
func TestTheSameAdministratorWithAnotherAccountConfirmsNothing(t *testing.T) {
	h := newHouse(t)
	other := person("a-9", "administrators")
	other.Principal.Issuer = "https://other.test"
	h.cfg.Identities.(provider)["ada-too"] = other
	if err := h.Identify(t.Context(), evidence("ada-too")); err != nil {
		t.Fatal(err)
	}
	same := "[[same_person]]\naccounts = [\"https://idp.test ada\", \"https://other.test a-9\"]\n"
	if got, err := h.apply(ada, policy+same); err != nil || got.Version != 2 {
		t.Fatalf("got %+v, %v", got, err)
	}
	if n := h.administrators(); n != 1 {
		t.Errorf("got %d administrators, want 1", n)
	}
	h.cfg.Identities.(provider)["bob"] = person("bob", "administrators")
	if err := h.Identify(t.Context(), bob); err != nil {
		t.Fatal(err)
	}
	_, err := h.apply(ada, wider+same)
	h.proposed(err)
	_, err = h.apply(evidence("ada-too"), wider+same)
	if h.proposed(err); !strings.Contains(err.Error(), "you proposed") {
		t.Errorf("got %v", err)
	}
	_, err = h.apply(ada, policy)
	if p := h.proposed(err); !strings.Contains(gainsText(p.Gains), "no longer counts as the same person") {
		t.Errorf("without the entry: got %v", p.Gains)
	}
}

// TestAConfirmationDoesNotUndoWhatHappenedSince: a change replaces labels and owners as a whole.
func TestAConfirmationDoesNotUndoWhatHappenedSince(t *testing.T) {
	h := pair(t)
	site := func(subjects ...string) Site {
		out := Site{Name: "ulm"}
		for _, s := range subjects {
			out.Owners = append(out.Owners, person(s).Principal)
		}
		return out
	}
	confirmed := func(p Proposal) Evidence {
		e := bob
		e.Confirms = p.Leaf
		return e
	}
	_, err := h.PutSite(t.Context(), ada, site("olga"))
	first := h.proposed(err)
	_, err = h.PutSite(t.Context(), ada, site("tess"))
	second := h.proposed(err)
	if _, err := h.PutSite(t.Context(), confirmed(first), site("olga")); err != nil {
		t.Fatal(err)
	}
	if _, err := h.PutSite(t.Context(), confirmed(second), site("tess")); err == nil || !strings.Contains(err.Error(), "has changed since") {
		t.Errorf("got %v, and the owners %v", err, h.state.sites["ulm"].Owners)
	}

	_, err = h.PutDevice(t.Context(), ada, machine("press-2", "1"))
	p := h.proposed(err)
	moved := machine("press-2", "2")
	moved.Site = "bonn"
	if _, err := h.PutDevice(t.Context(), bob, moved); err != nil {
		t.Fatal(err)
	}
	if _, err := h.PutDevice(t.Context(), confirmed(p), machine("press-2", "1")); err == nil || !strings.Contains(err.Error(), "has changed since") {
		t.Errorf("got %v, and the label %s", err, h.labelOf("press-2"))
	}
}
