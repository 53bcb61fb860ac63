package signer

import (
	"slices"
	"testing"

	"github.com/sallyport/sallyport/internal/errkind"
)

const provider1 = "https://idp.test"

var (
	forAdmins = Mapping{provider1, "g-admins", "administrators"}
	forTechs  = Mapping{provider1, "g-techs", "technicians"}
	alsoTechs = Mapping{provider1, "g-everybody", "technicians"}
)

func (h *house) configure(all ...Mapping) {
	h.t.Helper()
	if err := h.Configure(h.t.Context(), all); err != nil {
		h.t.Fatal(err)
	}
}

// waits gives the only proposal.
func (h *house) waits() Proposal {
	h.t.Helper()
	all, err := h.Proposals(h.t.Context())
	if err != nil || len(all) != 1 {
		h.t.Fatalf("got %d proposals, %v", len(all), err)
	}
	p, err := h.Proposal(h.t.Context(), all[0].ID)
	if err != nil {
		h.t.Fatal(err)
	}
	return p
}

func TestNewMappingsHaveNoEffectUntilTheyAreConfirmed(t *testing.T) {
	h := newHouse(t)
	h.configure(forAdmins, forTechs)
	if !h.Counts(forTechs) || h.Counts(alsoTechs) {
		t.Error("at the first start those of the configuration are in force, and no others")
	}
	if leaf := h.lastLeaf(mappingLeaf); leaf.By != configured || leaf.Fields["unconfirmed"] != "" {
		t.Errorf("got %+v", leaf)
	}
	h.configure(forAdmins, forTechs, alsoTechs)
	p := h.waits()
	if h.Counts(alsoTechs) || !h.Counts(forTechs) || p.Kind != ProposedGroups || p.Name != configured || p.Gains[0].String() != "g-everybody at https://idp.test: is mapped to the group technicians, in the configuration" {
		t.Errorf("got %+v", p)
	}
	size := h.log.Head().Size
	h.Close()
	h.start()
	h.configure(forAdmins, forTechs, alsoTechs)
	if h.Counts(alsoTechs) || h.waits().ID != p.ID || h.log.Head().Size != size {
		t.Error("after a start it is proposed again")
	}
	_, err := h.DropProposal(t.Context(), p.ID, "no")
	wantKind(t, "withdrawn", err, errkind.Conflict)
	h.pass(proposedFor)
	h.Service.cfg.SignInAge = 2 * proposedFor
	for name, c := range map[string]struct {
		by    Evidence
		added Mapping
		want  errkind.Kind
	}{
		"a technician":           {tess, alsoTechs, errkind.Denied},
		"nobody":                 {Evidence{}, alsoTechs, errkind.Signin},
		"what is not configured": {ada, Mapping{provider1, "x", "administrators"}, errkind.Conflict},
		"already in force":       {ada, forTechs, errkind.NotFound},
	} {
		_, err := h.MapGroups(t.Context(), c.by, []Mapping{c.added})
		wantKind(t, name, err, c.want)
	}
	if got, err := h.apply(ada, policy+"# another version\n"); err != nil || got.Version != 2 { // it does not depend on the policy
		t.Fatalf("got %+v, %v", got, err)
	}
	confirms := ada
	confirms.Confirms = p.Leaf
	if _, err := h.MapGroups(t.Context(), confirms, []Mapping{alsoTechs}); err != nil || !h.Counts(alsoTechs) {
		t.Errorf("confirmed: got %v", err)
	}
	if leaf := h.lastLeaf(mappingLeaf); leaf.By != person("ada").Principal.String() || leaf.Fields["added"] != "g-everybody of https://idp.test: technicians" || leaf.Fields["proposal"] != p.ID {
		t.Errorf("got %+v", leaf)
	}
	h.Close()
	h.start()
	if all, _ := h.Mappings(t.Context()); !slices.Contains(all, alsoTechs) || len(all) != 3 {
		t.Errorf("after a start: %v", all)
	}
}

func TestARemovedMappingEndsAndComesBackOnlyConfirmed(t *testing.T) {
	h := newHouse(t)
	h.configure(forAdmins, forTechs)
	h.configure(forAdmins)
	if h.Counts(forTechs) {
		t.Error("it is still in force")
	}
	h.configure(forAdmins, forTechs)
	h.configure(forAdmins, forTechs, alsoTechs) // the earlier proposal is replaced
	if p := h.waits(); h.Counts(forTechs) || len(p.Gains) != 2 {
		t.Errorf("got %+v", p)
	}
}

// TestMappingsThatNobodyCouldConfirmAreInForce: after a move to another provider no administrator could sign in.
func TestMappingsThatNobodyCouldConfirmAreInForce(t *testing.T) {
	h := newHouse(t)
	h.configure(forAdmins, forTechs)
	moved := Mapping{"https://other.test", "g-admins", "administrators"}
	h.configure(moved)
	if leaf := h.lastLeaf(mappingLeaf); !h.Counts(moved) || h.Counts(forAdmins) || leaf.Fields["unconfirmed"] != "yes" {
		t.Errorf("got %+v", leaf)
	}
}
