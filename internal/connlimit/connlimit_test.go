package connlimit

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// hall is a listener without a network, so that its time can be that of a synctest bubble.
type hall struct {
	*Limits
	arrivals chan net.Conn
}

func newHall(cfg Config) *hall { return &hall{New(cfg), make(chan net.Conn)} }

func (h *hall) Accept() (net.Conn, error) {
	c, ok := <-h.arrivals
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}

func (h *hall) Close() error   { close(h.arrivals); return nil }
func (h *hall) Addr() net.Addr { return &net.TCPAddr{} }

// from is the gateway's end of a connection from an address.
type from struct {
	net.Conn
	addr string
}

func (f from) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(f.addr)) }

// dial gives the far end of a connection from an address.
func (h *hall) dial(addr string) net.Conn {
	near, far := net.Pipe()
	h.arrivals <- from{near, addr}
	synctest.Wait()
	return far
}

// serve accepts until the hall closes, and reads nothing.
func (h *hall) serve() (accepted chan net.Conn) {
	accepted = make(chan net.Conn, 64)
	go func() {
		defer close(accepted)
		l := h.Listener(h)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			accepted <- c
		}
	}()
	return accepted
}

// open reports whether the gateway still holds the other end.
func open(c net.Conn) bool {
	c.SetReadDeadline(time.Now())
	_, err := c.Read(make([]byte, 1))
	return !errors.Is(err, io.EOF)
}

func TestAPeerHoldsAtMostItsShare(t *testing.T) {
	for name, c := range map[string]struct{ first, second, other string }{
		"one address of IPv4":           {"192.0.2.1:1", "192.0.2.1:2", "192.0.2.2:1"},
		"one network of IPv6":           {"[2001:db8::1]:1", "[2001:db8::2]:1", "[2001:db8:0:1::1]:1"},
		"an old address in a new form":  {"192.0.2.1:1", "[::ffff:192.0.2.1]:1", "192.0.2.2:1"},
		"addresses of a link, by zones": {"[fe80::1%a]:1", "[fe80::2%a]:1", "192.0.2.2:1"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHall(Config{PerPeer: 2, Total: 100})
				accepted := h.serve()
				one, two, three := h.dial(c.first), h.dial(c.second), h.dial(c.second)
				if !open(one) || !open(two) || open(three) {
					t.Errorf("got open %v, %v and %v, want the third alone to be closed", open(one), open(two), open(three))
				}
				if far := h.dial(c.other); !open(far) {
					t.Error("another peer was closed")
				}
				(<-accepted).Close()
				if again := h.dial(c.second); !open(again) {
					t.Error("a connection that was closed still counts")
				}
				if got := h.Counts(); got != (Counts{Waiting: 3, PerPeer: 1}) {
					t.Errorf("got %+v", got)
				}
				h.end(accepted)
			})
		})
	}
}

// end closes everything, and checks that nothing is left in the counts.
func (h *hall) end(accepted chan net.Conn) {
	h.Close()
	for c := range accepted {
		c.Close()
		c.Close() // counts once
	}
	if got := h.Counts().Waiting; got != 0 || len(h.peers) != 0 {
		panic("something is left in the counts")
	}
}

func TestAnAuthenticatedConnectionCountsNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHall(Config{PerPeer: 1, Total: 1})
		accepted := h.serve()
		var far []net.Conn
		for range 50 {
			far = append(far, h.dial("192.0.2.1:1"))
			c := (<-accepted).(*Conn)
			c.Authenticated()
			c.Authenticated()
			defer c.Close()
		}
		time.Sleep(10 * Time)
		for i, c := range far {
			if !open(c) {
				t.Errorf("connection %d was closed", i)
			}
		}
		h.end(accepted)
	})
}

func TestTheOldestConnectionMakesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHall(Config{PerPeer: 2, Total: 3})
		accepted := h.serve()
		var far []net.Conn
		for _, a := range []string{"192.0.2.1:1", "192.0.2.2:1", "192.0.2.3:1", "192.0.2.4:1", "192.0.2.5:1"} {
			far = append(far, h.dial(a))
		}
		for i, c := range far {
			if got, want := open(c), i >= 2; got != want {
				t.Errorf("connection %d: got open %v, want %v", i, got, want)
			}
		}
		if got := h.Counts(); got != (Counts{Waiting: 3, Total: 2}) {
			t.Errorf("got %+v", got)
		}
		h.end(accepted)
	})
}

func TestAnExemptPeerIsNotLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHall(Config{PerPeer: 1, Total: 1, Exempt: netip.MustParsePrefix("10.0.0.0/8").Contains})
		accepted := h.serve()
		for _, a := range []string{"10.0.0.1:1", "10.0.0.1:2", "[::ffff:10.0.0.1]:3"} {
			far := h.dial(a)
			time.Sleep(2 * Time)
			if c := <-accepted; !open(far) || From(Context(t.Context(), c)) != nil {
				t.Errorf("%s: got open %v", a, open(far))
			}
		}
		if got := h.Counts(); got != (Counts{}) {
			t.Errorf("got %+v", got)
		}
		h.end(accepted)
	})
}

// TestNothingThatIsSentExtendsTheTime has a real HTTP server on the far side of the limits.
func TestNothingThatIsSentExtendsTheTime(t *testing.T) {
	for name, send := range map[string]func(net.Conn, time.Duration){
		"nothing": func(net.Conn, time.Duration) {},
		"a header that goes on": func(c net.Conn, at time.Duration) {
			if at == 0 {
				io.WriteString(c, "GET / HTTP/1.1\r\nX-Slow: ")
			} else {
				io.WriteString(c, "x")
			}
		},
		"requests without a sign-in": func(c net.Conn, _ time.Duration) {
			io.WriteString(c, "GET / HTTP/1.1\r\nHost: gw.example\r\n\r\n")
			c.Read(make([]byte, 4096))
		},
		"a request whose answer is not read": func(c net.Conn, at time.Duration) {
			if at == 0 {
				io.WriteString(c, "GET / HTTP/1.1\r\nHost: gw.example\r\n\r\n")
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHall(Config{PerPeer: 10, Total: 10})
				srv := &http.Server{ConnContext: Context, Handler: http.NotFoundHandler()}
				go srv.Serve(h.Listener(h))
				c := h.dial("192.0.2.1:1")
				for at := time.Duration(0); at < Time-time.Second; at += time.Second {
					send(c, at)
					time.Sleep(time.Second)
				}
				time.Sleep(time.Second - time.Nanosecond)
				if got := h.Counts(); got != (Counts{Waiting: 1}) {
					t.Errorf("a nanosecond before its time: got %+v", got)
				}
				time.Sleep(time.Nanosecond)
				synctest.Wait()
				if got := h.Counts(); got != (Counts{Late: 1}) {
					t.Errorf("at its time: got %+v", got)
				}
				srv.Close()
			})
		})
	}
}

// TestARequestThatIsAuthenticatedKeepsItsConnection: one that is not, on the same connection, does not count.
func TestARequestThatIsAuthenticatedKeepsItsConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHall(Config{PerPeer: 10, Total: 10})
		srv := &http.Server{ConnContext: Context, Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != "" {
				From(r.Context()).Authenticated()
			}
		})}
		go srv.Serve(h.Listener(h))
		c := h.dial("192.0.2.1:1")
		ask := func(header string) {
			io.WriteString(c, "GET / HTTP/1.1\r\nHost: gw.example\r\n"+header+"\r\n")
			c.SetReadDeadline(time.Now().Add(time.Second))
			if n, _ := c.Read(make([]byte, 4096)); n == 0 {
				t.Error("got no answer")
			}
		}
		ask("")
		if got := h.Counts().Waiting; got != 1 {
			t.Errorf("after a request without a sign-in: got %d waiting, want 1", got)
		}
		ask("Authorization: Bearer x\r\n")
		if got := h.Counts().Waiting; got != 0 {
			t.Errorf("after one with: got %d waiting, want 0", got)
		}
		time.Sleep(2 * Time)
		ask("")
		srv.Close()
	})
}

func TestAFloodIsLoggedOnceInTenSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var said bytes.Buffer
		h := newHall(Config{PerPeer: 1, Total: 10, Log: slog.New(slog.NewTextHandler(&said, nil))})
		accepted := h.serve()
		for range 500 {
			h.dial("192.0.2.1:1")
		}
		time.Sleep(logEvery)
		h.dial("192.0.2.1:1")
		if got := strings.Count(said.String(), "peer=192.0.2.1 "); got != 2 {
			t.Errorf("got %d lines, want 2:\n%s", got, &said)
		}
		h.end(accepted)
	})
}

func TestWithoutAConnectionNothingIsCounted(t *testing.T) {
	From(t.Context()).Authenticated()
}
