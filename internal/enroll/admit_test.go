package enroll_test

import (
	"strings"
	"testing"

	"github.com/sallyport/sallyport/internal/enroll"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/signer"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/internal/wire"
	"github.com/sallyport/sallyport/recorder/ledger"
)

// waiting gives a device that has joined and waits.
func (h *house) waiting() (*machine, store.Device) {
	h.t.Helper()
	m := newMachine(h.t)
	return m, must(h.join(m, h.code(enroll.TokenSpec{Site: "north", Labels: map[string]string{"hall": "1"}})))(h.t).Device
}

func (h *house) device(name id.Device) store.Device {
	h.t.Helper()
	return must(h.db.Device(h.t.Context(), name))(h.t)
}

func TestOnlyWhoAdministersAdmits(t *testing.T) {
	h := newHouse(t)
	_, d := h.waiting()
	for what, by := range map[string]signer.Evidence{"a technician": h.tech, "a token that nobody made": {APIToken: "spt_made_up"}, "nobody": {}} {
		if _, err := h.Admit(t.Context(), by, enroll.Actor{Name: "mallory"}, d.Name, enroll.Admission{}); err == nil {
			t.Errorf("%s admitted a device", what)
		}
		if got := h.device(d.Name); got.State != store.Waiting {
			t.Errorf("%s: got state %s, want waiting", what, got.State)
		}
	}
	got := must(h.Admit(t.Context(), h.admin, ada, d.Name, enroll.Admission{Fingerprint: enroll.Fingerprint(d.FP)}))(t)
	if got.State != store.OK || got.AdmittedBy != "ada" {
		t.Errorf("got %+v, want a device that ada admitted", got)
	}
	if _, err := h.Admit(t.Context(), h.admin, ada, d.Name, enroll.Admission{}); errkind.KindOf(err) != errkind.Conflict {
		t.Errorf("twice: got %v, want a conflict", err)
	}
}

func TestEventsNameWhoAndNotHowTheyAreCalled(t *testing.T) {
	h := newHouse(t)
	_, d := h.waiting()
	must(h.Admit(t.Context(), h.admin, ada, d.Name, enroll.Admission{}))(t)
	must(h.Label(t.Context(), h.admin, ada, d.Name, map[string]string{"hall": "2"}))(t)
	must(h.Revoke(t.Context(), ada, d.Name, "stolen"))(t)
	if err := h.RevokeToken(t.Context(), ada, d.JoinToken); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, e := range must(h.db.AuditEvents(t.Context(), store.AuditFilter{}))(t) {
		body, err := ledger.ParseEventBody(e.Body)
		if err != nil {
			t.Fatal(err)
		}
		if body.Fields["what"] == "device enrolled" {
			continue
		}
		n++
		if said := body.By + body.Fields["why"]; e.Actor != ada.ID || !strings.Contains(said, ada.ID) {
			t.Errorf("%s: got actor %q, and in the log %q, want %s", e.Type, e.Actor, said, ada.ID)
		}
	}
	if n != 5 {
		t.Errorf("got %d events, want 5", n)
	}
}

func TestAnAdmissionForAnotherKeyIsRefused(t *testing.T) {
	h := newHouse(t)
	_, d := h.waiting()
	for _, typed := range []string{enroll.Fingerprint(wire.Sum([]byte("another"))), "SHA256:", enroll.Fingerprint(d.FP)[:20], "press"} {
		_, err := h.Admit(t.Context(), h.admin, ada, d.Name, enroll.Admission{Fingerprint: typed})
		refusal(t, typed, err, errkind.Conflict, "not the one you gave")
	}
	if got := h.device(d.Name); got.State != store.Waiting {
		t.Errorf("got state %s, want waiting", got.State)
	}
}

