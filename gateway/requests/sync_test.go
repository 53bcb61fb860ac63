package requests

import (
	"slices"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/signer"
	"github.com/sallyport/sallyport/internal/store"
)

// TestOwnersAreThoseThatTheSignerKnows: a restored database of the gateway can name somebody who was removed.
func TestOwnersAreThoseThatTheSignerKnows(t *testing.T) {
	h := newHouse(t)
	h.owner("olga")
	site := store.Site{Name: "ulm", ShownAs: "Ulm", Owners: []id.Principal{principal("otto"), principal("olga")}, Created: h.clock()}
	if err := h.db.PutSite(t.Context(), site); err != nil {
		t.Fatal(err)
	}
	if _, err := h.signer.PutSite(t.Context(), evidence("ada"), signer.Site{Name: "bonn", Owners: []id.Principal{principal("otto")}}); err != nil {
		t.Fatal(err)
	}
	h.runs()
	for name, want := range map[string]string{"ulm": "olga", "bonn": "otto"} {
		if got, err := h.db.Site(t.Context(), name); err != nil || !slices.Equal(got.Owners, []id.Principal{principal(want)}) {
			t.Errorf("%s: got %+v, %v, want %s alone", name, got, err, want)
		}
	}
}

// TestTheOwnersOfTheNewSiteAnswerAfterADeviceMoves: the signer judges by the site of now too.
func TestTheOwnersOfTheNewSiteAnswerAfterADeviceMoves(t *testing.T) {
	h := newHouse(t)
	h.owner("olga")
	dev := h.dev
	dev.HostKey, dev.EnrolledAt = h.hostKey.Marshal(), h.clock()
	if err := h.db.AddDevice(t.Context(), dev); err != nil {
		t.Fatal(err)
	}
	q, err := h.asks(func(q *Question) { q.Rule, q.For = "R3", 5*time.Minute })
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.signer.PutSite(t.Context(), evidence("ada"), signer.Site{Name: "bonn", Owners: []id.Principal{principal("otto")}}); err != nil {
		t.Fatal(err)
	}
	h.moves("bonn")
	h.runs()
	_, err = h.Approve(t.Context(), person("olga", "owners"), evidence("olga"), q.ID, Less{})
	h.wants("the owner of before", err, errkind.Denied, "cannot answer")
	if got, err := h.Approve(t.Context(), person("otto", "owners"), evidence("otto"), q.ID, Less{}); err != nil || len(got.Approvals) != 1 {
		t.Errorf("the owner of now: got %+v, %v", got, err)
	}
}

// moves gives the device another site, at the signer and here.
func (h *house) moves(site string) {
	h.t.Helper()
	to := signer.Device{Name: h.dev.Name, Site: site, FP: h.dev.FP, HostKey: h.hostKey}
	_, err := h.signer.PutDevice(h.t.Context(), evidence("ada"), to)
	if err == nil {
		_, err = h.db.ChangeDevice(h.t.Context(), h.dev.FP, func(d *store.Device) error { d.Site = site; return nil })
	}
	if err != nil {
		h.t.Fatal(err)
	}
}
