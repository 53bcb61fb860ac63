package gateway_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/store"
)

// limited makes the house's broker one with limits.
func (h *house) limited(person, device int) {
	h.enrol("press-3", "1", newDevice(h.t))
	h.Broker = h.newBrokerWith(func(c *gateway.Config) { c.PerPerson, c.PerDevice = person, device })
}

func TestLiveSessionsOfOnePersonAreLimitedOverAllSignIns(t *testing.T) {
	h := newHouse(t)
	h.limited(2, 0)
	h.open(h.ask("press-1"))
	second := h.ask("press-3")
	second.Key = "another sign-in"
	s, _ := h.open(second)
	third := h.ask("press-1")
	third.Key = "a third sign-in"
	_, err := h.Ask(t.Context(), third)
	text, hint, _ := errkind.ForPeople(err)
	if errkind.KindOf(err) != errkind.TooMany || !strings.Contains(text, "2 live sessions") ||
		!strings.Contains(text, "one person is 2") || !strings.Contains(hint, "sallyport sessions list --state live") {
		t.Errorf("got %v, %q, want a refusal with the limit, the count and what to do", err, hint)
	}
	if errkind.KindOf(err).Exit() == 77 {
		t.Error("the exit status is that of a refusal by the policy")
	}
	s.End("enough")
	s.Wait()
	if _, err := h.Ask(t.Context(), third); err != nil {
		t.Errorf("after one has ended: %v", err)
	}
}

func TestARefusalByALimitIsInTheRecord(t *testing.T) {
	h := newHouse(t)
	h.limited(0, 1)
	h.open(h.ask("press-1"))
	if _, err := h.Ask(t.Context(), h.ask("press-1")); errkind.KindOf(err) != errkind.TooMany {
		t.Fatalf("got %v, want a refusal by the limit of the device", err)
	}
	rows, _, err := h.db.Sessions(context.Background(), store.SessionFilter{States: []string{store.Refused}})
	if err != nil || len(rows) != 1 || !strings.Contains(rows[0].EndReason, "one device is 1") {
		t.Errorf("got %+v, %v, want a refused session with the reason", rows, err)
	}
	if _, err := h.Ask(t.Context(), h.ask("press-3")); err != nil {
		t.Errorf("on another device: %v", err)
	}
}

// TestManySessionsAskedForAtOnceKeepToTheLimit asks and opens from many goroutines, as a script would.
func TestManySessionsAskedForAtOnceKeepToTheLimit(t *testing.T) {
	h := newHouse(t)
	h.limited(3, 0)
	var all sync.WaitGroup
	var open, refused atomic.Int32
	for i := range 30 {
		all.Go(func() {
			a := h.ask(fmt.Sprintf("press-%d", 1+i%2*2))
			a.Key = fmt.Sprint("sign-in ", i)
			row, err := h.Ask(t.Context(), a)
			if errkind.KindOf(err) == errkind.TooMany {
				refused.Add(1)
				return
			}
			if err == nil {
				_, err = h.Open(t.Context(), row.ID, &screen{})
			}
			if err != nil {
				t.Error(err)
				return
			}
			open.Add(1)
		})
	}
	all.Wait()
	if open.Load() != 3 || refused.Load() != 27 || len(h.Live()) != 3 {
		t.Errorf("%d sessions opened and %d refused, %d live, want 3 and 27", open.Load(), refused.Load(), len(h.Live()))
	}
}

func TestAnAnswerThatNobodyRedeemedHoldsNoPlace(t *testing.T) {
	h := newHouse(t)
	var now atomic.Pointer[time.Time]
	set := func(t time.Time) { now.Store(&t) }
	set(time.Now())
	h.Broker = h.newBrokerWith(func(c *gateway.Config) {
		c.PerPerson, c.Now = 1, func() time.Time { return *now.Load() }
	})
	if _, err := h.Ask(t.Context(), h.ask("press-1")); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Ask(t.Context(), h.ask("press-1")); errkind.KindOf(err) != errkind.TooMany {
		t.Errorf("while the first may still be opened: got %v, want a refusal", err)
	}
	set(now.Load().Add(31 * time.Second))
	if _, err := h.Ask(t.Context(), h.ask("press-1")); err != nil {
		t.Errorf("when the first can no longer be opened: %v", err)
	}
}

func TestARequestThatThePolicyRefusesHoldsNoPlace(t *testing.T) {
	h := newHouse(t)
	h.limited(1, 1)
	a := h.ask("press-1")
	a.Login = "root"
	if _, err := h.Ask(t.Context(), a); errkind.KindOf(err) != errkind.Denied {
		t.Fatalf("got %v, want a denial", err)
	}
	h.open(h.ask("press-1"))
}

// TestTheNextSessionMayBeAskedForAtTheEndOfTheOneBefore: a script that runs one command after the other has at most one
// session, whatever the gateway still does after it has told the end.
func TestTheNextSessionMayBeAskedForAtTheEndOfTheOneBefore(t *testing.T) {
	h := newHouse(t)
	h.limited(1, 1)
	for range 20 {
		s, _ := h.open(h.ask("press-1", "true"))
		s.Wait()
	}
}
