package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/signer"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/internal/store/sqlite"
	"github.com/sallyport/sallyport/recorder/ledger"
)

// agrees checks that recording, log and row of a part say the same: one beginning with its promise, and one end.
func (h *house) agrees(sid id.Session, state, reason string) {
	h.t.Helper()
	p := h.part(sid)
	if p.OpenLeaf == nil || p.CloseLeaf == nil {
		h.t.Errorf("got %s, want both leaves", told(p))
		return
	}
	open := must(ledger.ParseOpenBody(must(h.signer.Entry(h.t.Context(), *p.OpenLeaf))(h.t).Body))(h.t)
	end := must(ledger.ParseCloseBody(must(h.signer.Entry(h.t.Context(), *p.CloseLeaf))(h.t).Body))(h.t)
	if open.H0 != p.H0 || !p.Retain.Equal(time.Unix(open.RetainUntil, 0)) {
		h.t.Errorf("the beginning: got %x, kept until %s; the log promises %d", p.H0[:4], p.Retain, open.RetainUntil)
	}
	want := store.Part{OpenLeaf: &end.Open, CloseLeaf: p.CloseLeaf, HFinal: end.HFinal, Seq: end.Seq, Bytes: end.Bytes,
		Ended: time.UnixMilli(end.AtMS), State: state}
	if got, want := told(p), told(want); got != want {
		h.t.Errorf("got %s, want %s, as the log has it", got, want)
	}
	if got := h.closes(*p.OpenLeaf); got != 1 {
		h.t.Errorf("got %d ends in the log, want 1", got)
	}
	if state == store.RecordComplete {
		c, said, err := h.node.Ended(sid, 0, p.Started)
		if err != nil || c.HFinal != end.HFinal || c.Bytes != end.Bytes || said != end.Reason {
			h.t.Errorf("the recording: got %x, %d bytes, %q, %v; the log has %+v", c.HFinal[:4], c.Bytes, said, err, end)
		}
	}
	if row := h.row(sid); row.State == store.Live || row.EndReason != reason || row.Record != state {
		h.t.Errorf("row: got %s %q %s, want %q %s", row.State, row.EndReason, row.Record, reason, state)
	}
}

// agreesAgain checks that the next start changes nothing.
func (h *house) agreesAgain(sid id.Session) {
	h.t.Helper()
	say := func() string { return fmt.Sprintf("%s, %+v", told(h.part(sid)), h.row(sid)) }
	was := say()
	h.recovers(h.node)
	if now := say(); now != was {
		h.t.Errorf("the next start made of\n%s\nthis:\n%s", was, now)
	}
}

func TestAnEndIsTheSameWhicheverStepOfItFails(t *testing.T) {
	h := newHouse(t)
	for _, dies := range []bool{false, true} {
		eachFault(t, dies, func(t *testing.T, f *faulty, next fault) {
			h := h.in(t)
			b := h.faultyBroker(f)
			h.Broker = b
			s, _ := h.open(h.ask("press-1"))
			f.arm(next)
			s.End("that is all")
			s.Wait()
			h.again(b, dies)
			h.agrees(s.ID(), store.RecordComplete, gateway.ByTechnician)
			if p := h.part(s.ID()); len(p.Pass) == 0 {
				t.Error("the row lost its pass")
			}
			h.agreesAgain(s.ID())
		})
	}
}

// in is the same house in another test.
func (h *house) in(t *testing.T) *house {
	other := *h
	other.t = t
	return &other
}

// again retries what failed: in the same process, or in the next one.
func (h *house) again(b *gateway.Broker, dies bool) {
	h.t.Helper()
	if dies {
		h.recovers(h.node)
	} else {
		b.Drain(context.Background())
	}
}

// lostOpen is a signer that announces a session and loses the answer.
type lostOpen struct{ signer.Signer }

func (s lostOpen) Open(ctx context.Context, r signer.OpenRequest) (signer.Opened, error) {
	_, err := s.Signer.Open(ctx, r)
	return signer.Opened{}, errors.Join(err, errFault)
}

