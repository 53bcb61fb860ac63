package e2e

import (
	"context"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/internal/agent/state"
	"github.com/sallyport/sallyport/internal/signer"
)

// TestASessionOutlivesItsFirstPassOnARealDevice: broker, signer and agent with passes of a few seconds.
func TestASessionOutlivesItsFirstPassOnARealDevice(t *testing.T) {
	t.Parallel()
	h := newBrokerHouse(t, 8*time.Second)
	c, door := h.session("/bin/sh", "-c", "read x; echo got $x")
	first := c.Until()
	by := signer.Evidence{APIToken: "spt_tech"}
	for time.Now().Before(first.Add(2 * time.Second)) {
		time.Sleep(2 * time.Second)
		until, err := h.Renew(context.Background(), c.ID(), by)
		if err != nil {
			t.Fatal(err)
		}
		if got := h.live().Until; !got.Equal(until) {
			t.Errorf("the device ends the session at %s, the gateway at %s", got, until)
		}
	}
	if _, err := c.Write([]byte("x\n")); err != nil {
		t.Fatal(err)
	}
	if got := c.Wait(); got.Status == nil || *got.Status != 0 || door.shown() != "got x\n" {
		t.Errorf("got %+v and %q", got, door.shown())
	}
	if _, err := h.Renew(context.Background(), c.ID(), by); err == nil {
		t.Error("a session that has ended was renewed")
	}
}

// TestASessionThatIsNotRenewedEndsOnBothSides: and the record has why.
func TestASessionThatIsNotRenewedEndsOnBothSides(t *testing.T) {
	t.Parallel()
	h := newBrokerHouse(t, 4*time.Second)
	c, _ := h.session("/bin/sleep", "1000")
	if got := c.Wait(); got.Reason != gateway.ByGrantEnd {
		t.Errorf("got %+v, want the end of the grant", got)
	}
	eventually(t, time.Minute, "the device has none", func() bool { return len(state.At(h.stateDir()).Sessions()) == 0 })
}

// live is the one session that the device has, as its owner sees it.
func (h *brokerHouse) live() (l state.Live) {
	h.t.Helper()
	dir := state.At(h.stateDir())
	sids := dir.Sessions()
	if len(sids) != 1 {
		h.t.Fatalf("%d sessions run on the device", len(sids))
	}
	h.must(dir.CallSession(sids[0], state.Ask{Op: "info"}, &l))
	return l
}
