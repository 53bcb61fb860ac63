package rendezvous

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/enroll"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/internal/wire"
)

func TestADeviceEnrolsWaitsIsAdmittedAndOpens(t *testing.T) {
	h := newHouse(t)
	m := newMachine(h)
	c := must(m.greet(m.part(h.code(enroll.TokenSpec{Site: "ulm", Labels: map[string]string{"kind": "press"}}))))(t)
	if b, err := wire.ParseBundle(*c.reply.Bundle); err != nil || !b.HasHost(h.host) || c.reply.Name != "press" {
		t.Fatalf("got %+v, %v", c.reply, err)
	}
	c.ws.Close()
	m.name = "press"
	c = h.up(m)
	if st := h.state(*c.reply.Status); st.State != wire.StateWaiting {
		t.Errorf("got state %s, want waiting", st.State)
	}
	if _, err := h.Open(t.Context(), gateway0(m)); err == nil || !strings.Contains(err.Error(), "waiting") {
		t.Errorf("a waiting device: got %v", err)
	}
	if _, err := h.office.Admit(t.Context(), h.admin, enroll.Actor{Name: "ada"}, m.name, enroll.Admission{Fingerprint: enroll.Fingerprint([32]byte{1})}); err == nil {
		t.Error("admitted under another fingerprint")
	}
	h.admit(m)
	if st := h.state(next[wire.Pong](t, c, wire.TypeStatus).Status); st.State != wire.StateOK {
		t.Errorf("after admission: got state %s, want ok", st.State)
	}
	d := m.row()
	if d.State != store.OK || d.Site != "ulm" || d.Labels["kind"] != "press" || !d.Online() || d.Tunnel != tunnelUnterminated || d.Node != "test" {
		t.Errorf("got %+v", d)
	}
	out := h.opening(h.order(m))
	o := next[wire.Open](t, c, wire.TypeOpen)
	if o.Host != h.host || len(o.Ticket) != 32 || h.state(o.Status).State != wire.StateOK {
		t.Errorf("got open %+v", o)
	}
	c.line.SendMsg(wire.Accepted{T: wire.TypeAccepted, Session: o.Session}, time.Second)
	must(m.dialBack(o, m.host))(t)
	got := <-out
	if got.err != nil {
		t.Fatal(got.err)
	}
	events, err := got.line.OpenEvents()
	if err != nil {
		t.Fatal(err)
	}
	if e, err := events.Next(); err != nil || e.Text != "hello from press" {
		t.Errorf("got %+v, %v", e, err)
	}
	if n := h.Metrics(); n.Sessions != 1 || n.Connected != 1 || n.Opening != 0 || n.Enrolled != 1 {
		t.Errorf("got %+v", n)
	}
	c.ws.Close()
	within(t, "offline in the database", func() bool { d := m.row(); return !d.Online() })
}

func TestRevokingCutsLineAndSessionAtOnceAndTheKeyStaysOut(t *testing.T) {
	h := newHouse(t)
	m := h.admitted("press-1")
	c := h.up(m)
	out := h.opening(h.order(m))
	conn := must(m.dialBack(next[wire.Open](t, c, wire.TypeOpen), m.host))(t)
	if got := <-out; got.err != nil {
		t.Fatal(got.err)
	}
	began := time.Now()
	must(h.office.Revoke(t.Context(), enroll.Actor{Name: "ada"}, m.name, "stolen"))(t)
	if code := c.end(); code != wire.CloseUnknown {
		t.Errorf("got close code %d, want %d", code, wire.CloseUnknown)
	}
	conn.Wait()
	if d := time.Since(began); d > 10*time.Second {
		t.Errorf("took %s; promised is 1 s", d)
	}
	for name, other := range map[string]*machine{"the revoked key": m, "an unknown key": newMachine(h)} {
		if _, err := other.connect(); wire.CloseCode(err) != wire.CloseUnknown {
			t.Errorf("%s: got %v, want close %d", name, err, wire.CloseUnknown)
		}
	}
	mixed := h.admitted("press-2")
	mixed.host = newMachine(h).host
	if _, err := mixed.connect(); wire.CloseCode(err) != wire.CloseUnknown {
		t.Errorf("a Noise key with a foreign host key: got %v", err)
	}
}

