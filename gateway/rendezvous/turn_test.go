package rendezvous

import (
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/internal/wire"
	"github.com/sallyport/sallyport/recorder/ledger"
)

// TestOpensAtOnceAreEachProvenFromWhereTheDeviceStands announces sessions in one order and opens them in the other, so
// that most are older than what the device holds by then.
func TestOpensAtOnceAreEachProvenFromWhereTheDeviceStands(t *testing.T) {
	h := newHouse(t)
	m := h.admitted("press-1")
	c := h.up(m)
	key := h.bundle.Load().parsed.Log.Key
	var orders []gateway.Order
	for range 6 {
		orders = append(orders, h.order(m))
	}
	var outs []<-chan opened
	var held ledger.Checkpoint
	for i := range orders {
		outs = append(outs, h.opening(orders[len(orders)-1-i]))
	}
	for i := range orders {
		o := next[wire.Open](t, c, wire.TypeOpen)
		cp := must(ledger.ParseCheckpoint(o.Checkpoint, key))(t)
		if held.Size > 0 {
			if err := ledger.CheckConsistency(held.Size, held.Root, cp.Size, cp.Root, raw(o.Consistency)); err != nil {
				t.Fatalf("open %d: from %d to %d: %v", i, held.Size, cp.Size, err)
			}
		}
		if err := ledger.CheckInclusion(o.Leaf, o.Index, cp.Size, cp.Root, raw(o.Proof)); err != nil {
			t.Fatalf("open %d: %v", i, err)
		}
		select {
		case raw := <-c.got:
			if k, _ := wire.Kind(raw); k == wire.TypeOpen {
				t.Fatal("the next open came before this one was decided")
			}
		case <-time.After(30 * time.Millisecond):
		}
		held = cp
		c.line.SendMsg(wire.Ping{T: wire.TypePing, Nonce: make([]byte, 16), Size: cp.Size, Root: cp.Root}, time.Second)
		c.line.SendMsg(wire.Refuse{T: wire.TypeRefuse, Session: o.Session, Clause: "host", Text: "enough"}, time.Second)
	}
	for _, out := range outs {
		if got := <-out; got.err == nil {
			t.Error("opened although the device refused")
		}
	}
}

func raw(in []wire.Hash) [][32]byte {
	out := make([][32]byte, len(in))
	for i, h := range in {
		out[i] = h
	}
	return out
}
