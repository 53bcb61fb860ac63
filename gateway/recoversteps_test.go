package gateway_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/signer"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/recorder"
	"github.com/sallyport/sallyport/recorder/format"
	"github.com/sallyport/sallyport/recorder/writer"
)

// left is what a process left behind, for the next one to recover.
type left struct {
	sid  id.Session
	node *writer.Node
	cut  []recorder.Interrupted
}

// recover tries once, with a step that fails or not. What it settles is not reported to the next try.
func (l *left) recover(b *gateway.Broker) error {
	return b.Recover(context.Background(), l.cut, func(i recorder.Interrupted) error {
		l.cut = nil
		return l.node.Settled(i)
	})
}

func (h *house) leftCut() *left {
	s, _ := h.open(h.ask("press-1"))
	node, cut := h.crash()
	return &left{s.ID(), node, []recorder.Interrupted{cut}}
}

// leftBehind are the ways in which a process leaves a part that has a beginning and gets an end.
var leftBehind = map[string]struct {
	leave         func(h *house) *left
	state, reason string
}{
	"cut": {(*house).leftCut, store.RecordCut, gateway.ByGatewayCrash},
	"cut, the row has no open leaf": {func(h *house) *left {
		l := h.leftCut()
		h.forgetOpen(l.sid)
		return l
	}, store.RecordCut, gateway.ByGatewayCrash},
	"closed, the log has its end, the row does not": {func(h *house) *left {
		return &left{sid: h.restoredRow().Session, node: h.node}
	}, store.RecordComplete, gateway.ByTechnician},
	"gone, the log has its end, the row does not": {func(h *house) *left {
		was := h.restoredRow()
		os.Remove(filepath.Join(h.dir, "rec", format.Place(was.Session, 0, was.Started)))
		return &left{sid: was.Session, node: h.node}
	}, store.RecordMissing, gateway.ByTechnician},
}

func TestARecoveryEndsTheSameWhicheverStepOfItFails(t *testing.T) {
	for name, c := range leftBehind {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachFault(t, true, func(t *testing.T, f *faulty, next fault) {
				h := newHouse(t)
				l := c.leave(h)
				must(h.db.ChangeSession(t.Context(), l.sid, func(row *store.Session) error {
					row.State, row.Record, row.EndReason, row.Ended = store.Live, store.RecordRunning, "", time.Time{}
					return nil
				}))(t)
				withNode := func(c *gateway.Config) { c.Recorder = l.node }
				f.arm(next)
				if err := l.recover(h.faultyBroker(f, withNode)); err == nil && f.reached() {
					t.Error("the failure is not reported, so the gateway starts")
				}
				for range 2 {
					if err := l.recover(h.newBrokerWith(withNode)); err != nil {
						t.Fatal(err)
					}
					h.agrees(l.sid, c.state, c.reason)
				}
			})
		})
	}
}

// A part that the log does not know has its end in its row alone, and keeps it.
func TestTheEndOfAnUnannouncedPartDoesNotChange(t *testing.T) {
	h := newHouse(t)
	sid := h.unannounced()
	node, cut := h.crash()
	unsettled := func(recorder.Interrupted) error { return errFault }
	var was string
	for n := range 2 {
		b := h.newBrokerWith(func(c *gateway.Config) { c.Recorder = node })
		if err := b.Recover(t.Context(), []recorder.Interrupted{cut}, unsettled); !errors.Is(err, errFault) {
			t.Errorf("got %v, want the error of what was not settled", err)
		}
		now := told(h.part(sid))
		if n > 0 && now != was {
			t.Errorf("the second start made of %s this: %s", was, now)
		}
		was = now
		time.Sleep(2 * time.Millisecond)
	}
}

// readsLog counts how often the log is read from its first entry.
type readsLog struct {
	signer.Signer
	n int
}

func (s *readsLog) Entries(ctx context.Context, from uint64) ([]signer.Entry, error) {
	if from == 0 {
		s.n++
	}
	return s.Signer.Entries(ctx, from)
}

func TestRecoveryReadsTheLogOnceForAllParts(t *testing.T) {
	h := newHouse(t)
	parts := []store.Part{h.restoredRow(), h.restoredRow(), h.restoredRow()}
	for want := 1; want >= 0; want-- { // the second start finds nothing to do
		log := &readsLog{Signer: h.signer}
		b := h.newBrokerWith(func(c *gateway.Config) { c.Signer = log })
		if err := b.Recover(t.Context(), nil, h.node.Settled); err != nil {
			t.Fatal(err)
		}
		if log.n != want {
			t.Errorf("the log was read %d times from its beginning, want %d", log.n, want)
		}
	}
	for _, want := range parts {
		if got, want := told(h.part(want.Session)), told(want); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
