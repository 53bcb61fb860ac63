package gateway_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/internal/store/sqlite"
)

// failing is a database that answers nothing about devices or people, or does not answer at all, while it is on.
type failing struct {
	*sqlite.DB
	devices, people, silent atomic.Bool
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
			running, stop := context.WithCancel(ctx)
			defer stop()
			go h.Run(running)
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
