package gateway_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/internal/wire"
)

// TestAnOfflineDeviceIsNotBlamedForARestartOfTheGateway: while devices reconnect one after the other, those that are
// still offline are not faulty.
func TestAnOfflineDeviceIsNotBlamedForARestartOfTheGateway(t *testing.T) {
	h := newHouse(t)
	away := newDevice(t)
	h.enrol("press-9", "1", away)
	start := time.Now()
	now := start
	b := h.newBrokerWith(func(c *gateway.Config) { c.Now = func() time.Time { return now } })
	place := func(d *device, seen, connected time.Time) {
		t.Helper()
		_, err := h.db.ChangeDevice(context.Background(), wire.Fingerprint(d.host.PublicKey()),
			func(row *store.Device) error {
				row.Site, row.LastSeen, row.ConnectedAt = "ulm", seen, connected
				return nil
			})
		if err != nil {
			t.Fatal(err)
		}
	}
	place(h.dev, start, start)
	for _, c := range []struct {
		what        string
		asked, seen time.Duration // after the start
		met         bool          // its line was up in this process
		want        string
	}{
		{"just started", 20 * time.Second, -time.Minute, false,
			"The gateway started 20s ago. Devices connect again by themselves within a few minutes."},
		{"just started after a crash, so that presence was cleared by this process", 20 * time.Second, time.Second,
			false, "The gateway started 20s ago."},
		{"just started after a crash, and clearing presence took long", time.Minute, 40 * time.Second, false,
			"The gateway started 1m0s ago."},
		{"it was back at once and went away again", 20 * time.Second, time.Second, true,
			"Other devices at its site are online, so the fault is this device"},
		{"it was back already and went away again", 2 * time.Minute, time.Minute, true,
			"Other devices at its site are online, so the fault is this device"},
		{"it had time to come back", 6 * time.Minute, -time.Minute, false,
			"Other devices at its site are online, so the fault is this device"},
	} {
		place(away, start.Add(c.seen), time.Time{})
		now = start.Add(c.asked)
		h.dev.met.Store(c.met)
		_, err := b.Ask(context.Background(), h.ask("press-9"))
		if _, hint, _ := errkind.ForPeople(err); errkind.KindOf(err) != errkind.Unavailable ||
			!strings.Contains(hint, c.want) {
			t.Errorf("%s: got %v with the hint %q, want …%s…", c.what, err, hint, c.want)
		}
	}
}

// TestADeviceWithAnOutdatedAgentIsOfflineForThatReason: neither a restart of the gateway nor the site's network is why.
func TestADeviceWithAnOutdatedAgentIsOfflineForThatReason(t *testing.T) {
	h := newHouse(t)
	for protocol, want := range map[int]string{1: "the agent speaks version 1 of the control protocol, and this gateway " +
		"needs version 2", 0: "is offline since", wire.ControlVersion: "is offline since"} {
		_, err := h.db.ChangeDevice(context.Background(), wire.Fingerprint(h.dev.host.PublicKey()),
			func(row *store.Device) error {
				row.Protocol, row.LastSeen, row.ConnectedAt = protocol, time.Now(), time.Time{}
				return nil
			})
		if err != nil {
			t.Fatal(err)
		}
		_, err = h.Ask(context.Background(), h.ask("press-1"))
		text, hint, _ := errkind.ForPeople(err)
		if !strings.Contains(text, want) || (hint == wire.UpdateAgent) != (protocol == 1) {
			t.Errorf("version %d: got %q with the hint %q, want …%s…", protocol, text, hint, want)
		}
	}
}
