package gateway_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/internal/store/sqlite"
)

// restarted is the state of the rows after the next process has started.
func (h *house) restarted() {
	h.t.Helper()
	if err := h.newBroker().Recover(context.Background(), nil, nil); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) wantRefused(what string, s id.Session, reason string) {
	h.t.Helper()
	if row := h.row(s); row.State != store.Refused || row.EndReason != reason || row.Ended.IsZero() {
		h.t.Errorf("%s: got %s, %q, want refused, %q", what, row.State, row.EndReason, reason)
	}
}

func TestDrainRefusesSessionsThatWereNotOpened(t *testing.T) {
	h := newHouse(t)
	ctx := context.Background()
	before := must(h.Ask(ctx, h.ask("press-1")))(t)
	h.Quiet(ctx, "the gateway restarts")
	if _, err := h.Open(ctx, before.ID, &screen{}); errkind.KindOf(err) != errkind.Unavailable {
		t.Errorf("open what was allowed before: got %v, want unavailable", err)
	}
	during, err := h.Ask(ctx, h.ask("press-1"))
	if errkind.KindOf(err) != errkind.Unavailable {
		t.Errorf("ask during the drain: got %v, want unavailable", err)
	}
	h.Drain(ctx)
	h.restarted()
	h.wantRefused("asked before", before.ID, gateway.ByDrain)
	h.wantRefused("asked during", during.ID, "the gateway is about to restart and starts no new sessions")
}

// slowStore begins the drain while a decision is written.
type slowStore struct {
	*sqlite.DB
	written func()
	down    atomic.Bool
}

func (s *slowStore) AddDecided(ctx context.Context, row store.Session, d store.Decision,
	events ...store.AuditEvent) error {
	defer s.written()
	return s.DB.AddDecided(ctx, row, d, events...)
}

func (s *slowStore) ChangeSession(ctx context.Context, sid id.Session,
	change func(*store.Session) error) (store.Session, error) {
	if s.down.Load() {
		return store.Session{}, errors.New("the database is locked")
	}
	return s.DB.ChangeSession(ctx, sid, change)
}

func TestDrainThatBeginsWhileASessionIsDecidedRefusesIt(t *testing.T) {
	h := newHouse(t)
	ctx := context.Background()
	s := &slowStore{DB: h.db}
	b := h.newBrokerWith(func(c *gateway.Config) { c.Store = s })
	s.written = func() { b.Quiet(ctx, "the gateway restarts") }
	if _, err := b.Ask(ctx, h.ask("press-1")); errkind.KindOf(err) != errkind.Unavailable {
		t.Errorf("got %v, want unavailable", err)
	}
	b.Drain(ctx)
	rows, _, err := h.db.Sessions(ctx, store.SessionFilter{})
	if err != nil || len(rows) != 1 {
		t.Fatalf("got %d rows, %v", len(rows), err)
	}
	h.restarted()
	h.wantRefused("asked", rows[0].ID, gateway.ByDrain)
}

func TestDrainRetriesFailedDatabaseWrites(t *testing.T) {
	h := newHouse(t)
	ctx := context.Background()
	s := &slowStore{DB: h.db, written: func() {}}
	b := h.newBrokerWith(func(c *gateway.Config) { c.Store = s })
	row := must(b.Ask(ctx, h.ask("press-1")))(t)
	s.down.Store(true)
	b.Quiet(ctx, "the gateway restarts")
	s.down.Store(false)
	b.Drain(ctx)
	h.restarted()
	h.wantRefused("asked", row.ID, gateway.ByDrain)
}
