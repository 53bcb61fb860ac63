package signer

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/wire"
	"github.com/sallyport/sallyport/recorder/ledger"
)

func freshKey() []byte {
	pub, _, _ := ed25519.GenerateKey(rand.Reader)
	key, _ := ssh.NewPublicKey(pub)
	return key.Marshal()
}

// running opens a session and gives the request that renews it.
func (h *house) running(e Evidence) (Opened, RenewRequest) {
	h.t.Helper()
	r := h.request(e, "press-1")
	o, err := h.Open(h.t.Context(), r)
	if err != nil {
		h.t.Fatal(err)
	}
	return o, RenewRequest{Evidence: e, Session: r.Session, Open: o.Index, Pass: o.Pass, Needs: "shell:svc", SessionKey: freshKey()}
}

func (h *house) renew(r RenewRequest) Renewed {
	h.t.Helper()
	out, err := h.Renew(h.t.Context(), r)
	if err != nil {
		h.t.Fatal(err)
	}
	return out
}

func (h *house) parse(pass []byte) *wire.Pass {
	h.t.Helper()
	p, err := wire.ParsePass(pass, h.ca())
	if err != nil {
		h.t.Fatal(err)
	}
	return p
}

func (h *house) end(o Opened, sid id.Session) error {
	raw, _ := ledger.CloseBody{Session: sid, Open: o.Index, Reason: "exit"}.Marshal()
	_, err := h.Append(context.Background(), AppendRequest{Type: "close", Ref: []uint64{o.Index}, Body: raw})
	return err
}

func TestTheNextPassIsAnnouncedBeforeItIsSigned(t *testing.T) {
	h := newHouse(t)
	first, r := h.running(tess)
	h.pass(30 * time.Minute)
	r.AckSize = 1
	o := h.renew(r)
	next, before := h.parse(o.Pass), h.parse(first.Pass)
	if err := next.Follows(before); err != nil {
		t.Error(err)
	}
	leaf, err := ledger.ParseLeaf(o.Leaf)
	if err != nil || leaf.Type != "pass" || len(leaf.Ref) != 1 || leaf.Ref[0] != first.Index ||
		leaf.Commit != ledger.Commit([16]byte(o.Nonce), o.Body) {
		t.Errorf("got leaf %+v, %v", leaf, err)
	}
	body, err := ledger.ParsePassBody(o.Body)
	want := ledger.PassBody{Session: r.Session, Open: first.Index, N: 1, Pass: next.Hash, Prev: before.Hash,
		AtMS: h.clock().UnixMilli()}
	if err != nil || body != want || o.N != 1 || o.PassHash != next.Hash {
		t.Errorf("got body %+v, %v, want %+v", body, err, want)
	}
	cp, err := ledger.ParseCheckpoint(o.Checkpoint, h.keys.logVerifier)
	if err != nil || ledger.CheckInclusion(o.Leaf, o.Index, cp.Size, cp.Root, raw(o.Proof)) != nil || len(o.Consistency) == 0 {
		t.Errorf("it is not proven: %v", err)
	}
	if until := t0.Add(90 * time.Minute); !next.Until().Equal(until) || !o.Until.Equal(until) {
		t.Errorf("got end %s, want %s", next.Until(), until)
	}
	if next.CheckTime(h.clock(), h.clock()) != nil {
		t.Error("it is not good now")
	}
}

func TestARenewalThatDoesNotHoldGivesNoPass(t *testing.T) {
	stranger := newHouse(t)
	foreign, _ := stranger.running(tess)
	for _, c := range []struct {
		what   string
		change func(h *house, o Opened, r *RenewRequest)
		kind   errkind.Kind
	}{
		{"no evidence", func(_ *house, _ Opened, r *RenewRequest) { r.Evidence = Evidence{} }, errkind.Signin},
		{"another person", func(_ *house, _ Opened, r *RenewRequest) { r.Evidence = ada }, errkind.Denied},
		{"a sign-in that is too old", func(h *house, _ Opened, r *RenewRequest) {
			h.Service.cfg.SignInAge = 20 * time.Minute
			h.pass(30 * time.Minute)
		}, errkind.Signin},
		{"no pass", func(_ *house, _ Opened, r *RenewRequest) { r.Pass = nil }, errkind.Usage},
		{"a pass of another signer", func(_ *house, _ Opened, r *RenewRequest) { r.Pass = foreign.Pass }, errkind.Usage},
		{"a pass of another session", func(h *house, _ Opened, r *RenewRequest) {
			other, _ := h.running(tess)
			r.Pass = other.Pass
		}, errkind.Usage},
		{"a pass that has ended", func(h *house, _ Opened, r *RenewRequest) { h.pass(time.Hour) }, errkind.Conflict},
		{"the open leaf of another session", func(h *house, _ Opened, r *RenewRequest) {
			other, _ := h.running(tess)
			r.Open = other.Index
		}, errkind.Usage},
		{"a leaf that is no open leaf", func(_ *house, _ Opened, r *RenewRequest) { r.Open = 0 }, errkind.Conflict},
		{"a session that has ended", func(h *house, o Opened, r *RenewRequest) {
			if err := h.end(o, r.Session); err != nil {
				h.t.Fatal(err)
			}
		}, errkind.Conflict},
		{"an action that the pass before does not name", func(_ *house, _ Opened, r *RenewRequest) {
			r.Needs = "run:svc /usr/bin/uptime -p"
		}, errkind.Denied},
		{"an action as another login", func(_ *house, _ Opened, r *RenewRequest) { r.Needs = "shell:root" }, errkind.Denied},
		{"no action", func(_ *house, _ Opened, r *RenewRequest) { r.Needs = "" }, errkind.Usage},
		{"the key of the pass before", func(h *house, o Opened, r *RenewRequest) {
			r.SessionKey = h.parse(o.Pass).Cert.Key.Marshal()
		}, errkind.Usage},
		{"no key", func(_ *house, _ Opened, r *RenewRequest) { r.SessionKey = nil }, errkind.Usage},
		{"a locked device", func(h *house, _ Opened, r *RenewRequest) {
			if _, err := h.Restrict(h.t.Context(), machine("press-1", "1").FP, wire.StateLocked, "x"); err != nil {
				h.t.Fatal(err)
			}
		}, errkind.Denied},
		{"a policy that no longer allows it", func(h *house, _ Opened, r *RenewRequest) {
			if _, err := h.PutDevice(h.t.Context(), ada, machine("press-1", "2")); err != nil {
				h.t.Fatal(err)
			}
		}, errkind.Denied},
	} {
		h := newHouse(t)
		o, r := h.running(tess)
		c.change(h, o, &r)
		size := h.log.Head().Size
		out, err := h.Renew(t.Context(), r)
		wantKind(t, c.what, err, c.kind)
		if out.Pass != nil || h.log.Head().Size != size {
			t.Errorf("%s: a pass or a leaf came of it", c.what)
		}
	}
}

