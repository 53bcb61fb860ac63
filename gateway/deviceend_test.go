package gateway_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/internal/wire"
)

// TestADeviceSaysWhyItEndedASession: the owner's rules are its own to know. What the gateway knows too, its clock and
// the pass, is not taken from a device.
func TestADeviceSaysWhyItEndedASession(t *testing.T) {
	const hour = time.Hour // a pass's
	for name, c := range map[string]struct {
		word string
		left time.Duration // of the pass, by the gateway's clock
		want string
		text string // that the technician reads
	}{
		"its clock was ahead":         {wire.EndedGrant, 50 * time.Second, gateway.ByGrantEnd, "the time of your grant is up"},
		"long before the pass's end":  {wire.EndedGrant, hour, gateway.ByDevice, "press-1 ended the session; it says: grant ended"},
		"idle, of which no pass says": {wire.EndedIdle, hour, gateway.ByDevice, "press-1 ended the session; it says: idle"},
		"narrowed, without renewal":   {wire.EndedNarrowed, hour, gateway.ByDevice, "press-1 ended the session; it says: pass narrowed"},
		"the owner's freeze":          {wire.EndedFrozen, hour, gateway.ByOwner, "press-1 was frozen by its owner"},
		"the owner's rules":           {wire.EndedOwner, hour, gateway.ByOwnersRules, "the rules of the owner of press-1 no longer allow this session"},
		"a word of a later version":   {"on fire", hour, gateway.ByDevice, "press-1 ended the session; it says: on fire"},
		"as if a gateway had decided": {gateway.ByLock, hour, gateway.ByDevice, "press-1 ended the session; it says: locked"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			h.Broker = h.newBrokerWith(func(cfg *gateway.Config) {
				cfg.Now = func() time.Time { return time.Now().Add(hour - c.left) }
			})
			h.dev.why = c.word
			s, out := h.open(h.ask("press-1", "ends"))
			if got := s.Wait(); got.Reason != c.want || got.Status != nil || got.Signal != "" {
				t.Errorf("got %+v, want reason %q and no status", got, c.want)
			}
			if row := h.row(s.ID()); row.State != store.Closed || row.EndReason != c.want {
				t.Errorf("row: got %s %q", row.State, row.EndReason)
			}
			if note := "device: the device ended the session: " + c.word; !slices.Contains(h.notes(s.ID()), note) {
				t.Errorf("the record has %q, want %q", h.notes(s.ID()), note)
			}
			out.mu.Lock()
			defer out.mu.Unlock()
			if want := "ended: " + c.text; !slices.Contains(out.notices, want) {
				t.Errorf("the technician reads %q, want %q", out.notices, want)
			}
		})
	}
}

// TestADevicesReasonThatIsNoPlainTextIsNone: nobody's terminal is steered by it.
func TestADevicesReasonThatIsNoPlainTextIsNone(t *testing.T) {
	h := newHouse(t)
	for _, word := range []string{"", "\x1b]0;x\x07", strings.Repeat("x", 101)} {
		h.dev.why = word
		s, _ := h.open(h.ask("press-1", "ends"))
		if got := s.Wait(); got.Reason != gateway.ByExit || got.Status == nil {
			t.Errorf("%q: got %+v, want the program's own end", word, got)
		}
	}
}

// TestASessionThatTheNextPassNarrowedWasWithdrawn: the device ends it, for a pass that the gateway brought.
func TestASessionThatTheNextPassNarrowedWasWithdrawn(t *testing.T) {
	h := newHouse(t)
	h.dev.why = wire.EndedNarrowed
	c, _ := h.open(h.ask("press-1", "wait"))
	if err := h.renew(c.ID()); err != nil {
		t.Fatal(err)
	}
	if err := c.CloseInput(); err != nil {
		t.Fatal(err)
	}
	if got := c.Wait(); got.Reason != gateway.ByWithdrawal {
		t.Errorf("got %+v, want withdrawn", got)
	}
}

// TestOutputThatTheDeviceCutOffIsSaidToBeMissing: in the record and to the technician, whose program keeps its status.
func TestOutputThatTheDeviceCutOffIsSaidToBeMissing(t *testing.T) {
	h := newHouse(t)
	s, out := h.open(h.ask("press-1", "cuts"))
	if got := s.Wait(); got.Reason != gateway.ByExit || got.Status == nil || *got.Status != 0 {
		t.Errorf("got %+v, want the program's own status", got)
	}
	const note = "device: the output was cut off: 10 s after the program had ended, something that it left behind still held it"
	if !slices.Contains(h.notes(s.ID()), note) {
		t.Errorf("the record has %q, want %q", h.notes(s.ID()), note)
	}
	out.mu.Lock()
	defer out.mu.Unlock()
	if !slices.ContainsFunc(out.notices, func(n string) bool { return strings.HasPrefix(n, "cut: the program has ended") }) {
		t.Errorf("the technician reads %q", out.notices)
	}
}