func TestAHandshakeThatBeganBeforeARevocationDoesNotSurviveIt(t *testing.T) {
	h := newHouse(t)
	m := h.admitted("press-1")
	c := must(m.greet(nil))(t) // judged good, not yet confirmed
	must(h.office.Revoke(t.Context(), enroll.Actor{Name: "ada"}, m.name, ""))(t)
	c.ping()
	go c.read()
	if code := c.end(); code != wire.CloseUnknown {
		t.Errorf("got close code %d", code)
	}
}

func TestOfManyUsesAtOnceOfAOneUseCodeExactlyOneWins(t *testing.T) {
	h := newHouse(t)
	code := h.code(enroll.TokenSpec{})
	var wg sync.WaitGroup
	errs := make(chan error, 12)
	for range cap(errs) {
		m := newMachine(h)
		wg.Go(func() { errs <- m.enrol(code) })
	}
	wg.Wait()
	won := 0
	for range cap(errs) {
		if err := <-errs; err == nil {
			won++
		} else if !strings.Contains(err.Error(), "used already") {
			t.Errorf("a loser reads %q", err)
		}
	}
	if won != 1 {
		t.Errorf("got %d winners, want 1", won)
	}
}

func TestAReplayedHandshakeIsNoSecondLine(t *testing.T) {
	h := newHouse(t)
	m := h.admitted("press-1")
	tap := m.overheard()
	within(t, "online", func() bool { return h.Online(m.fp()) })

	h.handshake = 400 * time.Millisecond
	again := must(m.dial(wire.ControlPath, wire.ControlSubprotocol, wire.MaxControl, nil))(t)
	again.WriteMessage(tap.first)
	if _, err := again.ReadMessage(); err != nil {
		t.Fatal("want an answer that only the device can read:", err)
	}
	again.WriteMessage([]byte("a message that nobody has the key for"))
	if _, err := again.ReadMessage(); err == nil {
		t.Error("the replayed line is up")
	}
	if d := m.row(); d.State != store.OK || h.Metrics().Disputed != 0 || !h.Online(m.fp()) {
		t.Errorf("a replay changed the device: %s", d.State)
	}
}

// overheard is online, and somebody has its first message.
func (m *machine) overheard() *tapped {
	t := m.h.t
	t.Helper()
	ws := must(m.dial(wire.ControlPath, wire.ControlSubprotocol, wire.MaxControl, nil))(t)
	tap := &tapped{WS: ws}
	line, _, err := wire.Initiate(t.Context(), tap, m.noise, m.h.noise.Public, m.hello(ws, nil))
	if err != nil {
		t.Fatal(err)
	}
	c := &ctl{m: m, line: line, ws: ws, got: make(chan []byte, 16), ended: make(chan error, 1)}
	c.ping()
	go c.read()
	return tap
}

// tapped keeps the first message that a device sends.
type tapped struct {
	*wire.WS
	first []byte
}

func (w *tapped) WriteMessage(m []byte) error {
	if w.first == nil {
		w.first = bytes.Clone(m)
	}
	return w.WS.WriteMessage(m)
}

func TestGarbageAndGiantMessagesEndTheLine(t *testing.T) {
	h := newHouse(t)
	m := h.admitted("press-1")
	for name, msg := range map[string][]byte{"garbage": []byte(strings.Repeat("x", 200)), "nothing": {}, "a giant": make([]byte, wire.MaxControl+1)} {
		ws := must(m.dial(wire.ControlPath, wire.ControlSubprotocol, wire.MaxControl, nil))(t)
		ws.WriteMessage(msg)
		ws.SetReadDeadline(time.Now().Add(bound))
		_, err := ws.ReadMessage()
		var late interface{ Timeout() bool }
		if err == nil || errors.As(err, &late) && late.Timeout() {
			t.Errorf("%s: got %v, want the end of the line", name, err)
		}
		ws.Close()
	}
	c := h.up(m)
	c.ws.WriteMessage(make([]byte, wire.MaxControl+1))
	c.end()
}

func TestMalformedAndUnknownMessagesAreCountedAndTheLineStays(t *testing.T) {
	h := newHouse(t)
	m := h.admitted("press-1")
	c := h.up(m)
	for _, text := range []string{`{"t":"later-version","x":1}`, `{"t":"ping","t":"ping"}`, `{"t":"ping","n":"AA"}`, `{}`, `not json`, `{"t":"refuse","sid":7}`} {
		c.line.Send([]byte(text), time.Second)
	}
	c.ping()
	next[wire.Pong](t, c, wire.TypePong)
	if n := h.Metrics(); n.UnknownMessages != 1 || n.Malformed != 5 {
		t.Errorf("got %d unknown and %d malformed, want 1 and 5", n.UnknownMessages, n.Malformed)
	}
}

