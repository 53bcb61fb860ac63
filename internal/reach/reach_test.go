package reach

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/testenv"
)

// resolving gives a dialer with a DNS server that answers every question with reply; nil: it never answers.
func resolving(t *testing.T, reply func(question []byte) []byte) Dialer {
	t.Helper()
	dns, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dns.Close() })
	go func() {
		buf := make([]byte, 1500)
		for {
			n, from, err := dns.ReadFrom(buf)
			if err != nil {
				return
			}
			if reply != nil {
				dns.WriteTo(reply(append([]byte(nil), buf[:n]...)), from)
			}
		}
	}()
	resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", dns.LocalAddr().String())
	}}
	return Dialer{Net: (&net.Dialer{Resolver: resolver, Timeout: time.Second}).DialContext}
}

// notFound turns a DNS question into the answer NXDOMAIN (RFC 1035 section 4.1.1).
func notFound(q []byte) []byte {
	q[2], q[3] = 0x81, 0x83
	return q
}

func TestFailuresBeforeTLSAreToldApart(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	unused := l.Addr().String()
	expect(t, unused, get(t, Dialer{}, nil, "https://"+unused), Refused, "nothing listens at "+unused)
	expect(t, "gateway.example:443", get(t, resolving(t, notFound), nil, "https://gateway.example"), NameUnknown,
		"the name gateway.example is not known in DNS")
	expect(t, "gateway.example:443", get(t, resolving(t, nil), nil, "https://gateway.example"), NameServer,
		"DNS does not answer when asked for gateway.example")
	// A multicast group is no target for TCP: the kernel says that the network is unreachable, as without a route.
	expect(t, "224.0.0.1:443", get(t, Dialer{}, nil, "https://224.0.0.1"), NoRoute, "no network route to 224.0.0.1:443")
	expect(t, "gw:443", &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.EPERM)}, Blocked,
		"does not permit")
}

func TestAConnectionThatEndsOrStaysSilentIsNamed(t *testing.T) {
	silent := testenv.Listen(t, func(c net.Conn) { io.Copy(io.Discard, c) })
	closes := testenv.Listen(t, func(net.Conn) {})
	resets := testenv.Listen(t, func(c net.Conn) { c.Read(make([]byte, 16)); c.(*net.TCPConn).SetLinger(0) })
	for _, scheme := range []string{"http://", "https://"} {
		expect(t, silent, get(t, Dialer{}, nil, scheme+silent), Silent, silent+" does not answer")
		expect(t, closes, get(t, Dialer{}, nil, scheme+closes), Closed,
			closes+" closed the connection before it answered")
		expect(t, resets, get(t, Dialer{}, nil, scheme+resets), Closed, "closed the connection")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := (Dialer{}).DialContext(ctx, "tcp", silent); !errors.Is(Explain(silent, err), context.Canceled) &&
		Explain(silent, err).Error() != err.Error() {
		t.Errorf("a dial that the caller gave up: got %v, want it unchanged", Explain(silent, err))
	}
}

func TestCertificatesAreToldApart(t *testing.T) {
	now := time.Now()
	serve := func(c tls.Certificate, protocols ...string) string {
		srv := httptest.NewUnstartedServer(http.NotFoundHandler())
		srv.TLS = &tls.Config{Certificates: []tls.Certificate{c}, NextProtos: protocols}
		srv.Config.ErrorLog = nil
		srv.StartTLS()
		t.Cleanup(srv.Close)
		return srv.Listener.Addr().String()
	}
	good, trusted := issued(t, "gateway.example", now.Add(-time.Hour), now.Add(time.Hour))
	addr := serve(good)
	expect(t, addr, get(t, Dialer{}, trusted, "https://"+addr), NoGateway,
		"answered 404 Not Found, which is not how a gateway answers")
	expect(t, addr, get(t, Dialer{}, x509.NewCertPool(), "https://"+addr), Authority,
		"signed by an authority that this machine does not trust")
	old, pool := issued(t, "gateway.example", now.Add(-48*time.Hour), now.Add(-24*time.Hour))
	addr = serve(old)
	expect(t, addr, get(t, Dialer{}, pool, "https://"+addr), Expired,
		"expired on "+now.Add(-24*time.Hour).UTC().Format("2006-01-02 15:04 UTC")+", and this machine's clock says")
	later, pool := issued(t, "gateway.example", now.Add(24*time.Hour), now.Add(48*time.Hour))
	addr = serve(later)
	expect(t, addr, get(t, Dialer{}, pool, "https://"+addr), NotYet,
		"is not valid before "+now.Add(24*time.Hour).UTC().Format("2006-01-02 15:04 UTC"))
	other, pool := issued(t, "mail.example", now.Add(-time.Hour), now.Add(time.Hour))
	addr = serve(other)
	expect(t, addr, get(t, Dialer{}, pool, "https://"+addr), WrongName, "is for other names (mail.example)")
}

func TestOtherProtocolsAreNamedWithoutTheirBytes(t *testing.T) {
	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)
	addr := plain.Listener.Addr().String()
	expect(t, addr, get(t, Dialer{}, nil, "https://"+addr), NotTLS, addr+" does not speak TLS")
	greet := func(c net.Conn) { io.WriteString(c, "220 mail.example ESMTP\r\n"); io.Copy(io.Discard, c) }
	mail := testenv.Listen(t, greet)
	expect(t, mail, get(t, Dialer{}, nil, "https://"+mail), NotTLS, "does not speak TLS")
	noise := testenv.Listen(t, func(c net.Conn) {
		c.Read(make([]byte, 1000))
		io.WriteString(c, "\x1b]0;gotcha\x07\x00\xff\x1b[2J\n\n")
		io.Copy(io.Discard, c)
	})
	expect(t, mail, get(t, Dialer{}, nil, "http://"+mail), NotHTTP, "is not HTTP")
	expect(t, noise, get(t, Dialer{}, nil, "http://"+noise), NotHTTP, "is not HTTP")
	// A server that speaks HTTP/2 only begins with this frame. The line ends at its end let the client finish its read.
	settings := testenv.Listen(t, func(c net.Conn) {
		c.Read(make([]byte, 1000))
		io.WriteString(c, "\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x80\x00\x04\x00\x01\x00\x00\x00"+
			"\x05\x00\xff\xff\xff\n\n")
		io.Copy(io.Discard, c)
	})
	expect(t, settings, get(t, Dialer{}, nil, "http://"+settings), HTTP2Only, "speaks HTTP/2 only")
}

