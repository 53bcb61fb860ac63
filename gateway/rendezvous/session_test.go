package rendezvous

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/wire"
)

func TestAStolenTicketDoesNotKeepTheRealDeviceOut(t *testing.T) {
	h := newHouse(t, func(c *Config) {
		c.ClientAddr = func(r *http.Request) addr { return from(r) }
	})
	m := h.admitted("press-1")
	c := h.up(m)
	out := h.opening(h.order(m))
	o := next[wire.Open](t, c, wire.TypeOpen)
	stranger := newMachine(h)
	for range maxTries {
		if _, err := stranger.dialFrom("192.0.2.66", o); err == nil {
			t.Error("a stranger's host key was taken")
		}
	}
	var refused *wire.DialError
	if _, err := stranger.dialFrom("192.0.2.66", o); !errors.As(err, &refused) || refused.Status != http.StatusForbidden {
		t.Errorf("the fourth try: got %v, want 403", err)
	}
	must(m.dialBack(o, m.host))(t)
	if got := <-out; got.err != nil {
		t.Fatal(got.err)
	}
	if _, err := m.dialBack(o, m.host); !errors.As(err, &refused) || refused.Status != http.StatusForbidden {
		t.Errorf("a used ticket: got %v, want 403", err)
	}
	within(t, "the counts of all that", func() bool {
		n := h.Metrics()
		return n.TicketsFailed == maxTries && n.TicketsWrong == 2 && n.SessionsAnswered == 1
	})
}

func TestATicketThatIsMissingWrongDoubledOrExpiredOpensNothing(t *testing.T) {
	clock := newClock()
	h := newHouse(t, func(c *Config) { c.Now = clock.now })
	m := h.admitted("press-1")
	c := h.up(m)
	out := h.opening(h.order(m))
	o := next[wire.Open](t, c, wire.TypeOpen)
	good := wire.B64.EncodeToString(o.Ticket)
	for name, values := range map[string][]string{"missing": nil, "wrong": {strings.Repeat("A", 43)}, "doubled": {good, good}, "short": {good[:20]}, "padded": {good + "="}} {
		_, err := m.dial(wire.SessionPath, wire.SessionSubprotocol, wire.MaxStream, http.Header{wire.TicketHeader: values})
		var refused *wire.DialError
		if !errors.As(err, &refused) || refused.Status != http.StatusForbidden {
			t.Errorf("%s: got %v, want 403", name, err)
		}
	}
	c.line.SendMsg(wire.Accepted{T: wire.TypeAccepted, Session: o.Session}, time.Second)
	c.ping()
	next[wire.Pong](t, c, wire.TypePong)
	clock.add(ticketTime)
	if _, err := m.dialBack(o, m.host); err == nil {
		t.Error("an expired ticket was taken")
	}
	c.ws.Close()
	<-out
}

func TestADevicesRefusalReachesTheAskerWithItsClause(t *testing.T) {
	h := newHouse(t)
	m, other := h.admitted("press-1"), h.admitted("press-2")
	c, c2 := h.up(m), h.up(other)
	out := h.opening(h.order(m))
	o := next[wire.Open](t, c, wire.TypeOpen)
	c2.line.SendMsg(wire.Refuse{T: wire.TypeRefuse, Session: o.Session, Clause: "x", Text: "another device's word"}, time.Second)
	c2.ping()
	next[wire.Pong](t, c2, wire.TypePong)
	c.line.SendMsg(wire.Refuse{T: wire.TypeRefuse, Session: o.Session, Clause: "owner-shell", Text: "the owner allows no shell"}, time.Second)
	got := <-out
	var refused *Refused
	if errkind.KindOf(got.err) != errkind.Denied || !errors.As(got.err, &refused) || refused.Clause != "owner-shell" {
		t.Fatalf("got %v", got.err)
	}
	if text, _, _ := errkind.ForPeople(got.err); text != "the machine refused: the owner allows no shell" {
		t.Errorf("got %q", text)
	}
	if _, err := m.dialBack(o, m.host); err == nil {
		t.Error("the ticket of a refused session was taken")
	}
}

func TestALineThatBreaksOffEndsWhatIsBeingOpened(t *testing.T) {
	h := newHouse(t)
	m := h.admitted("press-1")
	c := h.up(m)
	out := h.opening(h.order(m))
	next[wire.Open](t, c, wire.TypeOpen)
	began := time.Now()
	c.ws.Close()
	if got := <-out; errkind.KindOf(got.err) != errkind.Unavailable || time.Since(began) > bound {
		t.Errorf("got %v after %s", got.err, time.Since(began))
	}
	if _, err := h.Open(t.Context(), gateway0(m)); errkind.KindOf(err) != errkind.Unavailable {
		t.Errorf("an offline device: got %v", err)
	}
}

func TestAnOpenNeedsARecentNonce(t *testing.T) {
	clock := newClock()
	h := newHouse(t, func(c *Config) { c.Now = clock.now })
	m := h.admitted("press-1")
	h.up(m)
	clock.add(nonceAge)
	if _, err := h.Open(t.Context(), gateway0(m)); errkind.KindOf(err) != errkind.Unavailable || !strings.Contains(err.Error(), "heard of") {
		t.Errorf("got %v", err)
	}
}

func TestEndReachesTheDevice(t *testing.T) {
	h := newHouse(t)
	m := h.admitted("press-1")
	c := h.up(m)
	o := gateway0(m)
	h.End(m.fp(), o.Session, "ended by ada")
	if got := next[wire.End](t, c, wire.TypeEnd); got.Session != o.Session || got.Reason != "ended by ada" {
		t.Errorf("got %+v", got)
	}
}

func TestASessionLineThatFallsSilentIsLost(t *testing.T) {
	h := newHouse(t)
	h.keepAlive = 300 * time.Millisecond
	m := h.admitted("press-1")
	c := h.up(m)
	out := h.opening(h.order(m))
	must(m.dialBack(next[wire.Open](t, c, wire.TypeOpen), m.host))(t)
	got := <-out
	if got.err != nil {
		t.Fatal(got.err)
	}
	gone := make(chan struct{})
	go func() { <-got.line.Gone(); close(gone) }()
	select {
	case <-gone:
		t.Fatal("a line whose keepalives are answered ended")
	case <-time.After((2 + missed) * h.keepAlive):
	}
	m.silent.Store(true)
	select {
	case <-gone:
	case <-time.After(bound):
		t.Error("a silent line is still up")
	}
}
