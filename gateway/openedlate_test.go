package gateway_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/internal/store/sqlite"
	"github.com/sallyport/sallyport/internal/wire"
)

// failing is a database that answers nothing about devices or people, or does not answer at all, while it is on.
type failing struct {
	*sqlite.DB
	devices, people, silent atomic.Bool
	deciding                func() // called before a decision is stored
}

var errNoAnswer = errors.New("disk I/O error")

func (f *failing) Device(ctx context.Context, name id.Device) (store.Device, error) {
	if f.devices.Load() {
		return store.Device{}, errNoAnswer
	}
	return f.DB.Device(ctx, name)
}

func (f *failing) Principal(ctx context.Context, who id.Principal) (store.Principal, error) {
	if f.people.Load() {
		return store.Principal{}, errNoAnswer
	}
	return f.DB.Principal(ctx, who)
}

func (f *failing) AddDecision(ctx context.Context, d store.Decision, events ...store.AuditEvent) error {
	if f.deciding != nil {
		f.deciding()
	}
	return f.DB.AddDecision(ctx, d, events...)
}

func (f *failing) Ping(ctx context.Context) error {
	if f.silent.Load() {
		return errNoAnswer
	}
	return f.DB.Ping(ctx)
}

// TestNoChannelIsOpenedWithoutTheDatabase: what runs may go on for a while when the database does not answer. Something
// new would start by a decision that nobody can make again.
func TestNoChannelIsOpenedWithoutTheDatabase(t *testing.T) {
	ctx := context.Background()
	for name, fail := range map[string]func(*house, *failing){
		"devices cannot be read": func(_ *house, f *failing) { f.devices.Store(true) },
		"people cannot be read":  func(_ *house, f *failing) { f.people.Store(true) },
		"input is frozen": func(h *house, f *failing) {
			f.silent.Store(true)
			running, stop := context.WithCancel(ctx)
			h.t.Cleanup(stop)
			go h.Run(running) // no sooner: a busy machine's database is late as well
			within(h.t, time.Minute, "the database is missed", func() bool {
				_, err := h.AskChannel(ctx, h.asking(id.NewSession()))
				return errkind.KindOf(err) == errkind.Unavailable
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			db := &failing{DB: h.db}
			h.Broker = h.newBrokerWith(func(c *gateway.Config) {
				c.Store, c.FreezeAfter, c.EndAfter = db, 100*time.Millisecond, time.Hour
			})
			started := atomic.Int32{}
			h.dev.asked = func(kind string, _ []byte) {
				if kind == "exec" {
					started.Add(1)
				}
			}
			first, _ := h.open(h.ask("press-1"))
			n := must(h.AskChannel(ctx, h.asking(first.ID(), "streams")))(t)
			fail(h, db)
			_, err := h.OpenChannel(ctx, first.ID(), n, &screen{})
			if errkind.KindOf(err) != errkind.Unavailable {
				t.Errorf("got %v, want that the database does not answer", err)
			}
			if got := started.Load(); got != 0 {
				t.Errorf("the device was asked to start %d programs", got)
			}
		})
	}
}

// TestAChannelThatWasAllowedAndNotOpenedIsInTheRecord: its start may be there, and nothing else would say what became
// of it.
func TestAChannelThatWasAllowedAndNotOpenedIsInTheRecord(t *testing.T) {
	ctx := context.Background()
	for name, c := range map[string]struct {
		before func(*house)
		want   string
	}{
		"its right was withdrawn": {func(h *house) { h.apply(`run = { as = ["svc"], argv = [["/bin/wait", "1"]] }`) },
			"channel-end: channel 2 was not opened: the policy, your groups or the device's labels changed during the session."},
		"the device does not start it": {func(h *house) {}, "channel-end: channel 2 was not opened: press-1 did not start the command as svc: no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			h.apply(`run = { as = ["svc"], argv = [["/bin/wait", "1"], ["/bin/none"]] }`)
			h.dev.cannot = map[string]wire.Event{"/bin/none": {Kind: wire.EventRefused, Source: wire.SourceExec, Text: "no such file"}}
			first, _ := h.open(h.ask("press-1", "/bin/wait", "1"))
			n := must(h.AskChannel(ctx, h.asking(first.ID(), "/bin/none")))(t)
			c.before(h)
			if _, err := h.OpenChannel(ctx, first.ID(), n, &screen{}); err == nil {
				t.Fatal("it was opened")
			}
			if notes := h.notes(first.ID()); !slices.ContainsFunc(notes, func(n string) bool { return strings.HasPrefix(n, c.want) }) {
				t.Errorf("the record has %q, not %q", notes, c.want)
			}
			first.End("closed")
			first.Wait()
		})
	}
}

// TestAChannelIsNotOpenedBeforeItsDecisionIsStored: the number of a channel is the next one, so anybody can name it.
func TestAChannelIsNotOpenedBeforeItsDecisionIsStored(t *testing.T) {
	ctx := context.Background()
	h := newHouse(t)
	db := &failing{DB: h.db}
	h.Broker = h.newBrokerWith(func(c *gateway.Config) { c.Store = db })
	first, _ := h.open(h.ask("press-1"))
	var early error
	db.deciding = func() {
		c, err := h.OpenChannel(ctx, first.ID(), 2, &screen{})
		if early = err; err == nil {
			c.End("it should not be there")
		}
	}
	n, err := h.AskChannel(ctx, h.asking(first.ID(), "streams"))
	if err != nil || n != 2 {
		t.Fatalf("got channel %d, %v", n, err)
	}
	if errkind.KindOf(early) != errkind.Conflict {
		t.Errorf("before the decision was stored: got %v, want that there is no permission", early)
	}
	db.deciding = nil
	c := must(h.OpenChannel(ctx, first.ID(), n, &screen{}))(t)
	if got := c.Wait(); got.Status == nil || *got.Status != 7 {
		t.Errorf("after it was stored: got %+v", got)
	}
}
