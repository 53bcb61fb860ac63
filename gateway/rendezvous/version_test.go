package rendezvous

import (
	"strings"
	"testing"

	"github.com/sallyport/sallyport/internal/enroll"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/internal/wire"
)

// TestAnAgentOfVersionOneIsRefusedWithWhatToDo: its hello is that of the release before. The close's text is what such an
// agent logs and shows in its status.
func TestAnAgentOfVersionOneIsRefusedWithWhatToDo(t *testing.T) {
	h := newHouse(t)
	m := h.admitted("press-1")
	m.speaks = []int{1}
	c := must(m.connect())(t)
	err := <-c.ended
	if code, text := wire.CloseCode(err), wire.CloseText(err); code != wire.CloseVersion ||
		!strings.Contains(text, "needs control protocol 2: install its release of sallyport-agent; retry-after=") {
		t.Errorf("got close code %d with %q", code, text)
	}
	within(t, "its row tells", func() bool { d := m.row(); return d.Protocol == 1 && !d.Online() && !d.LastSeen.IsZero() })
	if h.Online(m.fp()) || h.Metrics().Outdated != 1 || m.row().State != store.OK {
		t.Errorf("online %v, %d outdated, state %s", h.Online(m.fp()), h.Metrics().Outdated, m.row().State)
	}

	m.speaks = nil
	h.up(m)
	within(t, "its row tells", func() bool { d := m.row(); return d.Protocol == wire.ControlVersion && d.Online() })
	if n := h.Metrics().Outdated; n != 0 {
		t.Errorf("after its update: %d outdated", n)
	}
}

// TestARecordedHelloOfVersionOneMarksNoDevice: its first message can be sent again by whoever recorded it.
func TestARecordedHelloOfVersionOneMarksNoDevice(t *testing.T) {
	h := newHouse(t)
	m := h.admitted("press-1")
	m.speaks = []int{1}
	refused := h.Metrics().Refused
	c := must(m.greet(nil))(t) // and no message after it
	c.ws.Close()
	within(t, "the handshake to end", func() bool { return h.Metrics().Refused > refused })
	if d := m.row(); d.Protocol != 0 || h.Metrics().Outdated != 0 {
		t.Errorf("got version %d in its row, %d outdated", d.Protocol, h.Metrics().Outdated)
	}
}

// TestAnOutdatedSecondLineIsADisputeToo: it shows the key of a device that is here.
func TestAnOutdatedSecondLineIsADisputeToo(t *testing.T) {
	h := newHouse(t)
	m := h.admitted("press-1")
	h.up(m)
	clone := *m
	clone.speaks = []int{1}
	must(clone.connect())(t)
	within(t, "disputed", func() bool { return m.row().State == store.Disputed })
	if d := m.row(); d.Protocol == 1 || !h.Online(m.fp()) {
		t.Errorf("got version %d in its row, online %v", d.Protocol, h.Online(m.fp()))
	}
}

// TestAnAgentOfVersionOneDoesNotUseUpAJoinCode: the person at the device reads what to do instead.
func TestAnAgentOfVersionOneDoesNotUseUpAJoinCode(t *testing.T) {
	h := newHouse(t)
	code := h.code(enroll.TokenSpec{Name: "press-1", Uses: 1})
	m := newMachine(h)
	m.speaks = []int{1}
	c := must(m.greet(m.part(code)))(t)
	if !strings.Contains(c.reply.Error, wire.OtherVersion(1)) || !strings.Contains(c.reply.Error, wire.UpdateAgent) {
		t.Errorf("got %q", c.reply.Error)
	}
	m.speaks = nil
	if c := must(m.greet(m.part(code)))(t); c.reply.Error != "" {
		t.Errorf("after its update: got %q", c.reply.Error)
	}
}
