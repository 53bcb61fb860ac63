package e2e

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/internal/agent/state"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/signer"
	"github.com/sallyport/sallyport/recorder/bundle"
	"github.com/sallyport/sallyport/recorder/bundle/bundletest"
)

// TestASessionOutlivesItsFirstPassOnARealDevice: broker, signer and agent with passes of a few seconds.
func TestASessionOutlivesItsFirstPassOnARealDevice(t *testing.T) {
	t.Parallel()
	h := newBrokerHouse(t, 16*time.Second)
	c, door := h.session("/bin/sh", "-c", "read x; echo got $x")
	first := c.Until()
	by := signer.Evidence{APIToken: "spt_tech"}
	for time.Now().Before(first.Add(2 * time.Second)) {
		time.Sleep(3 * time.Second)
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
	passes := h.verified(c.ID(), bundle.Options{LogDir: filepath.Join(h.dir, "signer", "log"), RecordingsDir: filepath.Join(h.dir, "rec")})
	if passes < 3 {
		t.Errorf("the bundle has %d further passes, want 3 and more", passes)
	}
}

// verified exports a session and checks the bundle and the log. It gives the number of further passes.
func (h *brokerHouse) verified(sid id.Session, opt bundle.Options) int {
	h.t.Helper()
	ctx := context.Background()
	p, err := h.db.Part(ctx, sid, 0)
	h.must(err)
	dev, err := h.db.Device(ctx, "press-1")
	h.must(err)
	passes, err := h.db.Passes(ctx, sid, 0)
	h.must(err)
	part := bundle.Part{Open: *p.OpenLeaf, End: p.CloseLeaf, Pass: p.Pass, Passes: map[uint64][]byte{}, Started: p.Started}
	for _, one := range passes {
		part.Passes[one.Leaf] = one.Pass
	}
	var raw bytes.Buffer
	h.must(bundle.Write(ctx, &raw, bundletest.Access{Service: h.signer}, bundle.Export{Session: sid, Dir: filepath.Join(h.dir, "rec"),
		Parts: []bundle.Part{part}, HostKey: dev.HostKey}))
	path := filepath.Join(h.dir, "session.slyb")
	h.must(os.WriteFile(path, raw.Bytes(), 0o600))
	src, err := bundle.Open(path)
	h.must(err)
	defer src.Close()
	keys, err := h.signer.Keys(ctx)
	h.must(err)
	opt.LogKey, opt.Identities = keys.LogKey, []age.Identity{h.reader}
	rep, err := bundle.Verify(ctx, src, opt)
	h.must(err)
	said := 0
	for _, l := range rep.Lines {
		if strings.Contains(l.Text, "no wider than the one before") {
			said++
		}
	}
	if said != len(passes) {
		h.t.Errorf("the verifier speaks of %d further passes, want %d:\n%+v", said, len(passes), rep.Lines)
	}
	return said
}

// TestASessionThatIsNotRenewedEndsOnBothSides: and the record has why.
func TestASessionThatIsNotRenewedEndsOnBothSides(t *testing.T) {
	t.Parallel()
	h := newBrokerHouse(t, 10*time.Second)
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
