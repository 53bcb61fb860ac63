package reach

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/testenv"
)

// target is an HTTP server on loopback.
func target(t *testing.T) string {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusTeapot)
	}))
	t.Cleanup(srv.Close)
	return srv.Listener.Addr().String()
}

func TestARealProxyWithAPassword(t *testing.T) {
	host := target(t)
	proxy := tinyproxy(t, "BasicAuth plant s3cret\n")
	expect(t, host, get(t, through(t, "http://plant:s3cret@"+proxy), nil, "http://"+host), NoWebSocket, "418")
	expect(t, host, get(t, through(t, "http://"+proxy), nil, "http://"+host), ProxyPassword,
		"the proxy "+proxy+" wants a password")
	expect(t, host, get(t, through(t, "http://plant:wrong@"+proxy), nil, "http://"+host), ProxyWrongPassword,
		"the proxy "+proxy+" does not accept the user name and password that it was given")
}

func TestARealProxyThatForbidsOrCannotReachTheTarget(t *testing.T) {
	host := target(t)
	forbids := tinyproxy(t, "ConnectPort 563\n")
	expect(t, host, get(t, through(t, "http://"+forbids), nil, "http://"+host), ProxyForbids,
		"does not allow a connection to "+host+" (403 Forbidden)")
	open := tinyproxy(t, "")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	gone := l.Addr().String()
	expect(t, gone, get(t, through(t, "http://"+open), nil, "http://"+gone), ProxyTarget,
		"the proxy "+open+" cannot reach "+gone)
	expect(t, host, get(t, through(t, "http://"+gone), nil, "http://"+host), ProxyUnreachable,
		"the proxy "+gone+" cannot be reached: nothing listens at "+gone)
	expect(t, gone, get(t, through(t, "http://"+host), nil, "http://"+gone), ProxyForbids,
		"refuses to connect to "+gone+" (418")
}

// answering is a proxy that sends the same bytes to every client, for answers that tinyproxy does not give.
func answering(t *testing.T, answer string) string {
	return testenv.Listen(t, func(c net.Conn) { http.ReadRequest(bufio.NewReader(c)); io.WriteString(c, answer) })
}

func TestOtherAnswersOfProxies(t *testing.T) {
	host := "gateway.example:443"
	for answer, want := range map[string]Cause{
		"HTTP/1.1 407 \x1b[2J\r\nProxy-Authenticate: Negotiate\r\nProxy-Authenticate: NTLM\r\n\r\n": ProxyScheme,

		"HTTP/1.1 407 x\r\nProxy-Authenticate: Negotiate, Basic realm=\"x\"\r\n\r\n": ProxyPassword,

		"HTTP/1.1 403 \x1b[2J\r\n\r\n":                        ProxyForbids,
		"HTTP/1.1 503 x\r\n\r\n":                              ProxyTarget,
		"HTTP/1.1 405 x\r\n\r\n":                              NotProxy,
		"SSH-2.0-OpenSSH_9.2\r\n":                             NotProxy,
		"HTTP/1.1 200 OK\r\n\r\n\x1b[2Jbefore it was asked\n": NotProxy,
	} {
		expect(t, host, get(t, through(t, "http://"+answering(t, answer)), nil, "https://"+host), want, "")
	}
	expect(t, host, get(t, through(t, "ftp://127.0.0.1:1"), nil, "https://"+host), ProxyAddress,
		"the proxy 127.0.0.1:1 cannot be used: it begins with neither http:// nor socks5://")
	broken := Dialer{Proxy: func(*http.Request) (*url.URL, error) {
		return nil, fmt.Errorf("user:s3cret@ is no address")
	}}
	err := get(t, broken, nil, "https://"+host)
	expect(t, host, err, ProxyAddress, "the proxy cannot be used: it is not a URL")
	if strings.Contains(err.Error(), "s3cret") {
		t.Error("the password is in the error")
	}
}

// socksServer is a SOCKS5 server (RFC 1928) with the method and the reply that a case needs.
func socksServer(t *testing.T, method, verdict, reply byte, wantAddr []byte) string {
	return testenv.Listen(t, func(c net.Conn) {
		buf := make([]byte, 600)
		io.ReadFull(c, buf[:2])
		io.ReadFull(c, buf[2:2+buf[1]])
		c.Write([]byte{5, method})
		if method == 2 {
			c.Read(buf) // RFC 1929, in one packet on loopback
			c.Write([]byte{1, verdict})
		}
		n, _ := c.Read(buf)
		if n < 4 || wantAddr != nil && !slices.Equal(buf[3:n], wantAddr) {
			reply = 1
		}
		c.Write([]byte{5, reply, 0, 3, 2, 'g', 'w', 0, 80})
		if reply == 0 {
			http.ReadRequest(bufio.NewReader(c))
			io.WriteString(c, "HTTP/1.1 418 x\r\nContent-Length: 0\r\n\r\n")
		}
	})
}

