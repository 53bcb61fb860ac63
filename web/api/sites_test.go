package api

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/signer"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/web/apitype"
)

const ownersPath = "/api/v1/sites/owners"

func subjects(s apitype.Site) string {
	var out []string
	for _, o := range s.Owners {
		out = append(out, o.Subject)
	}
	return strings.Join(out, " ")
}

// TestOwnersOfASiteAreChangedOnceTheSignerHasThem: the signer checks who may, and writes it to the log.
func TestOwnersOfASiteAreChangedOnceTheSignerHasThem(t *testing.T) {
	w := newWorld(t)
	old := id.Principal{Issuer: "https://idp", Subject: "left-long-ago"}
	w.rows.sites = []store.Site{{Name: "hall-south", ShownAs: "Hall South", Owners: []id.Principal{old}, Created: testTime}}
	w.signer.sites = []signer.Site{{Name: "hall-south", Owners: []id.Principal{old}}}
	change := `{"site":"hall-south","add":["tess"],"remove":["left-long-ago"]}`
	w.signer.down = true
	if got := w.call("admin", "POST", ownersPath, change); got.Code != http.StatusServiceUnavailable ||
		!slices.Equal(w.rows.sites[0].Owners, []id.Principal{old}) {
		t.Errorf("without a signer: got %d and the owners %v", got.Code, w.rows.sites[0].Owners)
	}
	w.signer.down = false
	var s apitype.Site
	decodeInto(t, w.call("admin", "POST", ownersPath, change).Body.Bytes(), &s)
	if subjects(s) != "technician" || s.ShownAs != "Hall South" {
		t.Errorf("got %+v", s)
	}
	if at := w.signer.sites; len(at) != 2 || at[1].Name != "hall-south" || !slices.Equal(at[1].Owners, w.rows.sites[0].Owners) {
		t.Errorf("got %+v at the signer, want the owners that are stored", at)
	}
}

func TestOwnersOfASiteAreNotChangedByMistake(t *testing.T) {
	for body, want := range map[string]int{
		`{"site":"hall-souht","add":["tess"]}`:   http.StatusNotFound, // no device is there
		`{"site":"hall-south","add":["nobody"]}`: http.StatusNotFound,
		`{"site":"hall-south","add":["admin"]}`:  http.StatusForbidden, // oneself
		`{"site":"","add":["tess"]}`:             http.StatusBadRequest,
		`{"site":"hall-south","add":["tess"]}`:   http.StatusOK,
	} {
		w := newWorld(t)
		got := w.call("admin", "POST", ownersPath, body)
		if got.Code != want || (want == http.StatusOK) != (len(w.rows.sites) == 1) {
			t.Errorf("%s: got %d %s and %v, want %d", body, got.Code, got.Body, w.rows.sites, want)
		}
	}
}

func TestSitesAreListedForThoseWhoSeeThem(t *testing.T) {
	w := newWorld(t)
	w.rows.sites = []store.Site{{Name: "hall-south", Owners: []id.Principal{{Issuer: "https://idp", Subject: "owner"}}}}
	for as, want := range map[string]string{"admin": "hall-north hall-south", "officer": "hall-north hall-south",
		"owner": "hall-south", "technician": "", "approver": "", "nobody": "", "machine": ""} {
		var rows []apitype.Site
		decodeInto(t, w.call(as, "GET", "/api/v1/sites", "").Body.Bytes(), &rows)
		var names []string
		for _, s := range rows {
			names = append(names, s.Name)
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("%s: got %q, want %q", as, got, want)
		}
	}
}

// TestWhoCanNamesTheOwnersWhoSeeTheSessions: an owner without the duty, and a duty without the site, give nothing.
func TestWhoCanNamesTheOwnersWhoSeeTheSessions(t *testing.T) {
	w := newWorld(t)
	w.rows.sites = []store.Site{{Name: "hall-south", Owners: []id.Principal{{Issuer: "https://idp", Subject: "technician"}}}}
	for groups, want := range map[string]string{"technicians": "", "technicians owners": "technician, owners"} {
		w.rows.groups = strings.Fields(groups)
		for device, want := range map[string]string{"press-1": "", "press-2": want} {
			var rows []apitype.WhoCan
			decodeInto(t, w.call("admin", "GET", "/api/v1/policy/who-can?device="+device, "").Body.Bytes(), &rows)
			got := ""
			for _, r := range rows {
				if r.Rule == "[duties] own" && r.Action == "watch and replay sessions" {
					got += r.User + ", " + r.Group
				}
			}
			if got != want {
				t.Errorf("%s, known in %q: got %q, want %q", device, groups, got, want)
			}
		}
	}
}

// TestAnOwnerWhomTheSignerDoesNotKnowDoesNotComeBack: a row here can be older than the signer's list, as after a restore.
func TestAnOwnerWhomTheSignerDoesNotKnowDoesNotComeBack(t *testing.T) {
	w := newWorld(t)
	removed := id.Principal{Issuer: "https://idp", Subject: "removed"}
	w.rows.sites = []store.Site{{Name: "hall-south", Owners: []id.Principal{removed}}}
	w.signer.sites = []signer.Site{{Name: "hall-south"}}
	var s apitype.Site
	decodeInto(t, w.call("admin", "POST", ownersPath, `{"site":"hall-south","add":["tess"]}`).Body.Bytes(), &s)
	if subjects(s) != "technician" {
		t.Errorf("got the owners %q, want the new one alone", subjects(s))
	}
}
