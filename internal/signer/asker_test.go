package signer

import (
	"slices"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/recorder/ledger"
)

// TestTheOpenLeafCommitsToWhoAsked checks sessions by id token and by API token, and that two sessions of one person
// have different commitments.
func TestTheOpenLeafCommitsToWhoAsked(t *testing.T) {
	h := newHouse(t)
	tess := person("tess", "technicians")
	tess.SecondFactorAt, tess.Methods = t0.Add(time.Minute), []string{"pwd", "otp"}
	h.cfg.Identities.(provider)["tess"] = tess
	seen := map[[32]byte]bool{}
	for range 2 {
		a, asked := h.asker(t, evidence("tess"))
		if a.Issuer != "https://idp.test" || a.Subject != "tess" || a.SignedInMS != t0.UnixMilli() || a.Token != "" ||
			a.SecondFactorMS != tess.SecondFactorAt.UnixMilli() || !slices.Equal(a.Methods, tess.Methods) || a.Device != "press-1" {
			t.Errorf("got %+v, want the sign-in as the id token shows it", a)
		}
		if seen[asked] {
			t.Error("two sessions have one commitment, so it can be recognised")
		}
		seen[asked] = true
	}
}

// asker opens a session, and returns the statement of who asked and its commitment.
func (h *house) asker(t *testing.T, e Evidence) (ledger.Asker, [32]byte) {
	t.Helper()
	r := h.request(e, "press-1")
	o, err := h.Open(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	body, err := ledger.ParseOpenBody(o.Body)
	if err != nil || body.Asker == nil || *body.Asker != ledger.CommitAsker(o.Asker) {
		t.Fatalf("got %+v, %v, want a commitment to the statement", body, err)
	}
	a, err := ledger.ParseAsker(o.Asker)
	if err != nil || a.Session != r.Session {
		t.Fatalf("got %+v, %v", a, err)
	}
	return a, *body.Asker
}

func TestTextsOfAProviderFitIntoTheStatement(t *testing.T) {
	long := string(make([]byte, 400)) + "\xff" + string(slices.Repeat([]byte("ü"), 200))
	who := person(long)
	who.Methods = slices.Repeat([]string{long}, 100)
	raw, err := stated(askerOf(who), id.NewSession(), "press-1")
	if err != nil {
		t.Fatal(err)
	}
	if a, err := ledger.ParseAsker(raw); err != nil || len(a.Methods) != ledger.MaxMethods {
		t.Errorf("got %+v, %v", a, err)
	}
}