func TestSOCKS5(t *testing.T) {
	name := append([]byte{3, 15}, "gateway.example\x00\x50"...)
	for _, c := range []struct {
		what, user             string
		method, verdict, reply byte
		want                   Cause
	}{
		{"passed, the name is resolved by the proxy", "", 0, 0, 0, NoWebSocket},
		{"passed with a password", "plant:s3cret@", 2, 0, 0, NoWebSocket},
		{"wrong password", "plant:wrong@", 2, 1, 0, ProxyWrongPassword},
		{"wants a password", "", 2, 0, 0, ProxyPassword},
		{"no method fits", "", 0xff, 0, 0, ProxyPassword},
		{"forbidden", "", 0, 0, 2, ProxyForbids},
		{"target refuses", "", 0, 0, 5, ProxyTarget},
		{"nonsense", "", 0, 0, 99, NotProxy},
	} {
		t.Run(c.what, func(t *testing.T) {
			addr := socksServer(t, c.method, c.verdict, c.reply, name)
			expect(t, "gateway.example:80",
				get(t, through(t, "socks5://"+c.user+addr), nil, "http://gateway.example"), c.want, "")
		})
	}
	for addr, want := range map[string]string{"192.0.2.1:80": "\x01\xc0\x00\x02\x01\x00\x50",
		"[2001:db8::1]:443": "\x04\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x01\xbb"} {
		if got, err := socksTarget(addr); string(got) != want || err != nil {
			t.Errorf("%s: got %x %v", addr, got, err)
		}
	}
}

// TestASilentProxyIsNamedIfTheCallerGivesUpFirst: the agent waits for a shorter time than the Dialer.
func TestASilentProxyIsNamedIfTheCallerGivesUpFirst(t *testing.T) {
	silent := testenv.Listen(t, func(c net.Conn) { io.Copy(io.Discard, c) })
	for _, scheme := range []string{"http://", "https://", "socks5://"} {
		d := through(t, scheme+silent)
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		_, err := d.DialContext(ctx, "tcp", "gateway.example:443")
		cancel()
		expect(t, "gateway.example:443", err, ProxyTarget,
			"the proxy "+silent+" does not answer when asked for gateway.example:443")
		ctx, cancel = context.WithCancel(t.Context())
		time.AfterFunc(300*time.Millisecond, cancel)
		if _, err := d.DialContext(ctx, "tcp", "gateway.example:443"); !errors.Is(Explain("x", err), context.Canceled) {
			t.Errorf("%s: a dial that was cancelled: got %v", scheme, err)
		}
	}
}

// TestAProxyGetsUserAndPasswordAsTheyAre, by both protocols, whatever characters they have.
func TestAProxyGetsUserAndPasswordAsTheyAre(t *testing.T) {
	got := make(chan string, 1)
	basic := testenv.Listen(t, func(c net.Conn) {
		r, err := http.ReadRequest(bufio.NewReader(c))
		if err != nil {
			return
		}
		r.Header.Set("Authorization", r.Header.Get("Proxy-Authorization"))
		user, password, _ := r.BasicAuth()
		got <- user + " " + password
	})
	socks := testenv.Listen(t, func(c net.Conn) { // RFC 1928 and 1929
		buf := make([]byte, 600)
		io.ReadFull(c, buf[:4]) // version, two methods: none, and a password
		c.Write([]byte{5, 2})
		io.ReadFull(c, buf[:2])
		user := make([]byte, buf[1])
		io.ReadFull(c, user)
		io.ReadFull(c, buf[:1])
		password := make([]byte, buf[0])
		io.ReadFull(c, password)
		got <- string(user) + " " + string(password)
	})
	for _, password := range []string{"@:/%#?", "a@b:c/d%e#f?g", "%41%zz", "grüße 漢字 🙂",
		`\ "'` + "`{}|^&+;=,$!*()[]<>~", ":", ""} {
		for scheme, addr := range map[string]string{"http": basic, "socks5": socks} {
			written := url.URL{Scheme: scheme, User: url.UserPassword("plänt@works/1", password), Host: addr}
			u, err := ParseProxy(written.String(), "")
			if err != nil {
				t.Errorf("%s: %v", &written, err)
				continue
			}
			_, err = Dialer{Proxy: http.ProxyURL(u)}.DialContext(t.Context(), "tcp", "gateway.example:443")
			if err == nil {
				t.Fatal("a tunnel was opened")
			}
			if want, sent := "plänt@works/1 "+password, <-got; sent != want {
				t.Errorf("%s: the proxy got %q, want %q", &written, sent, want)
			}
		}
	}
}
