package e2e

import (
	"crypto/tls"
	"encoding/json"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"github.com/sallyport/sallyport/internal/testenv"
)

// terminator is a proxy that ends TLS before the gateway, as load balancers do. It dials from 127.0.0.2, which is what
// the gateway trusts.
func terminator(t *testing.T, s *testenv.Server) {
	t.Helper()
	inside := testenv.FreePort(t)
	s.Write(`"`+s.Listen+`"`, `"`+inside+`"`, `mode = "self"`, `mode = "behind-proxy"`+"\ntrusted_proxies = [\"127.0.0.2/32\"]")
	proxy := &httputil.ReverseProxy{
		ErrorLog:  log.New(io.Discard, "", 0), // of the time before the gateway listens
		Transport: &http.Transport{DialContext: (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}).DialContext},
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: inside})
			r.Out.Host = r.In.Host
			r.Out.Header.Set("X-Forwarded-For", "198.51.100.9, 203.0.113.7") // what the client wrote, and what the proxy saw
		}}
	l, err := net.Listen("tcp", s.Listen)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewUnstartedServer(proxy)
	srv.Listener.Close()
	srv.Listener, srv.TLS = l, &tls.Config{Certificates: []tls.Certificate{certificate(t, s.CA())}, NextProtos: []string{"http/1.1"}}
	srv.StartTLS()
	t.Cleanup(srv.Close)
}

// certificate makes one for localhost, and puts it where clients look for what to trust.
func certificate(t *testing.T, file string) tls.Certificate {
	t.Helper()
	chain, key := testenv.Certificate(t)
	pair, err := tls.X509KeyPair([]byte(chain), []byte(key))
	if err != nil {
		t.Fatal(err)
	}
	os.MkdirAll(filepath.Dir(file), 0o700)
	if err := os.WriteFile(file, []byte(chain), 0o644); err != nil {
		t.Fatal(err)
	}
	return pair
}

func TestBehindAProxyThatEndsTLS(t *testing.T) {
	t.Parallel()
	p := newPlant(t, func(p *plant) { terminator(t, p.Server) })
	t.Run("a session", p.works)
	t.Run("the tunnel is shown as unterminated, which is no alarm", func(t *testing.T) {
		p.tunnel(t, "unterminated")
		var events []struct{ Type string }
		if err := json.Unmarshal([]byte(p.admin.Must("audit", "tail", "--json")), &events); err != nil || len(events) == 0 {
			t.Fatalf("%d events, %v", len(events), err)
		}
		for _, e := range events {
			if e.Type == "intercepted" {
				t.Error("it was called intercepted")
			}
		}
	})
	t.Run("the address is what the trusted proxy saw", func(t *testing.T) {
		var events []struct{ Type, Address string }
		json.Unmarshal([]byte(p.admin.Must("audit", "tail", "--json")), &events)
		seen := map[string]bool{}
		for _, e := range events {
			if e.Address != "" {
				seen[e.Address] = true
			}
		}
		if len(seen) != 1 || !seen["203.0.113.7"] {
			t.Errorf("got %v, want 203.0.113.7 alone", seen)
		}
	})
}