func TestADeviceThatTalksTooMuchIsReadLateAndNotClosed(t *testing.T) {
	h := newHouse(t)
	m := h.admitted("press-1")
	c := h.up(m)
	began := time.Now()
	for range 2 * messageRate {
		c.line.Send([]byte(`{"t":"noise"}`), time.Second)
	}
	c.ping()
	next[wire.Pong](t, c, wire.TypePong)
	if d := time.Since(began); d < 800*time.Millisecond {
		t.Errorf("%d messages were read within %s, want about a second", 2*messageRate, d)
	}
	if h.Metrics().Delayed == 0 {
		t.Error("no delay was counted")
	}
}

func TestFailedHandshakesAreLimitedBySourceAndGoodOnesAreNot(t *testing.T) {
	h := newHouse(t)
	m := h.admitted("press-1")
	for range failuresBurst + 20 {
		c := h.up(m)
		c.ws.Close()
		within(t, "offline", func() bool { return !h.Online(m.fp()) })
	}
	var busy *wire.DialError
	for range failuresBurst + 30 {
		ws, err := m.dial(wire.ControlPath, wire.ControlSubprotocol, wire.MaxControl, nil)
		if errors.As(err, &busy) {
			break
		}
		ws.WriteMessage([]byte("garbage"))
		ws.ReadMessage()
		ws.Close()
	}
	if busy == nil || busy.Status != http.StatusServiceUnavailable || busy.RetryAfter == 0 {
		t.Errorf("got %v, want 503 with Retry-After", busy)
	}
	if h.Metrics().Limited == 0 {
		t.Error("nothing was counted")
	}
}

func TestADrainSendsDevicesAwayForAMoment(t *testing.T) {
	h := newHouse(t)
	m := h.admitted("press-1")
	c := h.up(m)
	out := h.opening(h.order(m))
	next[wire.Open](t, c, wire.TypeOpen)
	began := time.Now()
	h.stop()
	if d := time.Since(began); d > 20*time.Second {
		t.Errorf("took %s", d)
	}
	if code := c.end(); code != closeRestart {
		t.Errorf("got close code %d, want %d", code, closeRestart)
	}
	if got := <-out; got.err == nil || !strings.Contains(got.err.Error(), "restart") {
		t.Errorf("a session being opened: got %v", got.err)
	}
	var busy *wire.DialError
	if _, err := m.connect(); !errors.As(err, &busy) || busy.RetryAfter == 0 {
		t.Errorf("got %v, want Retry-After", err)
	}
	if d := m.row(); d.Online() {
		t.Error("still online in the database")
	}
}

func TestANewerBundleReachesConnectedAndComingDevices(t *testing.T) {
	var s *newer
	h := newHouse(t, func(c *Config) { s = &newer{Signer: c.Signer}; c.Signer = s })
	m := h.admitted("press-1")
	c := h.up(m)
	if c.reply.Bundle == nil {
		t.Error("a device without a bundle got none")
	}
	m2 := h.admitted("press-2")
	m2.bundle = 1
	if c2 := h.up(m2); c2.reply.Bundle != nil {
		t.Error("a device got the bundle that it has")
	}
	second := h.signerWithHost(t, "gw-b.example:443")
	s.now.Store(&second)
	if err := h.PublishBundle(context.Background()); err != nil {
		t.Fatal(err)
	}
	msg := nextBundle(t, c)
	if b, err := wire.ParseBundle(msg.Bundle); err != nil || b.Serial != 2 || !b.HasHost("gw-b.example:443") {
		t.Errorf("got %+v, %v", b, err)
	}
}