// TestPassesAreCountedAlsoAfterARestart: each names the one before it. A pass that the device refused may lie between.
func TestPassesAreCountedAlsoAfterARestart(t *testing.T) {
	h := newHouse(t)
	first, r := h.running(tess)
	other, _ := h.running(tess)
	renew := func(from []byte, n uint32) Renewed {
		t.Helper()
		r.Pass, r.SessionKey = from, freshKey()
		o := h.renew(r)
		body, err := ledger.ParsePassBody(o.Body)
		if err != nil || o.N != n || body.N != n || body.Prev != [32]byte(h.parse(from).Hash) {
			t.Errorf("got pass %d after %s (%v), want %d", o.N, wire.Hash(body.Prev), err, n)
		}
		return o
	}
	second := renew(first.Pass, 1)
	renew(first.Pass, 2) // the device refused the second
	h.Close()
	h.start()
	renew(second.Pass, 3)
	r.Pass, r.SessionKey = other.Pass, freshKey()
	_, err := h.Renew(t.Context(), r)
	wantKind(t, "another session's pass after the restart", err, errkind.Usage)
	if err := h.end(first, r.Session); err != nil {
		t.Fatal(err)
	}
	h.Close()
	h.start()
	r.Pass = second.Pass
	_, err = h.Renew(t.Context(), r)
	wantKind(t, "after its end and a restart", err, errkind.Conflict)
}

// TestAPassIsNeverWiderThanTheOneBefore: a policy that allows more sessions at once, or drops a mark, does not.
func TestAPassIsNeverWiderThanTheOneBefore(t *testing.T) {
	h := newHouse(t)
	first, r := h.running(tess)
	strict := h.parse(first.Pass).Grant
	strict.MaxConcurrent, strict.IdleS, strict.Attended, strict.Emergency = 3, 60, true, true
	key, _ := ssh.ParsePublicKey(freshKey())
	p, err := wire.NewPass(strict, key, h.keys.sessionCA.PublicKey(), t0.Add(-time.Minute), t0.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if r.Pass, err = p.Sign(h.keys.sessionCA); err != nil {
		t.Fatal(err)
	}
	h.unended.open[first.Index].passes = append(h.unended.open[first.Index].passes, p.Hash)
	next := h.parse(h.renew(r).Pass).Grant
	if next.MaxConcurrent != 3 || next.IdleS != 60 || !next.Attended || !next.Emergency {
		t.Errorf("got %+v", next)
	}
}

func TestASessionHasABoundedNumberOfPasses(t *testing.T) {
	h := newHouse(t)
	_, r := h.running(tess)
	for range ledger.MaxPasses {
		r.SessionKey = freshKey()
		r.Pass = h.renew(r).Pass
	}
	r.SessionKey = freshKey()
	_, err := h.Renew(t.Context(), r)
	wantKind(t, "one more", err, errkind.TooMany)
}

// TestNoPassLeafFollowsTheEnd: a verifier would take it for tampering.
func TestNoPassLeafFollowsTheEnd(t *testing.T) {
	h := newHouse(t)
	for range 30 {
		o, r := h.running(tess)
		var wg sync.WaitGroup
		wg.Go(func() { h.Renew(context.Background(), r) })
		wg.Go(func() {
			if err := h.end(o, r.Session); err != nil {
				t.Error(err)
			}
		})
		wg.Wait()
	}
	ended := map[uint64]bool{}
	for i := range h.log.Head().Size {
		raw, _, _, err := h.log.Entry(i)
		if err != nil {
			t.Fatal(err)
		}
		switch l, _ := ledger.ParseLeaf(raw); {
		case l.Type == "close":
			ended[l.Ref[0]] = true
		case l.Type == "pass" && ended[l.Ref[0]]:
			t.Errorf("entry %d is a pass of a session that has ended", i)
		}
	}
	if len(ended) != 30 {
		t.Errorf("%d of 30 sessions have ended", len(ended))
	}
}
