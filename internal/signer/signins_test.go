package signer

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/wire"
)

// refusesAll checks that evidence opens, renews, approves and applies nothing. Opened is a session of the same person.
func (h *house) refusesAll(t *testing.T, e Evidence, r OpenRequest, o Opened) {
	t.Helper()
	ctx, size := t.Context(), h.log.Head().Size
	_, err := h.Open(ctx, h.request(e, "press-1"))
	wantKind(t, "open", err, errkind.Signin)
	_, err = h.Renew(ctx, RenewRequest{Evidence: e, Session: r.Session, Open: o.Index, Pass: o.Pass, Needs: "shell:svc",
		SessionKey: freshKey()})
	wantKind(t, "renew", err, errkind.Signin)
	_, err = h.PutDevice(ctx, e, machine("press-9", "1"))
	wantKind(t, "admit a device", err, errkind.Signin)
	_, err = h.ApplyPolicy(ctx, e, []PolicyFile{{Name: "p.toml", Text: policy}}, "x")
	wantKind(t, "apply a policy", err, errkind.Signin)
	_, err = h.PutToken(ctx, e, Token{ID: "n", Hash: wire.Sum([]byte("n")), Principal: person("tess").Principal,
		Scopes: []string{ScopeSession}, Expires: h.clock().Add(time.Hour)})
	wantKind(t, "make an API token", err, errkind.Signin)
	wantKind(t, "identify", h.Identify(ctx, e), errkind.Signin)
	if h.log.Head().Size != size {
		t.Error("refused evidence wrote to the log")
	}
}

