package rendezvous

import (
	"testing"

	"github.com/sallyport/sallyport/internal/wire"
)

// waits until so many connections to the house are not authenticated.
func (h *house) unauthenticated(what string, want int) {
	h.t.Helper()
	within(h.t, what, func() bool { return h.limits.Counts().Waiting == want })
}

// TestOnlyALineThatProvesItsKeyIsNotLimited looks at what the listener's limits count, over TLS.
func TestOnlyALineThatProvesItsKeyIsNotLimited(t *testing.T) {
	h := newHouseTLS(t, true)
	m := h.admitted("press-1")
	h.unauthenticated("the enrolment ends", 0)
	silent := must(m.dial(wire.ControlPath, wire.ControlSubprotocol, wire.MaxControl, nil))(t)
	h.unauthenticated("a line without a handshake counts", 1)
	greeted := must(m.greet(nil))(t)
	h.unauthenticated("one that can be a replay counts", 2)
	c := h.up(m)
	h.unauthenticated("one that proved its key does not", 2)
	if _, err := newMachine(h).greet(nil); err == nil {
		t.Error("an unknown device was greeted")
	}
	greeted.ws.Close()
	silent.Close()
	h.unauthenticated("what is closed does not", 0)

	out := h.opening(h.order(m))
	o := next[wire.Open](t, c, wire.TypeOpen)
	if _, err := m.dialBack(o, newMachine(h).host); err == nil {
		t.Error("a stranger's host key was taken")
	}
	h.unauthenticated("a session line without the host key ends", 0)
	back := must(m.dialBack(o, m.host))(t)
	if got := <-out; got.err != nil {
		t.Fatal(got.err)
	}
	h.unauthenticated("one with it does not count", 0)
	back.Close()
}
