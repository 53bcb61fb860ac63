package reach

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/errkind"
)

// issued makes a certificate for name, and a pool that trusts it.
func issued(t *testing.T, name string, from, until time.Time) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{name}, NotBefore: from, NotAfter: until,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

// get sends a request to addr over TLS as gateway.example, offering only HTTP/1.1 like a WebSocket.
func get(t *testing.T, d Dialer, roots *x509.CertPool, target string) error {
	t.Helper()
	if d.Scheme == "" {
		d.Scheme = strings.SplitN(target, ":", 2)[0]
	}
	tr := &http.Transport{DialContext: d.DialContext, DisableKeepAlives: true,
		TLSClientConfig:     WebSocketTLS(&tls.Config{RootCAs: roots, ServerName: "gateway.example"}),
		TLSHandshakeTimeout: 500 * time.Millisecond, ResponseHeaderTimeout: 500 * time.Millisecond}
	resp, err := (&http.Client{Transport: tr,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).Get(target)
	if err == nil {
		resp.Body.Close()
		return AnswerOf(resp, true)
	}
	return err
}

// expect explains err and compares cause and text. Every explanation has a hint, and only printable characters.
func expect(t *testing.T, host string, err error, want Cause, text string) {
	t.Helper()
	err = Explain(host, err)
	got, ok := Of(err)
	said, hint, _ := errkind.ForPeople(err)
	if !ok || got != want || !strings.Contains(said, text) {
		t.Errorf("got cause %d %v, %q; want %d, …%s…", got, ok, said, want, text)
	}
	if hint == "" || printable(said+hint) != said+hint && len(said+hint) < mostWords {
		t.Errorf("got %q with the hint %q, want both printable", said, hint)
	}
	if again := Explain(host, fmt.Errorf("once more: %w", err)); again.Error() != "once more: "+err.Error() {
		t.Errorf("explained twice: %v", again)
	}
}

// through gives a dialer through a proxy.
func through(t *testing.T, proxy string) Dialer {
	t.Helper()
	u, err := url.Parse(proxy)
	if err != nil {
		t.Fatal(err)
	}
	return Dialer{Proxy: http.ProxyURL(u)}
}

// tinyproxy starts a real tinyproxy with more lines of configuration, and gives its address.
func tinyproxy(t *testing.T, more string) string {
	t.Helper()
	dir := t.TempDir()
	for range 5 { // another program may take the port first
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		addr := l.Addr().(*net.TCPAddr)
		l.Close()
		conf := filepath.Join(dir, "tinyproxy.conf")
		text := fmt.Sprintf("Port %d\nListen 127.0.0.1\nTimeout 60\nMaxClients 20\nAllow 127.0.0.1\nLogFile %q\n%s",
			addr.Port, filepath.Join(dir, "log"), more)
		if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("tinyproxy", "-d", "-c", conf)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() { cmd.Wait(); close(ended) }()
		t.Cleanup(func() { cmd.Process.Kill(); <-ended })
		if answers(addr.String(), ended) {
			return addr.String()
		}
	}
	t.Fatal("tinyproxy does not start")
	return ""
}

// answers waits up to 20 s until something listens at addr.
func answers(addr string, ended <-chan struct{}) bool {
	for range 1000 {
		if c, err := net.Dial("tcp", addr); err == nil {
			c.Close()
			return true
		}
		select {
		case <-ended:
			return false
		case <-time.After(20 * time.Millisecond):
		}
	}
	return false
}
