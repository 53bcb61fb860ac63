package wire

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// pipeConn carries messages over channels; alter may change, drop or repeat them.
type pipeConn struct {
	in, out chan []byte
	once    *sync.Once
	done    chan struct{}
	alter   func([]byte) [][]byte
}

func messagePipe() (*pipeConn, *pipeConn) {
	a, b, done, once := make(chan []byte, 64), make(chan []byte, 64), make(chan struct{}), new(sync.Once)
	return &pipeConn{in: a, out: b, done: done, once: once}, &pipeConn{in: b, out: a, done: done, once: once}
}

func (p *pipeConn) ReadMessage() ([]byte, error) {
	select {
	case m := <-p.in:
		return m, nil
	case <-p.done:
		return nil, io.EOF
	}
}

func (p *pipeConn) WriteMessage(m []byte) error {
	out := [][]byte{bytes.Clone(m)}
	if p.alter != nil {
		out = p.alter(out[0])
	}
	for _, m := range out {
		p.out <- m
	}
	return nil
}
func (p *pipeConn) SetReadDeadline(time.Time) error  { return nil }
func (p *pipeConn) SetWriteDeadline(time.Time) error { return nil }
func (p *pipeConn) Close() error                     { p.once.Do(func() { close(p.done) }); return nil }

func noiseKey(t testing.TB) NoiseKey {
	t.Helper()
	k, err := NewNoiseKey()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// connect runs both sides of a handshake and returns what each made of it.
func connect(t testing.TB, a, b *pipeConn, pinned Hash, dev, gw NoiseKey) (*Line, *Line, error, error) {
	t.Helper()
	type result struct {
		l   *Line
		err error
	}
	responder, err := NewResponder(gw)
	if err != nil {
		t.Fatal(err)
	}
	ch := make(chan result, 1)
	go func() {
		l, err := responder.Respond(t.Context(), b, func(peer Hash, hello []byte) ([]byte, error) {
			if peer != dev.Public || string(hello) != "hello" {
				return nil, errors.New("unknown")
			}
			return []byte("welcome"), nil
		})
		if err != nil {
			b.Close()
		}
		ch <- result{l, err}
	}()
	la, reply, errA := Initiate(t.Context(), a, dev, pinned, []byte("hello"))
	if errA != nil {
		a.Close()
	} else if string(reply) != "welcome" {
		t.Errorf("got reply %q", reply)
	}
	r := <-ch
	return la, r.l, errA, r.err
}

func TestALineCarriesMessagesBothWaysAcrossRekeys(t *testing.T) {
	a, b := messagePipe()
	dev, gw := noiseKey(t), noiseKey(t)
	la, lb, errA, errB := connect(t, a, b, gw.Public, dev, gw)
	if errA != nil || errB != nil {
		t.Fatal(errA, errB)
	}
	if !bytes.Equal(la.Binding(), lb.Binding()) || lb.Peer() != dev.Public {
		t.Error("both ends must agree on the binding and the peer")
	}
	for i := range rekeyEvery + 3 {
		from, to := la, lb
		if i%2 == 1 {
			from, to = lb, la
		}
		for range 1 + i%2 {
			if err := from.Send([]byte("x"), time.Second); err != nil {
				t.Fatal(err)
			}
			if m, err := to.Receive(time.Time{}); err != nil || string(m) != "x" {
				t.Fatalf("message %d: %q, %v", i, m, err)
			}
		}
	}
}

func TestOneFlippedBitInAHandshakeMessageEndsIt(t *testing.T) {
	dev, gw := noiseKey(t), noiseKey(t)
	for _, side := range []int{0, 1} {
		for bit := 0; bit < 8*60; bit += 7 {
			a, b := messagePipe()
			flip := func(m []byte) [][]byte { m[(bit/8)%len(m)] ^= 1 << (bit % 8); return [][]byte{m} }
			if side == 0 {
				a.alter = flip
			} else {
				b.alter = flip
			}
			if la, lb, errA, errB := connect(t, a, b, gw.Public, dev, gw); la != nil && lb != nil && errA == nil && errB == nil {
				t.Fatalf("side %d bit %d: both ends went on", side, bit)
			}
		}
	}
}

func TestAnUnpinnedGatewayGetsNothing(t *testing.T) {
	a, b := messagePipe()
	dev, gw, other := noiseKey(t), noiseKey(t), noiseKey(t)
	if la, lb, _, _ := connect(t, a, b, other.Public, dev, gw); la != nil || lb != nil {
		t.Fatal("a gateway without the pinned key completed the handshake")
	}
}

func TestAReflectedHandshakeFails(t *testing.T) {
	a, _ := messagePipe()
	a.alter = func(m []byte) [][]byte { a.in <- m; return nil } // the device's own message comes back
	if _, _, err := Initiate(t.Context(), a, noiseKey(t), noiseKey(t).Public, []byte("hello")); err == nil {
		t.Fatal("accepted its own message")
	}
}

func TestInjectedReplayedAndReorderedMessagesEndTheLine(t *testing.T) {
	for name, alter := range map[string]func([]byte) [][]byte{
		"replayed": func(m []byte) [][]byte { return [][]byte{m, bytes.Clone(m)} },
		"injected": func(m []byte) [][]byte { return [][]byte{[]byte("garbage that is long enough"), m} },
		"dropped":  nil,
		"reordered": func() func([]byte) [][]byte {
			var first []byte
			return func(m []byte) [][]byte {
				if first == nil {
					first = bytes.Clone(m)
					return nil
				}
				return [][]byte{m, first}
			}
		}(),
	} {
		a, b := messagePipe()
		dev, gw := noiseKey(t), noiseKey(t)
		la, lb, errA, errB := connect(t, a, b, gw.Public, dev, gw)
		if errA != nil || errB != nil {
			t.Fatal(errA, errB)
		}
		a.alter = alter
		if name == "dropped" {
			n := 0
			a.alter = func(m []byte) [][]byte { n++; return map[bool][][]byte{true: nil, false: {m}}[n == 1] }
		}
		la.Send([]byte("one"), time.Second)
		la.Send([]byte("two"), time.Second)
		var err error
		for range 3 {
			if _, err = lb.Receive(time.Time{}); err != nil {
				break
			}
		}
		if err == nil {
			t.Errorf("%s: went unnoticed", name)
		}
	}
}

func TestAWebSocketCarriesALineAndAStream(t *testing.T) {
	gw, dev := noiseKey(t), noiseKey(t)
	responder, err := NewResponder(gw)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 4)
	mux := http.NewServeMux()
	mux.HandleFunc(ControlPath, func(w http.ResponseWriter, r *http.Request) {
		ws, err := UpgradeWS(w, r, ControlSubprotocol, MaxControl)
		if err != nil {
			return
		}
		go func() {
			l, err := responder.Respond(context.Background(), ws, func(Hash, []byte) ([]byte, error) { return []byte("ok"), nil })
			if err == nil {
				_, err = l.Receive(time.Now().Add(5 * time.Second))
			}
			served <- err
			ws.Close()
		}()
	})
	mux.HandleFunc(SessionPath, func(w http.ResponseWriter, r *http.Request) {
		ws, err := UpgradeWS(w, r, SessionSubprotocol, MaxStream)
		if err != nil {
			return
		}
		go func() {
			s := ws.Stream()
			_, err := io.Copy(s, s)
			s.Close()
			served <- err
		}()
	})
	mux.HandleFunc("/busy", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	srv := httptest.NewServer(mux)
	defer srv.Close()
	host := strings.TrimPrefix(srv.URL, "http://")

	ws, err := DialWS(t.Context(), Dial{Host: host, Path: ControlPath, Subprotocol: ControlSubprotocol, Limit: MaxControl})
	if err != nil {
		t.Fatal(err)
	}
	l, _, err := Initiate(t.Context(), ws, dev, gw.Public, []byte("hi"))
	if err != nil {
		t.Fatal(err)
	}
	if err := l.SendMsg(Ping{T: TypePing}, time.Second); err != nil {
		t.Fatal(err)
	}
	if err := <-served; err != nil {
		t.Fatal(err)
	}
	l.Close()

	ws, err = DialWS(t.Context(), Dial{Host: host, Path: SessionPath, Subprotocol: SessionSubprotocol, Limit: MaxStream})
	if err != nil {
		t.Fatal(err)
	}
	s := ws.Stream()
	want := bytes.Repeat([]byte("0123456789abcdef"), 20000)
	go s.Write(want)
	got := make([]byte, len(want))
	if _, err := io.ReadFull(s, got); err != nil || !bytes.Equal(got, want) {
		t.Fatalf("stream: %v", err)
	}
	s.Close()
	<-served

	var de *DialError
	if _, err = DialWS(t.Context(), Dial{Host: host, Path: "/busy", Subprotocol: "x"}); !errors.As(err, &de) || de.RetryAfter != 7*time.Second {
		t.Errorf("got %v, want Retry-After of 7 s", err)
	}
}
