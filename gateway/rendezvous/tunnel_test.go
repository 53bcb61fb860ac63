package rendezvous

import (
	"bytes"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/internal/wire"
)

func (h *house) interceptions() int {
	h.t.Helper()
	return len(must(h.db.AuditEvents(h.t.Context(), store.AuditFilter{Type: "intercepted", Limit: 100}))(h.t))
}

// What a proxy that opens TLS has heard once it can send again, on TLS of its own. That is no line of the device, so nothing is
// written about one.
func TestAReplayedHandshakeIsNoInterceptedLine(t *testing.T) {
	h := newHouseTLS(t, true)
	m := h.admitted("press-1")
	tap := m.overheard()
	within(t, "online", func() bool { return m.row().Tunnel == tunnelTLS })
	h.handshake = 400 * time.Millisecond
	for range 3 {
		again := must(m.dial(wire.ControlPath, wire.ControlSubprotocol, wire.MaxControl, nil))(t)
		again.WriteMessage(tap.first)
		if _, err := again.ReadMessage(); err != nil {
			t.Fatal("want an answer that only the device can read:", err)
		}
		again.Close()
	}
	if n := h.interceptions(); n != 0 || h.Metrics().Intercepted != 0 {
		t.Errorf("%d events of lines that never were", n)
	}
}

// Whether there is something between is half the device's word. One that changes it with each line must not fill the log.
func TestADeviceCannotFillTheLogWithInterceptions(t *testing.T) {
	h := newHouseTLS(t, true)
	m := h.admitted("press-1")
	for i := range 2 * (flipBurst + 10) {
		want := tunnelTLS
		m.tls = nil
		if i%2 == 1 {
			want, m.tls = tunnelIntercepted, func(x []byte) []byte { y := bytes.Clone(x); y[0] ^= 1; return y }
		}
		c := h.up(m)
		within(t, "the row", func() bool { return m.row().Tunnel == want })
		c.ws.Close()
		within(t, "offline", func() bool { return !h.Online(m.fp()) })
	}
	if n := h.interceptions(); n < flipBurst || n > flipBurst+5 {
		t.Errorf("got %d events of %d changes, want about %d", n, flipBurst+10, flipBurst)
	}
}
