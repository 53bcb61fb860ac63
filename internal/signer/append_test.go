package signer

import (
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/recorder/ledger"
)

func TestNothingIsShreddedBeforeItsTime(t *testing.T) {
	h := newHouse(t)
	o, err := h.Open(t.Context(), h.request(tess, "press-1"))
	if err != nil {
		t.Fatal(err)
	}
	shred := func(at time.Time, ref ...uint64) error {
		body, err := ledger.EventBody{By: "x", AtMS: at.UnixMilli()}.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		_, err = h.Append(t.Context(), AppendRequest{Type: "shredded", Ref: ref, Body: body})
		return err
	}
	wantKind(t, "within the time promised", shred(h.clock(), o.Index), errkind.Denied)
	wantKind(t, "with a time to come", shred(h.clock().Add(2*time.Hour), o.Index), errkind.Denied)
	h.pass(h.cfg.RetainFor + time.Second)
	wantKind(t, "with a time to come, after it", shred(h.clock().Add(time.Hour), o.Index), errkind.Denied)
	wantKind(t, "of nothing", shred(h.clock()), errkind.Denied)
	wantKind(t, "of what is no beginning", shred(h.clock(), 0), errkind.Denied)
	if err := shred(h.clock(), o.Index); err != nil {
		t.Errorf("after the time promised: %v", err)
	}
}