func TestAClosedSignInIsEvidenceForNothing(t *testing.T) {
	h := newHouse(t)
	r := h.request(tess, "press-1")
	o, err := h.Open(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range []Evidence{tess, ada} {
		if err := h.SignOut(t.Context(), TokenHash(e.IDToken)); err != nil {
			t.Fatal(err)
		}
		h.refusesAll(t, e, r, o)
	}
	h.cfg.Now = h.clock
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	h.start()
	h.refusesAll(t, ada, r, o)
	if err := h.SignOut(t.Context(), TokenHash("ada")); err != nil {
		t.Errorf("closed again: %v", err)
	}
	wantKind(t, "no hash", h.SignOut(t.Context(), wire.Hash{}), errkind.Usage)
}

func TestASignInCanBeClosedBeforeTheSignerHasSeenIt(t *testing.T) {
	h := newHouse(t)
	if err := h.SignOut(t.Context(), TokenHash("nobody")); err != nil {
		t.Fatal(err)
	}
	wantKind(t, "its first use", h.Identify(t.Context(), evidence("nobody")), errkind.Signin)
	if err := h.Identify(t.Context(), tess); err != nil {
		t.Errorf("another sign-in: %v", err)
	}
}

// TestNothingIsAnnouncedAfterAWithdrawal withdraws evidence after it was checked and before anything is announced.
func TestNothingIsAnnouncedAfterAWithdrawal(t *testing.T) {
	h := newHouse(t)
	asked := 0
	h.Service.cfg.Now = func() time.Time {
		if asked++; asked == 2 { // the second check of the token: it has been read, and is compared with the time
			if _, err := h.RevokeToken(t.Context(), "robot", "lost"); err != nil {
				t.Error(err)
			}
		}
		return h.clock()
	}
	_, err := h.Open(t.Context(), h.request(robot, "press-1"))
	wantKind(t, "open with an API token that is revoked meanwhile", err, errkind.Signin)
	if asked < 3 {
		t.Fatalf("the token was not revoked in between: the time was asked %d times", asked)
	}
	h.Service.cfg.Now = h.clock
	if err := h.SignOut(t.Context(), TokenHash(tess.IDToken)); err != nil {
		t.Fatal(err)
	}
	wantKind(t, "a sign-in that is closed meanwhile", h.withdrawn(tess), errkind.Signin)
}

func TestRecordsOfSignInsAreRemovedOnceTheirTokensDoNotCount(t *testing.T) {
	h := newHouse(t)
	ids := h.cfg.Identities.(provider)
	for i := range 20 {
		token := fmt.Sprint("once-", i)
		who := person("tess", "technicians")
		who.SignedInAt, who.Until = h.clock(), h.clock().Add(time.Hour)
		ids[token] = who
		if err := h.Identify(t.Context(), evidence(token)); err != nil {
			t.Fatal(err)
		}
		if err := h.SignOut(t.Context(), TokenHash(token)); err != nil {
			t.Fatal(err)
		}
		h.pass(30 * time.Minute)
	}
	files, err := os.ReadDir(filepath.Join(h.dir, "state", "signins"))
	if len(h.state.signIns) > 8 || len(files) != len(h.state.signIns) || err != nil {
		t.Errorf("%d records and %d files of 20 sign-ins are left after 10 h, %v", len(h.state.signIns), len(files), err)
	}
	for _, f := range files {
		raw, err := os.ReadFile(filepath.Join(h.dir, "state", "signins", f.Name()))
		if err != nil || strings.Contains(string(raw), "once-") {
			t.Errorf("%s has the token itself, or %v", raw, err)
		}
	}
}

func TestARestoredSignerRefusesEarlierSignIns(t *testing.T) {
	h := newHouse(t)
	if err := h.Identify(t.Context(), tess); err != nil {
		t.Fatal(err)
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	h.pass(time.Minute)
	if err := (&Restored{Made: t0, At: h.clock()}).Write(h.dir); err != nil {
		t.Fatal(err)
	}
	later := person("tess", "technicians")
	later.IssuedAt = h.clock().Add(time.Second)
	h.cfg.Identities.(provider)["later"] = later
	for range 2 { // also at a later start
		h.start()
		wantKind(t, "a sign-in that the backup may take for open", h.Identify(t.Context(), tess), errkind.Signin)
		if err := h.Identify(t.Context(), evidence("later")); err != nil {
			t.Errorf("a sign-in after the restore: %v", err)
		}
		if err := h.Close(); err != nil {
			t.Fatal(err)
		}
	}
	h.start()
}

// TestAnotherSignatureOfATokenHasItsHash: of an ECDSA signature (r, s), (r, n-s) is valid too.
func TestAnotherSignatureOfATokenHasItsHash(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte("e30.e30"))
	r, s, err := ecdsa.Sign(rand.Reader, key, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	other := new(big.Int).Sub(elliptic.P256().Params().N, s)
	if !ecdsa.Verify(&key.PublicKey, sum[:], r, other) {
		t.Fatal("the second signature is not valid, so this test shows nothing")
	}
	a, b := fmt.Sprintf("e30.e30.%x%x", r, s), fmt.Sprintf("e30.e30.%x%x", r, other)
	if TokenHash(a) != TokenHash(b) || TokenHash(a) == TokenHash("e30.e31.x") {
		t.Error("the hash depends on the signature, or not on the claims")
	}
}

func TestAnIDTokenIsEvidenceInItsWebSessionAlone(t *testing.T) {
	h := newHouse(t)
	r := h.request(tess, "press-1")
	o, err := h.Open(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	other, none := tess, tess
	other.Session, none.Session = ada.Session, wire.Hash{}
	for range 2 { // also after a restart
		for _, e := range []Evidence{other, none} {
			h.refusesAll(t, e, r, o)
		}
		if _, err := h.Open(t.Context(), h.request(tess, "press-1")); err != nil {
			t.Errorf("its own web session: %v", err)
		}
		if err := h.Close(); err != nil {
			t.Fatal(err)
		}
		h.start()
	}
	files, err := filepath.Glob(filepath.Join(h.dir, "state", "signins", "*.json"))
	if err != nil || len(files) != 2 { // tess and ada
		t.Errorf("%d records, %v", len(files), err)
	}
}
