package agent

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport/sallyport/internal/agent/state"
	"github.com/sallyport/sallyport/internal/wire"
)

// pipe carries messages between two ends in memory; like a network that is down, it can lose all of them.
type pipe struct {
	in, out chan []byte
	closed  chan struct{}
	peer    *pipe
}

func newPipe() (*pipe, *pipe) {
	a := &pipe{in: make(chan []byte, 64), closed: make(chan struct{})}
	b := &pipe{in: make(chan []byte, 64), closed: make(chan struct{})}
	a.out, b.out, a.peer, b.peer = b.in, a.in, b, a
	return a, b
}

var errClosed = errors.New("closed")

func (p *pipe) ReadMessage() ([]byte, error) {
	select {
	case m := <-p.in:
		return m, nil
	case <-p.closed:
		return nil, errClosed
	}
}
func (p *pipe) WriteMessage(m []byte) error      { p.out <- m; return nil }
func (p *pipe) SetReadDeadline(time.Time) error  { return nil }
func (p *pipe) SetWriteDeadline(time.Time) error { return nil }
func (p *pipe) Close() error {
	select {
	case <-p.closed:
	default:
		close(p.closed)
	}
	return nil
}

// peer is a gateway's end of a control line: it records pings, and answers them while the test wants it to.
type peer struct {
	line    *wire.Line
	pinged  chan time.Time
	answers func(n int) bool
}

func (p *peer) serve() {
	for n := 0; ; {
		raw, err := p.line.Receive(time.Time{})
		if err != nil {
			return
		}
		if kind, _ := wire.Kind(raw); kind != wire.TypePing {
			continue
		}
		p.pinged <- time.Now()
		if n++; p.answers(n) {
			p.line.SendMsg(wire.Pong{T: wire.TypePong}, time.Second) // as while the signer is unavailable
		}
	}
}

// held holds a real line of a real agent over a pipe, with the interval that the gateway asks for, until it ends.
func held(t *testing.T, ping int, answers func(n int) bool) (*line, *peer, <-chan ended) {
	t.Helper()
	d := state.At(t.TempDir())
	if err := d.Prepare(true); err != nil {
		t.Fatal(err)
	}
	trust, err := state.OpenTrust(d)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { trust.Close() })
	a := &Agent{cfg: Config{State: d, Log: slog.New(slog.DiscardHandler)}, trust: trust, changed: make(chan bool, 1)}
	near, far := newPipe()
	p := &peer{pinged: make(chan time.Time, 64), answers: answers}
	ready := make(chan struct{})
	gateway, device := noiseKey(t), noiseKey(t)
	go func() {
		defer close(ready)
		r, err := wire.NewResponder(gateway)
		if err == nil {
			p.line, err = r.Respond(t.Context(), far,
				func(wire.Hash, []byte) ([]byte, error) { return []byte("{}"), nil })
		}
		if err != nil {
			t.Error(err)
		}
	}()
	noise, _, err := wire.Initiate(t.Context(), near, device, gateway.Public, []byte("{}"))
	if err != nil {
		t.Fatal(err)
	}
	<-ready
	l := newLine(a, "gw.example:443", noise, wire.HelloReply{Ping: ping})
	done := make(chan ended, 1)
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(func() { cancel(); far.Close() })
	go p.serve()
	go func() { done <- l.hold(ctx) }()
	return l, p, done
}

func noiseKey(t *testing.T) wire.NoiseKey {
	t.Helper()
	k, err := wire.NewNoiseKey()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// The line ends exactly 15 s after the first unanswered ping, whatever the interval, and not before.
func TestALineIsGivenUpFifteenSecondsAfterAPing(t *testing.T) {
	for _, c := range []struct{ ping, answered int }{{30, 1}, {30, 5}, {600, 2}, {5, 3}, {30, 0}} {
		synctest.Test(t, func(t *testing.T) {
			_, p, done := held(t, c.ping, func(n int) bool { return n <= c.answered })
			var last time.Time
			for range c.answered + 1 {
				last = <-p.pinged
			}
			e := <-done
			if got := time.Since(last); got != pongTime {
				t.Errorf("interval %d s: given up %s after the ping, want %s", c.ping, got, pongTime)
			}
			if !errors.Is(e.err, errSilent) || e.good != (c.answered > 0) {
				t.Errorf("interval %d s, %d answered: got %+v", c.ping, c.answered, e)
			}
		})
	}
}

func TestPingsComeInTheIntervalAndUpToATenthEarlier(t *testing.T) {
	for _, c := range []struct{ asked, want int }{{0, 30}, {30, 30}, {600, 600}, {3600, 600}, {1, 5}} {
		synctest.Test(t, func(t *testing.T) {
			_, p, done := held(t, c.asked, func(int) bool { return true })
			want := time.Duration(c.want) * time.Second
			before := <-p.pinged
			for range 20 {
				at := <-p.pinged
				if d := at.Sub(before); d < want*9/10 || d > want {
					t.Errorf("asked for %d s: got a ping after %s", c.asked, d)
				}
				before = at
			}
			select {
			case e := <-done:
				t.Errorf("asked for %d s: the line ended: %v", c.asked, e.err)
			default:
			}
		})
	}
}

// A ping outside the interval, as a supervisor's decision sends it, must be answered like any other.
func TestAnUnansweredPingBetweenTwoIntervalsEndsTheLineToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, p, done := held(t, 600, func(n int) bool { return n == 1 })
		<-p.pinged
		time.Sleep(time.Minute)
		l.sendPing()
		asked := <-p.pinged
		<-done
		if got := time.Since(asked); got != pongTime {
			t.Errorf("given up %s after the ping, want %s", got, pongTime)
		}
	})
}

func TestAnyMessageAfterAPingKeepsTheLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, p, done := held(t, 30, func(n int) bool { return false })
		for range 10 {
			<-p.pinged
			time.Sleep(pongTime - time.Millisecond)
			p.line.SendMsg(map[string]string{"t": "later-version"}, time.Second)
		}
		select {
		case e := <-done:
			t.Errorf("the line ended: %v", e.err)
		default:
		}
	})
}

func TestANetworkChangeSendsAPingAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, p, _ := held(t, 600, func(int) bool { return true })
		<-p.pinged
		time.Sleep(time.Minute)
		began := time.Now()
		l.a.networkChanged(false)
		if at := <-p.pinged; !at.Equal(began) {
			t.Errorf("pinged %s after the change, want at once", at.Sub(began))
		}
	})
}