func TestAServerWithHTTP2AloneIsNamed(t *testing.T) {
	now := time.Now()
	cert, trusted := issued(t, "gateway.example", now.Add(-time.Hour), now.Add(time.Hour))
	// Not "h2", for which crypto/tls makes an exception that other servers do not make.
	conf := &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"h2-alone"}}
	addr := testenv.Listen(t, func(c net.Conn) { tls.Server(c, conf).Handshake() })
	expect(t, addr, get(t, Dialer{}, trusted, "https://"+addr), HTTP2Only, "offers HTTP/2 only")
	conf = &tls.Config{Certificates: []tls.Certificate{cert}, ClientAuth: tls.RequireAnyClientCert,
		MaxVersion: tls.VersionTLS12}
	addr = testenv.Listen(t, func(c net.Conn) { tls.Server(c, conf).Handshake() })
	expect(t, addr, get(t, Dialer{}, trusted, "https://"+addr), TLSRefused, "refused the TLS connection")
}

func TestAnswersOfOtherServersAreTheirStatusAlone(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var code int
		for _, c := range r.URL.Path[1:] {
			code = code*10 + int(c-'0')
		}
		w.Header().Set("Location", "https://portal.example/")
		w.Header().Set("Retry-After", "7")
		if strings.HasPrefix(r.URL.RawQuery, "gateway") {
			w.Header().Set("Content-Type", "application/problem+json")
		}
		w.WriteHeader(code)
		io.WriteString(w, "<html>\x1b[2J")
	}))
	t.Cleanup(srv.Close)
	host := srv.Listener.Addr().String()
	for path, want := range map[string]Cause{"421": WrongHost, "404": NoGateway, "502": Upstream, "503": Upstream,
		"504": Upstream, "302": Redirected, "307": Redirected,
		"401": SignInFirst, "403": SignInFirst, "407": SignInFirst, "429": TooMany, "200": NoWebSocket,
		"400": NoWebSocket, "426": NoWebSocket, "503?gateway": NoGatewayNow} {
		err := get(t, Dialer{}, nil, srv.URL+"/"+path)
		expect(t, host, err, want, path[:3])
		var a *Answer
		if !errors.As(err, &a) || a.RetryAfter != 7*time.Second {
			t.Errorf("%s: got %+v, want Retry-After of 7 s", path, a)
		}
	}
}

func TestTextIsWhatExplainSays(t *testing.T) {
	refused := &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	for want, err := range map[string]error{"": nil, "nothing listens at gw:443 (connection refused)": refused,
		"the file is missing": errkind.New(errkind.Usage, "the file is missing"),
		"context canceled":    context.Canceled} {
		if got := Text("gw:443", err); got != want {
			t.Errorf("%v: got %q, want %q", err, got, want)
		}
	}
}

func TestABrokenConnectionNamesItsCause(t *testing.T) {
	for code, want := range map[int]Cause{1001: Stopping, 1012: Stopping, 1013: NoGatewayNow, 1006: Lost, 0: Lost} {
		if got, ok := Of(Broken("gw", code, io.ErrUnexpectedEOF)); !ok || got != want {
			t.Errorf("close code %d: got cause %d, want %d", code, got, want)
		}
	}
	if Interrupted(0, errors.New("a message does not decrypt")) || Interrupted(0, io.EOF) ||
		Interrupted(1006, io.EOF) || !Interrupted(1012, io.EOF) ||
		!Interrupted(0, os.ErrDeadlineExceeded) {
		t.Error("a handshake that was interrupted and one that failed are not told apart")
	}
	for err, want := range map[error]string{errors.New("no pong\x1b"): "was lost: no pong",
		io.ErrUnexpectedEOF: "it was closed without notice", syscall.ECONNRESET: "it was closed without notice",
		os.ErrDeadlineExceeded: "it no longer answers", syscall.EHOSTUNREACH: "no network route"} {
		if text, _, _ := errkind.ForPeople(Broken("gw:443", 0, err)); !strings.Contains(text,
			"the connection to gw:443 was lost: ") || !strings.Contains(text, want) {
			t.Errorf("%v: got %q, want …%s…", err, text, want)
		}
	}
}