func TestPingsAreAnsweredOnTheirNonceAndTellTheOwnersFreeze(t *testing.T) {
	h := newHouse(t)
	m := h.admitted("press-1")
	c := h.up(m)
	nonce := bytes.Repeat([]byte{7}, 16)
	c.line.SendMsg(wire.Ping{T: wire.TypePing, Nonce: nonce, Size: 3, Frozen: true}, time.Second)
	if st := h.state(next[wire.Pong](t, c, wire.TypePong).Status); !bytes.Equal(st.Nonce, nonce) || st.Device != m.fp() {
		t.Errorf("got %+v", st)
	}
	if got := h.Ack(m.fp()); got != 3 {
		t.Errorf("got log size %d, want 3", got)
	}
	within(t, "frozen in the database", func() bool { return m.row().Frozen })
	within(t, "one event", func() bool {
		return len(must(h.db.AuditEvents(t.Context(), store.AuditFilter{Type: "freeze"}))(t)) == 1
	})
	c.line.SendMsg(wire.Ping{T: wire.TypePing, Nonce: nonce, Size: 3}, time.Second)
	within(t, "thawed in the database at once", func() bool { return !m.row().Frozen })
	for i := range 40 {
		c.line.SendMsg(wire.Ping{T: wire.TypePing, Nonce: nonce, Size: 3, Frozen: i%2 == 0}, time.Second)
	}
	for range 41 {
		next[wire.Pong](t, c, wire.TypePong)
	}
	if n := len(must(h.db.AuditEvents(t.Context(), store.AuditFilter{Type: "freeze", Limit: 100}))(t)); n < 5 || n > flipBurst+2 {
		t.Errorf("got %d events of a device that freezes and thaws without end, want about %d", n, flipBurst)
	}
}

func TestADeviceThatFreezesAndThawsOnLineAfterLineIsSlowedAllTheSame(t *testing.T) {
	var late atomic.Int64
	h := newHouse(t, func(c *Config) { c.Now = func() time.Time { return time.Now().Add(time.Duration(late.Load())) } })
	m := h.admitted("press-1")
	events := func() int {
		return len(must(h.db.AuditEvents(t.Context(), store.AuditFilter{Type: "freeze", Limit: 1000}))(t))
	}
	flip := func() {
		c, frozen := h.up(m), m.row().Frozen
		for i := range flipBurst {
			c.line.SendMsg(wire.Ping{T: wire.TypePing, Nonce: make([]byte, 16), Size: 3, Frozen: (i%2 == 0) != frozen}, time.Second)
		}
		for range flipBurst {
			next[wire.Pong](t, c, wire.TypePong)
		}
		c.ws.Close()
		within(t, "gone", func() bool { return !h.Online(m.fp()) })
	}
	for range 5 {
		flip()
	}
	if n := events(); n < 5 || n > flipBurst+5 {
		t.Errorf("got %d events over five lines, want about %d", n, flipBurst)
	}
	before := events()
	late.Store(int64(flipBurst * flipEvery))
	flip()
	if n := events() - before; n < 5 {
		t.Errorf("got %d events after a while of quiet, want about %d", n, flipBurst)
	}
}

func TestOnlyDevicesThatHaveBeenQuietAreForgottenInTheirFreezing(t *testing.T) {
	f, now := newFlips(), time.Now()
	for i := range mostFlips {
		if !f.allow(wire.Sum(fmt.Append(nil, i)), now) {
			t.Fatalf("device %d waits", i)
		}
	}
	if f.allow(wire.Sum([]byte("one more")), now) || len(f.all) != mostFlips {
		t.Errorf("got %d devices, want no more than %d", len(f.all), mostFlips)
	}
	if now = now.Add(flipEvery); !f.allow(wire.Sum([]byte("one more")), now) || len(f.all) != 1 {
		t.Errorf("later: got %d devices, want the one that is new", len(f.all))
	}
}

// TestADeviceIsGivenALaterHeadOfTheLogWithItsProof: a few minutes after it was given one.
func TestADeviceIsGivenALaterHeadOfTheLogWithItsProof(t *testing.T) {
	var late atomic.Int64
	h := newHouse(t, func(c *Config) { c.Now = func() time.Time { return time.Now().Add(time.Duration(late.Load())) } })
	m := h.admitted("press-1")
	c := h.up(m)
	ping := wire.Ping{T: wire.TypePing, Nonce: make([]byte, 16), Size: 1}
	c.line.SendMsg(ping, time.Second)
	next[wire.Pong](t, c, wire.TypePong) // the gateway has begun with the line
	late.Store(int64(witnessEvery))
	c.line.SendMsg(ping, time.Second)
	msg := next[wire.CheckpointMsg](t, c, wire.TypeCheckpoint)
	if head := must(h.signer.Head(t.Context()))(t); !bytes.Equal(msg.Checkpoint, head) || len(msg.Proof) == 0 {
		t.Errorf("got %q with %d hashes", msg.Checkpoint, len(msg.Proof))
	}
}
