package rendezvous

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/time/rate"

	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/internal/wire"
)

// memory is a listener whose connections are pipes, so that their deadlines use the test's clock.
type memory chan net.Conn

func (m memory) Accept() (net.Conn, error) {
	c, ok := <-m
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}
func (m memory) Close() error   { return nil }
func (m memory) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }

// quiet is a proven control line with a given ping interval, over a pipe: real WebSockets, real Noise.
func quiet(t *testing.T, ping time.Duration) (l *line, device *wire.Line) {
	t.Helper()
	m := make(memory)
	up := make(chan *wire.WS, 1)
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, err := wire.UpgradeWS(w, r, wire.ControlSubprotocol, wire.MaxControl)
		if err != nil {
			t.Error(err)
		}
		up <- ws
	})}
	go srv.Serve(m)
	near, far := net.Pipe()
	m <- far
	own := must(wire.NewNoiseKey())(t)
	ws := must(wire.DialWS(t.Context(), wire.Dial{
		Host:        "127.0.0.1:1",
		Path:        wire.ControlPath,
		Subprotocol: wire.ControlSubprotocol,
		Limit:       wire.MaxControl,
		NetDial:     func(context.Context, string, string) (net.Conn, error) { return near, nil },
	}))(t)
	r := New(Config{Ping: ping})
	l = &line{r: r, ws: <-up, rate: rate.NewLimiter(messageRate, messageRate), gone: make(chan struct{})}
	responder := must(wire.NewResponder(own))(t)
	proven := make(chan error, 1)
	go func() {
		var err error
		answer := func(wire.Hash, []byte) ([]byte, error) { return []byte("{}"), nil }
		l.noise, err = responder.Respond(t.Context(), l.ws, answer)
		proven <- err
	}()
	device, _, err := wire.Initiate(t.Context(), ws, must(wire.NewNoiseKey())(t), own.Public, []byte("{}"))
	if err != nil {
		t.Fatal(err)
	}
	if err := <-proven; err != nil {
		t.Fatal(err)
	}
	r.lines.Add(1)
	t.Cleanup(func() { ws.Close(); <-l.gone; close(m); srv.Close() })
	return l, device
}

// A silent line ends after exactly 45 s at the default interval, and after one and a half intervals where they are
// longer.
func TestSilentLineIsClosedAfterOneAndAHalfIntervals(t *testing.T) {
	for ping, want := range map[time.Duration]time.Duration{
		0:                45 * time.Second, // the default
		5 * time.Second:  45 * time.Second,
		30 * time.Second: 45 * time.Second,
		time.Minute:      90 * time.Second,
		10 * time.Minute: 15 * time.Minute,
	} {
		synctest.Test(t, func(t *testing.T) {
			l, device := quiet(t, ping)
			go l.wait()
			for range 3 { // the last moment is early enough, each time
				time.Sleep(want - time.Millisecond)
				if err := device.SendMsg(map[string]string{"t": "later-version"}, time.Second); err != nil {
					t.Fatalf("interval %s: %v", ping, err)
				}
			}
			last := time.Now()
			<-l.gone
			if got := time.Since(last); got != want {
				t.Errorf("interval %s: closed after a silence of %s, want %s", ping, got, want)
			}
		})
	}
}

func TestFleetComesBackInASpreadThatGrowsWithIt(t *testing.T) {
	for fleet, want := range map[int]int{0: 3, 1: 3, 100: 3, 2_000: 4, 10_000: 20, 1_000_000: 30} {
		if got := spread(fleet); got != want {
			t.Errorf("%d devices: got %d s, want %d", fleet, got, want)
		}
	}
	least, most := 100, 0
	for range 2000 {
		n := retryAfter(20)
		least, most = min(least, n), max(most, n)
	}
	if least != 1 || most != 20 {
		t.Errorf("got waits from %d to %d s, want 1 to 20", least, most)
	}
}

// noStatus is a signer that is unavailable for a while.
type noStatus struct {
	Signer
	away atomic.Bool
}

func (s *noStatus) Status(ctx context.Context, device wire.Hash, nonce []byte) (wire.Signed, error) {
	if s.away.Load() {
		return wire.Signed{}, errors.New("the signer does not answer")
	}
	return s.Signer.Status(ctx, device, nonce)
}

// While the signer is unavailable, the gateway still answers pings: otherwise every device would drop its line.
func TestPingIsAnsweredWithoutAStatusWhileTheSignerIsAway(t *testing.T) {
	var s *noStatus
	h := newHouse(t, func(c *Config) { s = &noStatus{Signer: c.Signer}; c.Signer = s })
	c := h.up(h.admitted("press-1"))
	s.away.Store(true)
	must(0, c.ping())(t)
	if raw := next[map[string]any](t, c, wire.TypePong); len(raw) != 1 {
		t.Errorf("got %v, want the type alone", raw)
	}
	s.away.Store(false)
	must(0, c.ping())(t)
	if st := h.state(next[wire.Pong](t, c, wire.TypePong).Status); st.State != wire.StateOK {
		t.Errorf("got %+v, want a status on the same line", st)
	}
}

// An owner freezes a device when something is wrong, which may be the signer too. The log hears of it later.
func TestAFreezeIsSeenWhileTheSignerIsAway(t *testing.T) {
	var s *noStatus
	h := newHouse(t, func(c *Config) { s = &noStatus{Signer: c.Signer}; c.Signer = s })
	m := h.admitted("press-1")
	c := h.up(m)
	events := func() int {
		return len(must(h.db.AuditEvents(t.Context(), store.AuditFilter{Type: "freeze"}))(t))
	}
	frozen := wire.Ping{T: wire.TypePing, Nonce: make([]byte, 16), Frozen: true}
	s.away.Store(true)
	c.line.SendMsg(frozen, time.Second)
	next[wire.Pong](t, c, wire.TypePong)
	within(t, "frozen in the database", func() bool { return m.row().Frozen })
	if n := events(); n != 0 {
		t.Errorf("got %d events in the log, and the signer is away", n)
	}
	s.away.Store(false)
	c.line.SendMsg(frozen, time.Second)
	within(t, "one event in the log", func() bool { return events() == 1 })
}

// A gateway that is starting or stopping does not know its fleet: devices reconnect within a few seconds.
func TestWhileItStartsTheGatewaySendsDevicesAwayForSeconds(t *testing.T) {
	h := newHouse(t)
	m := h.admitted("press-1")
	h.stop()
	for range 50 {
		var busy *wire.DialError
		_, err := m.connect()
		if !errors.As(err, &busy) || busy.RetryAfter < time.Second || busy.RetryAfter > leastSpread*time.Second {
			t.Fatalf("got %v, want Retry-After of 1 to %d s", err, leastSpread)
		}
	}
}