func TestAnEndIsTheSameIfTheSessionDoesNotKnowThatItWasAnnounced(t *testing.T) {
	h := newHouse(t)
	for _, dies := range []bool{false, true} {
		eachFault(t, dies, func(t *testing.T, f *faulty, next fault) {
			h := h.in(t)
			b := h.faultyBroker(f, func(c *gateway.Config) { c.Signer = lostOpen{c.Signer} })
			sid := must(b.Ask(t.Context(), h.ask("press-1")))(t).ID
			f.arm(next)
			if _, err := b.Open(t.Context(), sid, &screen{}); err == nil {
				t.Fatal("a session was opened whose pass is lost")
			}
			h.again(b, dies)
			h.agrees(sid, store.RecordComplete, h.row(sid).EndReason)
			h.agreesAgain(sid)
		})
	}
}

// lateOpen is a signer that answers with an error and announces the session afterwards, as it does if the gateway gives
// the call up.
type lateOpen struct {
	signer.Signer
	late func()
}

func (s *lateOpen) Open(_ context.Context, r signer.OpenRequest) (signer.Opened, error) {
	s.late = func() { s.Signer.Open(context.Background(), r) }
	return signer.Opened{}, context.DeadlineExceeded
}

func TestASessionThatIsAnnouncedAfterItsEndIsEndedAtTheNextStart(t *testing.T) {
	h := newHouse(t)
	late := &lateOpen{Signer: h.signer}
	b := h.newBrokerWith(func(c *gateway.Config) { c.Signer = late })
	sid := must(b.Ask(t.Context(), h.ask("press-1")))(t).ID
	if _, err := b.Open(t.Context(), sid, &screen{}); err == nil {
		t.Fatal("a session was opened that the signer did not announce")
	}
	if p := h.part(sid); p.OpenLeaf != nil || p.State != store.RecordComplete {
		t.Fatalf("got %s, want a part without a beginning in the log", told(p))
	}
	late.late()
	h.recovers(h.node)
	h.agrees(sid, store.RecordComplete, h.row(sid).EndReason)
	h.agreesAgain(sid)
}

// silentRows is a database that does not answer while on. It counts the writes that wait for it.
type silentRows struct {
	*sqlite.DB
	on    atomic.Bool
	tried atomic.Int32
}

func (r *silentRows) Ping(ctx context.Context) error {
	if r.on.Load() {
		return errNoRoom
	}
	return r.DB.Ping(ctx)
}

func (r *silentRows) ChangePart(ctx context.Context, sid id.Session, n uint32,
	change func(*store.Part) error) (store.Part, error) {
	if r.on.Load() {
		r.tried.Add(1)
		return store.Part{}, errNoRoom
	}
	return r.DB.ChangePart(ctx, sid, n, change)
}

func TestWhileTheDatabaseIsSilentTheLogGetsTheEnd(t *testing.T) {
	h := newHouse(t)
	rows := &silentRows{DB: h.db}
	h.Broker = h.newBrokerWith(func(c *gateway.Config) { c.Store, c.FreezeAfter = rows, 100*time.Millisecond })
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	s, out := h.open(h.ask("press-1"))
	open := *h.part(s.ID()).OpenLeaf
	rows.on.Store(true)
	go h.Run(ctx) // no sooner: a busy machine's database is late as well
	within(t, time.Minute, "input waits", func() bool {
		out.mu.Lock()
		defer out.mu.Unlock()
		return len(out.notices) > 0 && strings.HasPrefix(out.notices[0], "frozen: ")
	})
	s.End("that is all")
	s.Wait()
	if got, tried := h.closes(open), rows.tried.Load(); got != 1 || tried != 0 {
		t.Errorf("got %d ends in the log and %d tries to write the row, want 1 and none", got, tried)
	}
	rows.on.Store(false)
	within(t, time.Minute, "the row is closed", func() bool { return h.row(s.ID()).State == store.Closed })
	h.agrees(s.ID(), store.RecordComplete, gateway.ByTechnician)
}
