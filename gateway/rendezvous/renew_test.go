package rendezvous

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/signer"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/internal/wire"
	"github.com/sallyport/sallyport/recorder/ledger"
)

// renewal has the signer make the next pass of a session that order opened.
func (h *house) renewal(o gateway.Order) wire.Renew {
	h.t.Helper()
	pub, _, err := ed25519.GenerateKey(rand.Reader)
	key := must(ssh.NewPublicKey(must(pub, err)(h.t)))(h.t)
	n := must(h.signer.Renew(h.t.Context(), signer.RenewRequest{Evidence: signer.Evidence{APIToken: "spt_tech"}, Session: o.Session,
		Open: o.Open.Index, Pass: o.Open.Pass, Needs: "shell:svc", SessionKey: key.Marshal(), AckSize: h.Ack(o.Device)}))(h.t)
	return wire.Renew{Session: o.Session, N: n.N, Pass: n.Pass, Leaf: n.Leaf, Nonce: n.Nonce, Body: n.Body, Index: n.Index,
		Proof: n.Proof, Consistency: n.Consistency, Checkpoint: n.Checkpoint}
}

type renewedAs struct{ refused, err error }

func (h *house) renewing(m *machine, r wire.Renew) <-chan renewedAs {
	out := make(chan renewedAs, 1)
	go func() {
		var got renewedAs
		got.refused, got.err = h.Renew(h.t.Context(), m.fp(), r)
		out <- got
	}()
	return out
}

// TestARenewalReachesTheDeviceAndItsWordComesBack: proven from where the device stands, with a fresh status, and answered
// by this device alone.
func TestARenewalReachesTheDeviceAndItsWordComesBack(t *testing.T) {
	h := newHouse(t)
	m, other := h.admitted("press-1"), h.admitted("press-2")
	c, c2 := h.up(m), h.up(other)
	o := h.order(m)
	first, second := h.renewal(o), h.renewal(o)
	out := h.renewing(m, second) // it moves the device's log past the first one's checkpoint
	key := h.bundle.Load().parsed.Log.Key
	held := must(ledger.ParseCheckpoint(next[wire.Renew](t, c, wire.TypeRenew).Checkpoint, key))(t)
	c.line.SendMsg(wire.Ping{T: wire.TypePing, Nonce: make([]byte, 16), Size: held.Size, Root: held.Root}, time.Second)
	c2.line.SendMsg(wire.Accepted{T: wire.TypeAccepted, Session: o.Session, N: 2}, time.Second)
	c2.ping()
	next[wire.Pong](t, c2, wire.TypePong)
	c.line.SendMsg(wire.Accepted{T: wire.TypeAccepted, Session: o.Session, N: 1}, time.Second) // of another renewal
	c.line.SendMsg(wire.Refuse{T: wire.TypeRefuse, Session: o.Session, N: 2, Clause: "owner.hours", Text: "not at this hour"}, time.Second)
	got := <-out
	var why *Refused
	if got.err != nil || !errors.As(got.refused, &why) || why.Clause != "owner.hours" || errkind.KindOf(got.refused) != errkind.Denied {
		t.Fatalf("got %+v, want this device's refusal", got)
	}

	out = h.renewing(m, first)
	r := next[wire.Renew](t, c, wire.TypeRenew)
	cp := must(ledger.ParseCheckpoint(r.Checkpoint, key))(t)
	if err := ledger.CheckInclusion(r.Leaf, r.Index, cp.Size, cp.Root, raw(r.Proof)); err != nil || cp.Size < held.Size {
		t.Errorf("at %d of %d entries: %v", cp.Size, held.Size, err)
	}
	if st := h.state(r.Status); st.State != wire.StateOK || st.Device != m.fp() || r.N != 1 || r.Session != o.Session {
		t.Errorf("got %+v with the status %+v", r, st)
	}
	c.line.SendMsg(wire.Accepted{T: wire.TypeAccepted, Session: o.Session, N: 1}, time.Second)
	if got := <-out; got.err != nil || got.refused != nil {
		t.Errorf("got %+v, want it accepted", got)
	}
	if h.Ack(m.fp()) < cp.Size {
		t.Errorf("the device is taken to hold %d entries, want %d", h.Ack(m.fp()), cp.Size)
	}
}

func TestARenewalWithoutAnAnswerIsNeitherAcceptedNorRefused(t *testing.T) {
	h := newHouse(t)
	m := h.admitted("press-1")
	c := h.up(m)
	r := h.renewal(h.order(m))
	out := h.renewing(m, r)
	next[wire.Renew](t, c, wire.TypeRenew)
	if _, err := h.Renew(t.Context(), m.fp(), r); errkind.KindOf(err) != errkind.Conflict {
		t.Errorf("the same at once: got %v", err)
	}
	c.ws.Close()
	if got := <-out; errkind.KindOf(got.err) != errkind.Unavailable || got.refused != nil {
		t.Errorf("the line broke: got %+v", got)
	}
	within(t, "offline", func() bool { return !h.Online(m.fp()) })
	if _, err := h.Renew(t.Context(), m.fp(), r); errkind.KindOf(err) != errkind.Unavailable || !strings.Contains(err.Error(), "offline") {
		t.Errorf("offline: got %v", err)
	}
	must(h.db.ChangeDevice(t.Context(), m.fp(), func(d *store.Device) error { d.State = store.Locked; return nil }))(t)
	if _, err := h.Renew(t.Context(), m.fp(), r); errkind.KindOf(err) != errkind.Denied {
		t.Errorf("locked: got %v", err)
	}
}
