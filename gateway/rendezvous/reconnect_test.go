package rendezvous

import (
	"testing"
)

// TestOnlyAReturnCountsAsAReconnect: two devices connect for the first time, and one of them reconnects, before and
// after its row was written.
func TestOnlyAReturnCountsAsAReconnect(t *testing.T) {
	h := newHouse(t)
	m := h.admitted("press-1")
	first := h.up(m)
	h.up(h.admitted("press-2"))
	h.counted(t, 2, 0)
	first.ws.Close()
	within(t, "the line to end", func() bool { return !h.Online(m.fp()) })
	second := h.up(m)
	h.counted(t, 3, 1)
	second.ws.Close()
	within(t, "the row to be written", func() bool { return !m.row().Online() && !m.row().LastSeen.IsZero() })
	h.up(m)
	h.counted(t, 4, 2)
}

func (h *house) counted(t *testing.T, handshakes, reconnects uint64) {
	t.Helper()
	if got := h.Metrics(); got.Handshakes != handshakes || got.Reconnects != reconnects {
		t.Errorf("got %d handshakes and %d reconnects, want %d and %d", got.Handshakes, got.Reconnects,
			handshakes, reconnects)
	}
}

// TestADeviceIsMetOnlyByTheProcessThatHadItsLine: another process on the same database has not met the device.
func TestADeviceIsMetOnlyByTheProcessThatHadItsLine(t *testing.T) {
	h := newHouse(t)
	m := h.admitted("press-1")
	if h.Met(m.fp()) {
		t.Error("a device that never connected was met")
	}
	l := h.up(m)
	if !h.Met(m.fp()) {
		t.Error("a device that is online was not met")
	}
	l.ws.Close()
	within(t, "the line to end", func() bool { return !h.Online(m.fp()) })
	if !h.Met(m.fp()) {
		t.Error("a device whose line ended was not met")
	}
	within(t, "the row to be written", func() bool { return !m.row().LastSeen.IsZero() })
	if next := New(h.cfg); next.Met(m.fp()) {
		t.Error("a process that has just started met a device of the one before")
	}
}
