package wire

import (
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// wrapping gives connections as a listener with limits does: not as *net.TCPConn.
type wrapping struct{ net.Listener }

type wrapped struct{ net.Conn }

func (w wrapped) SyscallConn() (syscall.RawConn, error) { return w.Conn.(syscall.Conn).SyscallConn() }

func (w wrapping) Accept() (net.Conn, error) {
	c, err := w.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return wrapped{c}, nil
}

// A line is still alive if its other end reads nothing for a while: its window is zero. TCP_USER_TIMEOUT would end it,
// so no line sets it; keepalives and pings end a line whose other end is gone.
func TestNoLineHasAUserTimeout(t *testing.T) {
	for _, withTLS := range []bool{false, true} {
		for path, limit := range map[string]int64{ControlSubprotocol: MaxControl, SessionSubprotocol: MaxStream} {
			up := make(chan *WS, 1)
			srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				ws, err := UpgradeWS(w, r, path, limit)
				if err != nil {
					t.Error(err)
				}
				up <- ws
			}))
			srv.Listener = wrapping{srv.Listener}
			d := Dial{Host: srv.Listener.Addr().String(), Path: "/", Subprotocol: path, Limit: limit}
			if withTLS {
				srv.StartTLS()
				_, port, _ := net.SplitHostPort(d.Host)
				d.Host, d.TLS = "localhost:"+port, &tls.Config{InsecureSkipVerify: true}
			} else {
				srv.Start()
			}
			ws, err := DialWS(t.Context(), d)
			if err != nil {
				t.Fatal(err)
			}
			other := <-up
			for end, w := range map[string]*WS{"device": ws, "gateway": other} {
				if got := tcpOption(t, w, unix.TCP_USER_TIMEOUT); got != 0 {
					t.Errorf("%s, TLS %v, %s: TCP_USER_TIMEOUT is %d ms, want none", path, withTLS, end, got)
				}
				if got := tcpOption(t, w, unix.TCP_NOTSENT_LOWAT); got != notSentLowat {
					t.Errorf("%s, TLS %v, %s: TCP_NOTSENT_LOWAT is %d, want %d: this is another socket",
						path, withTLS, end, got, notSentLowat)
				}
				w.Close()
			}
			srv.Close()
		}
	}
}

func tcpOption(t *testing.T, w *WS, option int) (value int) {
	t.Helper()
	c := w.conn.NetConn()
	if s, ok := c.(*tls.Conn); ok {
		c = s.NetConn()
	}
	raw, err := c.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(fd uintptr) { value, err = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, option) })
	if err != nil {
		t.Fatal(err)
	}
	return value
}
