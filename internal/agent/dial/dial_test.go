package dial

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/wire"
)

func answering(t *testing.T, withTLS bool) (*httptest.Server, string) {
	t.Helper()
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case wire.ControlPath:
			if ws, err := wire.UpgradeWS(w, r, wire.ControlSubprotocol, wire.MaxControl); err == nil {
				ws.Close()
			}
		case "/away":
			http.Redirect(w, r, wire.ControlPath, http.StatusFound)
		default:
			w.Header().Set("Retry-After", "9")
			http.Error(w, "busy", http.StatusServiceUnavailable)
		}
	}))
	if withTLS {
		srv.StartTLS()
	} else {
		srv.Start()
	}
	t.Cleanup(srv.Close)
	return srv, srv.Listener.Addr().String()
}

func try(d Dialer, host, path string) error {
	ws, err := d.Dial(context.Background(), host, path, wire.ControlSubprotocol, wire.MaxControl, nil)
	if err == nil {
		ws.Close()
	}
	return err
}

// proxy is an HTTP proxy that wants a password, as plants have them. It counts what it let through.
func proxy(t *testing.T, want string) (addr string, through *int) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	through = new(int)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			req, err := http.ReadRequest(bufio.NewReader(c))
			if err != nil || req.Method != http.MethodConnect || req.Header.Get("Proxy-Authorization") != want {
				fmt.Fprint(c, "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\r\n")
				c.Close()
				continue
			}
			*through++
			up, err := net.Dial("tcp", req.Host)
			if err != nil {
				c.Close()
				continue
			}
			fmt.Fprint(c, "HTTP/1.1 200 OK\r\n\r\n")
			go func() { io.Copy(up, c); up.Close() }()
			go func() { io.Copy(c, up); c.Close() }()
		}
	}()
	return l.Addr().String(), through
}

func TestAProxyWithAPasswordIsPassedAndWithoutSaysSo(t *testing.T) {
	_, host := answering(t, false)
	addr, through := proxy(t, "Basic "+base64.StdEncoding.EncodeToString([]byte("plant:s3cret")))
	if err := try(Dialer{Proxy: "http://plant:s3cret@" + addr}, host, wire.ControlPath); err != nil || *through != 1 {
		t.Errorf("got %v, %d through", err, *through)
	}
	err := try(Dialer{Proxy: "http://" + addr}, host, wire.ControlPath)
	if err == nil || !strings.Contains(err.Error(), "wants a password") {
		t.Errorf("got %v", err)
	}
	if err := try(Dialer{Proxy: "ftp://x"}, host, wire.ControlPath); errkind.KindOf(err) != errkind.Usage {
		t.Errorf("got %v, want a usage error", err)
	}
}

func TestSOCKS5IsPassed(t *testing.T) {
	_, host := answering(t, false)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() { // RFC 1928, no authentication, one CONNECT
		c, err := l.Accept()
		if err != nil {
			return
		}
		buf := make([]byte, 262)
		io.ReadFull(c, buf[:2])
		io.ReadFull(c, buf[:buf[1]])
		c.Write([]byte{5, 0})
		io.ReadFull(c, buf[:10]) // version, connect, reserved, IPv4, port
		up, err := net.Dial("tcp", net.JoinHostPort(net.IP(buf[4:8]).String(), fmt.Sprint(int(buf[8])<<8|int(buf[9]))))
		if err != nil {
			c.Close()
			return
		}
		c.Write([]byte{5, 0, 0, 1, 0, 0, 0, 0, 0, 0})
		go io.Copy(up, c)
		io.Copy(c, up)
	}()
	if err := try(Dialer{Proxy: "socks5://" + l.Addr().String()}, host, wire.ControlPath); err != nil {
		t.Error(err)
	}
}

func TestRedirectsAreNotFollowedAndRetryAfterIsKept(t *testing.T) {
	_, host := answering(t, false)
	if err := try(Dialer{}, host, "/away"); err == nil || !strings.Contains(err.Error(), "302") {
		t.Errorf("got %v, want 302 as a failure", err)
	}
	err := try(Dialer{}, host, "/busy")
	var d *wire.DialError
	if !errors.As(err, &d) || d.RetryAfter != 9*time.Second {
		t.Errorf("got %v, want Retry-After of 9 s", err)
	}
}

// TestCertificatesAreCheckedAtATimeThatCanBeDefended asks verify itself: the test server's certificate is for example.com
// and 127.0.0.1, from 1970 to 2084.
func TestCertificatesAreCheckedAtATimeThatCanBeDefended(t *testing.T) {
	srv, _ := answering(t, true)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		ca, name string
		ok       bool
	}{"with the CA given": {ca, "example.com", true}, "without": {"", "example.com", false}, "another name": {ca, "gw.example", false}} {
		d := Dialer{CA: c.ca}
		conf, err := d.tls(c.name + ":443")
		if err != nil {
			t.Fatal(err)
		}
		conn, err := tls.Dial("tcp", srv.Listener.Addr().String(), conf)
		if err == nil {
			conn.Close()
		}
		if (err == nil) != c.ok {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if _, err := (Dialer{CA: os.DevNull}).tls("x:443"); err == nil {
		t.Error("a CA file without a certificate was taken")
	}
}
