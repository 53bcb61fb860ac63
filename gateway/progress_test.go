package gateway_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/recorder/ledger"
)

// progress gives the progress leaves of the log.
func (h *house) progress() (out []ledger.ProgressBody) {
	h.t.Helper()
	ctx := context.Background()
	head := must(h.signer.Head(ctx))(h.t)
	cp := must(ledger.ParseCheckpoint(head, must(h.signer.Keys(ctx))(h.t).LogKey))(h.t)
	for i := range cp.Size {
		e := must(h.signer.Entry(ctx, i))(h.t)
		if l := must(ledger.ParseLeaf(e.Leaf))(h.t); l.Type == "progress" {
			b := must(ledger.ParseProgressBody(e.Body))(h.t)
			if !slices.Equal(l.Ref, []uint64{b.Open}) {
				h.t.Errorf("the leaf refers to %v, its body to %d", l.Ref, b.Open)
			}
			out = append(out, b)
		}
	}
	return out
}

func TestTheLogIsToldHowFarARecordingIs(t *testing.T) {
	h := newHouse(t)
	h.Broker = h.newBrokerWith(func(c *gateway.Config) { c.ProgressEvery = 20 * time.Millisecond })
	s, _ := h.open(h.ask("press-1"))
	must(s.Write([]byte("one\n")))(t)
	within(t, time.Minute, "a first leaf", func() bool { return len(h.progress()) > 0 })
	n := len(h.progress())
	must(s.Write([]byte("two\n")))(t)
	within(t, time.Minute, "a further leaf", func() bool { return len(h.progress()) > n })
	s.End("done")
	s.Wait()
	all := h.progress()
	for i, b := range all {
		if b.Session != s.ID() || i > 0 && b.Seq <= all[i-1].Seq {
			t.Errorf("leaf %d: got %+v after %+v", i, b, all[max(0, i-1)])
		}
	}
}
