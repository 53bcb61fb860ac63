package signer

import (
	"slices"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/wire"
	"github.com/sallyport/sallyport/recorder/ledger"
)

// owned is asked under a rule that needs an owner of the site, which is olga.
func owned(t *testing.T) (*house, ledger.Terms) {
	t.Helper()
	h, terms := asked(t)
	p := h.cfg.Identities.(provider)
	p["olga"], p["otto"], p["olga-guest"] = person("olga", "owners"), person("otto", "owners"), person("olga", "guests")
	p["olga-too"] = person("olga", "owners", "technicians")
	text := strings.Replace(h.state.policy.Files[0].Text, `groups = ["leads", `, `groups = ["owners", "leads", `, 1)
	text = strings.Replace(text, "[duties]", "[duties]\nown = [\"owners\"]", 1)
	text = strings.Replace(text, `agree = [{ from = "leads", count = 1 }, { from = "security", count = 1 }]`, `agree = [{ from = "@owner", count = 1 }]`, 1)
	if _, err := h.ApplyPolicy(t.Context(), ada, []PolicyFile{{Name: "p.toml", Text: text}}, "owners"); err != nil {
		t.Fatal(err)
	}
	h.owners("olga")
	return h, terms
}

func (h *house) owners(subjects ...string) {
	h.t.Helper()
	site := Site{Name: "ulm"}
	for _, s := range subjects {
		site.Owners = append(site.Owners, person(s).Principal)
	}
	if _, err := h.PutSite(h.t.Context(), ada, site); err != nil {
		h.t.Fatal(err)
	}
}

func TestAnOwnerOfTheSiteApproves(t *testing.T) {
	h, terms := owned(t)
	for name, by := range map[string]string{"an owner of nothing": "otto", "an owner without the duty": "olga-guest", "a lead": "lea"} {
		_, err := h.approve(by, terms)
		wantKind(t, name, err, errkind.Denied)
	}
	own := terms
	own.Subject = "olga"
	_, err := h.approve("olga-too", own)
	wantKind(t, "one's own", err, errkind.Denied)
	token := Token{ID: "olga", Hash: wire.Sum([]byte("spt_olga")), Principal: person("olga").Principal, Name: "Olga", Groups: []string{"owners"},
		Scopes: []string{"approve", "own"}, Expires: t0.Add(MaxTokenTime)}
	if err := h.Seed(t.Context(), nil, []Token{token}); err != nil {
		t.Fatal(err)
	}
	_, err = h.Approve(t.Context(), Evidence{APIToken: "spt_olga", ClientAddr: "10.1.2.3"}, must(terms.Marshal())(t))
	wantKind(t, "by API token", err, errkind.Denied)
	if got, err := h.approve("olga", terms); err != nil || !got.Consent.Granted() || !slices.Equal(got.Consent.Voices[0].For, []string{"@owner"}) {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestOwnersAreChangedByAnotherAdministrator(t *testing.T) {
	h, _ := owned(t)
	for name, by := range map[string]Evidence{"a technician": tess, "an owner": evidence("olga"), "a token": robot} {
		_, err := h.PutSite(t.Context(), by, Site{Name: "ulm", Owners: []id.Principal{person("otto").Principal}})
		wantKind(t, name, err, errkind.Denied)
	}
	_, err := h.PutSite(t.Context(), ada, Site{Name: "ulm", Owners: []id.Principal{person("ada").Principal}})
	wantKind(t, "oneself", err, errkind.Denied)
	for name, site := range map[string]Site{"no name": {}, "a name with a line break": {Name: "ulm\n"},
		"too many": {Name: "ulm", Owners: make([]id.Principal, mostOwners+1)}} {
		_, err = h.PutSite(t.Context(), ada, site)
		wantKind(t, name, err, errkind.Usage)
	}
	_, err = h.Append(t.Context(), AppendRequest{Type: ownersLeaf, Body: must(ledger.EventBody{Fields: map[string]string{"subject": "ulm",
		"owners": person("tess").Principal.String()}}.Marshal())(t)})
	wantKind(t, "a leaf of the data plane", err, errkind.Denied)
	if got, err := NewClient(serve(t, h.Service, 0o600)).Sites(t.Context()); err != nil || len(got) != 1 || !slices.Equal(got[0].Owners, []id.Principal{person("olga").Principal}) {
		t.Errorf("got %+v, %v", got, err)
	}
}

// TestAnOwnerWhoWasRemovedStaysSo: also after a restore of the signer's state from before.
func TestAnOwnerWhoWasRemovedStaysSo(t *testing.T) {
	h, terms := owned(t)
	before := h.state.sites["ulm"]
	h.owners("otto")
	refused := func(when string) {
		t.Helper()
		_, err := h.approve("olga", terms)
		wantKind(t, when, err, errkind.Denied)
	}
	refused("after the change")
	h.Close()
	h.start()
	refused("after a restart")
	if err := h.state.putSite(before); err != nil {
		t.Fatal(err)
	}
	h.Close()
	h.start()
	refused("after a restore")
	if got, err := h.approve("otto", terms); err != nil || !got.Consent.Granted() {
		t.Errorf("the owner since then: got %+v, %v", got, err)
	}
}