func TestASiteThatTheCodeDidNotNameIsTheAdministratorsWord(t *testing.T) {
	h := newHouse(t)
	m, d := h.waiting()
	j := m.with(h.code(enroll.TokenSpec{Site: "south"})) // the same machine, a code of another site
	if _, err := h.Redeem(t.Context(), j); errkind.KindOf(err) != errkind.Denied {
		t.Errorf("a second code: got %v, want a denial", err)
	}
	if got := h.device(d.Name); got.Site != "north" {
		t.Errorf("got site %q, want the first code's", got.Site)
	}
	got := must(h.Admit(t.Context(), h.admin, ada, d.Name, enroll.Admission{Site: "south", Labels: map[string]string{"hall": "2"}}))(t)
	if got.Site != "south" || got.Labels["hall"] != "2" {
		t.Errorf("got %s %v, want what ada said", got.Site, got.Labels)
	}
}

func TestARevokedDeviceIsCutAndNeverAdmittedAgain(t *testing.T) {
	h := newHouse(t)
	_, d := h.waiting()
	must(h.Admit(t.Context(), h.admin, ada, d.Name, enroll.Admission{}))(t)
	got := must(h.Revoke(t.Context(), ada, d.Name, "stolen"))(t)
	if got.State != store.Revoked || len(h.cut) != 1 || h.cut[0] != wire.Hash(d.FP) {
		t.Errorf("got state %s and %d lines cut, want revoked and its own", got.State, len(h.cut))
	}
	_, err := h.Admit(t.Context(), h.admin, ada, d.Name, enroll.Admission{})
	refusal(t, "admitting it again", err, errkind.Conflict, "a revoked key stays so")
	_, err = h.Label(t.Context(), h.admin, ada, d.Name, map[string]string{"hall": "2"})
	refusal(t, "labelling it", err, errkind.Conflict, "is revoked")
	must(h.Revoke(t.Context(), ada, d.Name, "again"))(t)
	if got := h.device(d.Name); got.StateWhy != "stolen" {
		t.Errorf("got reason %q, want the first", got.StateWhy)
	}
}

func TestADisputedDeviceIsClearedByBeingAdmittedAgain(t *testing.T) {
	h := newHouse(t)
	_, d := h.waiting()
	must(h.Admit(t.Context(), h.admin, ada, d.Name, enroll.Admission{}))(t)
	must(h.db.ChangeDevice(t.Context(), d.FP, func(row *store.Device) error { row.State = store.Disputed; return nil }))(t)
	_, err := h.Label(t.Context(), h.admin, ada, d.Name, map[string]string{"hall": "2"})
	refusal(t, "labelling it", err, errkind.Conflict, "is disputed")
	got := must(h.Admit(t.Context(), h.admin, ada, d.Name, enroll.Admission{}))(t)
	if got.State != store.OK || len(h.drop) != 1 {
		t.Errorf("got state %s and %d lines dropped, want ok and its lines looked at afresh", got.State, len(h.drop))
	}
}

func TestACodeThatNobodyCouldUseIsNotMade(t *testing.T) {
	h := newHouse(t)
	for what, s := range map[string]enroll.TokenSpec{
		"no time": {TTL: 1}, "too much time": {TTL: enroll.MaxTTL + 1}, "no use": {Uses: -1}, "too many uses": {Uses: enroll.MaxUses + 1},
		"a name with a slash": {Name: "../press"}, "a site that moves cursors": {Site: "\x1b[2J"}, "a label without a name": {Labels: map[string]string{"": "x"}},
		"a label in capitals": {Labels: map[string]string{"Hall": "1"}}, "a serial over lines": {Serial: "a\nb"},
	} {
		if _, _, err := h.CreateToken(t.Context(), ada, s); errkind.KindOf(err) != errkind.Usage {
			t.Errorf("%s: got %v, want that it is refused as a mistake", what, err)
		}
	}
	if got := must(h.db.JoinTokens(t.Context()))(t); len(got) != 0 {
		t.Errorf("got %d codes, want none", len(got))
	}
	h.URL = "http://gateway.example"
	_, _, err := h.CreateToken(t.Context(), ada, enroll.TokenSpec{})
	refusal(t, "an address in the clear", err, errkind.Unavailable, "devices could not reach this gateway")
}
