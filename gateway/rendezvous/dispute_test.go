package rendezvous

import (
	"bytes"
	"context"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/audit"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/internal/wire"
)

func TestTwoLinesOfOneKeyThatBothAnswerAreDisputedUntilAdmittedAgain(t *testing.T) {
	h := newHouse(t)
	m := h.admitted("press-1")
	first := h.up(m)
	o := h.order(m)
	pending := h.opening(o)
	next[wire.Open](t, first, wire.TypeOpen)

	clone := *m
	clone.boot = "boot-2"
	second := must(clone.connect())(t)
	within(t, "disputed", func() bool { return m.row().State == store.Disputed })
	if got := <-pending; got.err == nil || !strings.Contains(got.err.Error(), "disputed") {
		t.Errorf("a session being opened: got %v", got.err)
	}
	if _, err := h.Open(t.Context(), gateway0(m)); err == nil || !strings.Contains(err.Error(), "disputed") {
		t.Errorf("a new session: got %v", err)
	}
	clone.boot = "boot-3"
	third := must(clone.connect())(t)
	within(t, "three lines in the dispute", func() bool {
		d := m.row()
		return d.Dispute != nil && len(d.Dispute.Lines) == 3
	})
	if b := m.row().Dispute.Lines; b[0].Boot != "boot-1" || b[1].Boot != "boot-2" || b[2].Addr != "127.0.0.1" {
		t.Errorf("got %+v", b)
	}
	if ev := must(h.db.AuditEvents(t.Context(), store.AuditFilter{Type: "disputed"}))(t); len(ev) != 1 {
		t.Errorf("got %d events, want 1", len(ev))
	}

	h.admit(m)
	for _, c := range []*ctl{first, second, third} {
		if code := c.end(); code != closeRestart {
			t.Errorf("got close code %d, want %d", code, closeRestart)
		}
	}
	back := h.up(m)
	out := h.opening(h.order(m))
	must(m.dialBack(next[wire.Open](t, back, wire.TypeOpen), m.host))(t)
	if got := <-out; got.err != nil {
		t.Error(got.err)
	}
	must(clone.connect())(t)
	within(t, "disputed again", func() bool { return m.row().State == store.Disputed })
}

func TestALineThatNoLongerAnswersIsReplaced(t *testing.T) {
	h := newHouse(t)
	m := h.admitted("press-1")
	old := must(m.connect(true))(t)
	within(t, "online", func() bool { return h.Online(m.fp()) })
	must(m.connect())(t)
	if code := old.end(); code != wire.CloseReplaced {
		t.Errorf("got close code %d, want %d", code, wire.CloseReplaced)
	}
	within(t, "online again", func() bool { return h.Online(m.fp()) && h.Metrics().Connected == 1 })
	if d := m.row(); d.State != store.OK || h.Metrics().Disputed != 0 {
		t.Errorf("got state %s", d.State)
	}
	within(t, "stored as online", func() bool { d := m.row(); return d.Online() })
}

func TestAGenerationThatNobodyGaveOutQuarantinesTheDevice(t *testing.T) {
	h := newHouse(t)
	m := h.admitted("press-1")
	must(h.db.ChangeDevice(t.Context(), m.fp(), func(d *store.Device) error { d.Generation = 4; return nil }))(t)
	m.gen = 4
	c := h.up(m)
	c.ws.Close()
	within(t, "offline", func() bool { return !h.Online(m.fp()) })
	m.gen = 3
	must(m.connect())(t)
	within(t, "disputed", func() bool { return m.row().State == store.Disputed })
	if d := m.row(); !strings.Contains(d.StateWhy, "generation 3") || len(d.Dispute.Lines) != 1 {
		t.Errorf("got %q, %+v", d.StateWhy, d.Dispute)
	}
}

func TestARenewalCountsFromTheFirstLineWithIt(t *testing.T) {
	h := newHouse(t)
	m := h.admitted("press-1")
	must(h.db.ChangeDevice(t.Context(), m.fp(), func(d *store.Device) error { d.Renewing = true; return nil }))(t)
	for _, gen := range []uint32{0, 1} { // a power cut before it was stored, and after
		m.gen = gen
		c := h.up(m)
		c.ws.Close()
		within(t, "offline", func() bool { return !h.Online(m.fp()) })
	}
	if d := m.row(); d.Generation != 1 || d.Renewing || d.State != store.OK {
		t.Errorf("got generation %d, renewing %v, state %s", d.Generation, d.Renewing, d.State)
	}
}

