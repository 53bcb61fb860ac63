package gateway_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/internal/audit"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/signer"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/internal/store/sqlite"
	"github.com/sallyport/sallyport/recorder/format"
	"github.com/sallyport/sallyport/recorder/ledger"
)

// deafSigner writes a close leaf and loses the answer, once. It calls others after the write, before it returns.
type deafSigner struct {
	signer.Signer
	others func()
	lost   atomic.Bool
}

func (s *deafSigner) Append(ctx context.Context, r signer.AppendRequest) (signer.Appended, error) {
	out, err := s.Signer.Append(ctx, r)
	if r.Type == "close" && s.lost.CompareAndSwap(false, true) {
		s.others()
		return signer.Appended{}, errors.New("the answer is lost")
	}
	return out, err
}

func TestACloseWhoseAnswerWasLostIsNotAnnouncedTwice(t *testing.T) {
	h := newHouse(t)
	deaf := &deafSigner{Signer: h.signer, others: func() { h.growLog(300) }}
	h.Broker = h.newBrokerWith(func(c *gateway.Config) { c.Signer = deaf })
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	go h.Run(ctx)
	s, _ := h.open(h.ask("press-1", "streams"))
	s.Wait()
	within(t, time.Minute, "the end is in the row", func() bool { return h.part(s.ID()).CloseLeaf != nil })
	if got := h.closes(*h.part(s.ID()).OpenLeaf); got != 1 {
		t.Errorf("got %d close leaves, want 1", got)
	}
	if got := h.row(s.ID()); got.State != store.Closed {
		t.Errorf("got state %s, want closed", got.State)
	}
}

func (h *house) part(sid id.Session) store.Part {
	h.t.Helper()
	return must(h.db.Part(context.Background(), sid, 0))(h.t)
}

func TestWithoutALogASessionsEndIsWrittenLater(t *testing.T) {
	h := newHouse(t)
	full := &fullLog{Signer: h.signer}
	h.Broker = h.newBrokerWith(func(c *gateway.Config) { c.Signer = full })
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	go h.Run(ctx)
	s, _ := h.open(h.ask("press-1"))
	full.on.Store(true)
	s.End("that is all")
	if got := s.Wait(); got.Reason != gateway.ByTechnician {
		t.Errorf("got reason %q, want technician", got.Reason)
	}
	if h.part(s.ID()).CloseLeaf != nil || h.row(s.ID()).State != store.Closed {
		t.Errorf("got leaf %v and state %s, want none and closed", h.part(s.ID()).CloseLeaf, h.row(s.ID()).State)
	}
	full.on.Store(false)
	within(t, time.Minute, "the end is in the log", func() bool { return h.part(s.ID()).CloseLeaf != nil })
	if _, err := os.Stat(filepath.Join(h.dir, "rec", format.Place(s.ID(), 0, time.Now()))); err != nil {
		t.Error(err)
	}
}

// fullLog takes nothing while on.
type fullLog struct {
	signer.Signer
	on atomic.Bool
}

func (s *fullLog) Append(ctx context.Context, r signer.AppendRequest) (signer.Appended, error) {
	if s.on.Load() {
		return signer.Appended{}, errors.New("no space left")
	}
	return s.Signer.Append(ctx, r)
}

func TestWhatTheLogDoesNotTakeIsNoSessionThatRuns(t *testing.T) {
	h := newHouse(t)
	log := &fullLog{Signer: h.signer}
	h.Broker = h.newBrokerWith(func(c *gateway.Config) { c.Audit = &audit.Log{Signer: log, Rows: h.db} })
	log.on.Store(true)
	for _, device := range []string{"press-1", "press-2"} { // one is allowed, the other refused
		if _, err := h.Ask(t.Context(), h.ask(device)); err == nil {
			t.Errorf("%s: what was not written down was answered", device)
		}
	}
	if running, err := h.db.RunningSessions(t.Context()); err != nil || len(running) != 0 {
		t.Errorf("%d sessions run, as the rows have it (%v)", len(running), err)
	}
}

func TestAnEndThatTheProcessDidNotLiveToAnnounceIsAnnouncedAtTheNextStart(t *testing.T) {
	for name, lost := range map[string]func(*gateway.Config, *fullLog, *fullRows){
		"the log had no room":      func(c *gateway.Config, l *fullLog, _ *fullRows) { c.Signer = l },
		"the database had no room": func(c *gateway.Config, _ *fullLog, r *fullRows) { c.Store = r },
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			log, rows := &fullLog{Signer: h.signer}, &fullRows{DB: h.db}
			h.Broker = h.newBrokerWith(func(c *gateway.Config) { lost(c, log, rows) })
			s, _ := h.open(h.ask("press-1"))
			log.on.Store(true)
			rows.on.Store(true)
			s.End("that is all")
			s.Wait()
			if h.part(s.ID()).CloseLeaf != nil {
				t.Fatal("the end is known, so nothing is shown here")
			}
			for range 2 { // the second start finds nothing to do
				if err := h.newBroker().Recover(t.Context(), nil, h.node.Settled); err != nil {
					t.Fatal(err)
				}
			}
			p := h.part(s.ID())
			if p.CloseLeaf == nil || p.State != store.RecordComplete {
				t.Fatalf("part: got leaf %v and state %s, want a leaf and complete", p.CloseLeaf, p.State)
			}
			if got := h.row(s.ID()); got.State != store.Closed || got.EndReason != gateway.ByTechnician || got.Record != store.RecordComplete {
				t.Errorf("row: got %s %q %s, want closed by the technician, complete", got.State, got.EndReason, got.Record)
			}
			if got := h.closes(*p.OpenLeaf); got != 1 {
				t.Errorf("got %d close leaves, want 1", got)
			}
		})
	}
}

// closes counts the ends of an open leaf.
func (h *house) closes(open uint64) (n int) {
	h.t.Helper()
	for i := open + 1; ; i++ {
		e, err := h.signer.Entry(h.t.Context(), i)
		if err != nil {
			return n
		}
		leaf, err := ledger.ParseLeaf(e.Leaf)
		if err != nil {
			h.t.Fatal(err)
		}
		if slices.Equal(leaf.Ref, []uint64{open}) && (leaf.Type == "close" || leaf.Type == "interrupted") {
			n++
		}
	}
}

// fullRows changes nothing while on.
type fullRows struct {
	*sqlite.DB
	on atomic.Bool
}

var errNoRoom = errors.New("no room")

func (r *fullRows) ChangePart(ctx context.Context, sid id.Session, n uint32, change func(*store.Part) error) (store.Part, error) {
	if r.on.Load() {
		return store.Part{}, errNoRoom
	}
	return r.DB.ChangePart(ctx, sid, n, change)
}

func (r *fullRows) ChangeSession(ctx context.Context, sid id.Session, change func(*store.Session) error) (store.Session, error) {
	if r.on.Load() {
		return store.Session{}, errNoRoom
	}
	return r.DB.ChangeSession(ctx, sid, change)
}