func TestAMachinesOwnClockIsShownHoweverWrong(t *testing.T) {
	h := newHouse(t)
	for name, c := range map[string]struct {
		wall        int64
		least, most time.Duration
	}{
		"untold":  {0, 0, 0},
		"right":   {time.Now().UnixMilli(), -time.Minute, time.Minute},
		"ahead":   {time.Now().Add(time.Hour).UnixMilli(), 59 * time.Minute, time.Hour},
		"battery": {1, -math.MaxInt64, -50 * 365 * 24 * time.Hour},
		"liar":    {math.MaxInt64, 200 * 365 * 24 * time.Hour, math.MaxInt64},
		"liar-2":  {math.MinInt64, math.MinInt64, -200 * 365 * 24 * time.Hour},
	} {
		m := h.admitted(name)
		m.wall = c.wall
		h.up(m)
		within(t, name+" is online", func() bool { d := m.row(); return d.Online() })
		if d := m.row(); d.ClockSkew < c.least || d.ClockSkew > c.most {
			t.Errorf("%s: got a skew of %s, want between %s and %s", name, d.ClockSkew, c.least, c.most)
		}
	}
	if got := h.Metrics().ClockSkew; got != math.MaxInt64 {
		t.Errorf("the most: got %s", got)
	}
}

func TestTheTunnelIsJudgedByBothEndsOfTLS(t *testing.T) {
	h := newHouseTLS(t, true)
	for name, tls := range map[string]func([]byte) []byte{
		tunnelTLS:         nil,
		tunnelIntercepted: func(x []byte) []byte { y := bytes.Clone(x); y[0] ^= 1; return y },
	} {
		m := h.admitted("m-" + name)
		m.tls = tls
		c := h.up(m)
		if len(c.reply.TLS) != 32 || c.reply.NoTLS {
			t.Errorf("%s: the gateway says %d bytes, none=%v", name, len(c.reply.TLS), c.reply.NoTLS)
		}
		within(t, name, func() bool { return m.row().Tunnel == name })
	}
	blind := h.admitted("blind")
	blind.tls = func([]byte) []byte { return nil }
	h.up(blind)
	within(t, "a missing value is an intercepted line", func() bool { return blind.row().Tunnel == tunnelIntercepted })
	if ev := must(h.db.AuditEvents(t.Context(), store.AuditFilter{Type: "intercepted"}))(t); len(ev) != 2 {
		t.Errorf("got %d events, want 2", len(ev))
	}
}

// heldAudit lets a test look at the moment when the event of a dispute is in the log and nothing is in the database.
type heldAudit struct {
	Auditor
	logged func()
}

func (a heldAudit) Regardless(ctx context.Context, e audit.Event,
	write func(event ...store.AuditEvent) error) (logged, written error) {
	return a.Auditor.Regardless(ctx, e, func(event ...store.AuditEvent) error {
		a.logged()
		return write(event...)
	})
}

func TestADisputeAndItsEventAppearTogether(t *testing.T) {
	h := newHouse(t)
	m := h.admitted("press-1")
	events := func() int {
		return len(must(h.db.AuditEvents(t.Context(), store.AuditFilter{Type: "disputed"}))(t))
	}
	calls := 0
	h.Registry.cfg.Audit = heldAudit{h.Registry.cfg.Audit, func() {
		calls++
		if state := m.row().State; state != store.OK || events() != calls-1 {
			t.Errorf("before the transaction the device is %s with %d events, want ok and %d", state, events(), calls-1)
		}
	}}
	for range 20 { // many lines at once, each as if it were the first
		done := make(chan error, 2)
		for range cap(done) {
			go func() { done <- h.storeDispute(m.fp(), twoLines, nil) }()
		}
		for range cap(done) {
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		}
		if d := m.row(); d.State != store.Disputed || events() != calls {
			t.Fatalf("got %s and %d events after %d disputes", d.State, events(), calls)
		}
		must(h.db.ChangeDevice(t.Context(), m.fp(), func(d *store.Device) error { d.State = store.OK; return nil }))(t)
	}
	if calls != 20 {
		t.Errorf("20 disputes have %d events", calls)
	}
}
