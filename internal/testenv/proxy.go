package testenv

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Frontends are the proxies that NewFrontend knows.
var Frontends = []string{"nginx", "haproxy"}

// Frontend is a real proxy in front of a gateway, configured by the file of examples/proxies.
type Frontend struct {
	*Process
	Addr string // 127.0.0.1:PORT, TLS for localhost
	CA   string // file with its certificate
}

// NewFrontend starts a proxy at listen in front of backend (host:port). It runs the example as shipped: only the port,
// the backend's address and the certificate's path are replaced, and each old text of pairs by its new text.
func NewFrontend(t testing.TB, kind, listen, backend string, pairs ...string) *Frontend {
	t.Helper()
	dir := t.TempDir()
	os.Chmod(dir, 0o755)
	f := &Frontend{Addr: listen, CA: filepath.Join(dir, "ca.pem")}
	chain, key := Certificate(t)
	write(t, f.CA, chain)
	write(t, filepath.Join(dir, "privkey.pem"), key)
	write(t, filepath.Join(dir, "sallyport.pem"), chain+key)
	var cmd *exec.Cmd
	switch kind {
	case "nginx":
		conf := Example(t, "nginx.conf", append(pairs, "listen 443 ", "listen "+listen+" ", "http://127.0.0.1:8443",
			"http://"+backend, "access.example.com", "localhost",
			"/etc/ssl/sallyport/fullchain.pem", f.CA, "/etc/ssl/sallyport/privkey.pem",
			filepath.Join(dir, "privkey.pem"))...)
		write(t, filepath.Join(dir, "sallyport.conf"), conf)
		write(t, filepath.Join(dir, "nginx.conf"), strings.ReplaceAll(nginxMain, "DIR", dir))
		cmd = exec.Command(sbin("nginx"), "-p", dir, "-c", filepath.Join(dir, "nginx.conf"))
	case "haproxy":
		conf := Example(t, "haproxy.cfg",
			append(pairs, "bind :443 ", "bind "+listen+" ", "server gateway 127.0.0.1:8443", "server gateway "+backend,
				"/etc/haproxy/sallyport.pem", filepath.Join(dir, "sallyport.pem"))...)
		write(t, filepath.Join(dir, "haproxy.cfg"), conf)
		cmd = exec.Command(sbin("haproxy"), "-db", "-f", filepath.Join(dir, "haproxy.cfg"))
	default:
		t.Fatalf("no proxy %q", kind)
	}
	f.Process = Launch(t, filepath.Join(dir, kind+".log"), cmd)
	t.Cleanup(func() { f.End(syscall.SIGTERM) }) // a killed nginx would leave its workers
	f.wait(t)
	return f
}

// nginxMain is the part of Debian's nginx.conf that the example needs: it includes the file.
const nginxMain = `daemon off;
pid DIR/nginx.pid;
error_log stderr;
worker_processes 1;
events { worker_connections 1024; }
http {
    access_log off;
    client_body_temp_path DIR/body;
    proxy_temp_path DIR/proxy;
    fastcgi_temp_path DIR/fastcgi;
    uwsgi_temp_path DIR/uwsgi;
    scgi_temp_path DIR/scgi;
    include DIR/sallyport.conf;
}
`

// Example gives a file of examples/proxies with pairs of old and new text replaced. Each old text must be there.
func Example(t testing.TB, name string, pairs ...string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(Root(), "examples", "proxies", name))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		if !strings.Contains(string(raw), pairs[i]) {
			t.Fatalf("examples/proxies/%s has no %q", name, pairs[i])
		}
	}
	return strings.NewReplacer(pairs...).Replace(string(raw))
}

func (f *Frontend) wait(t testing.TB) {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		if c, err := net.Dial("tcp", f.Addr); err == nil {
			c.Close()
			return
		}
		if f.Ended() || time.Now().After(end) {
			t.Fatalf("%v does not listen at %s\n%s", f.Args, f.Addr, f.Output())
		}
	}
}

// sbin finds a program that Debian keeps off the search path of ordinary users.
func sbin(name string) string {
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	return filepath.Join("/usr/sbin", name)
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// Certificate makes a self-signed certificate for localhost and its key, in PEM form.
func Certificate(t testing.TB) (chain, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, c, c, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	block := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	return block("CERTIFICATE", der), block("PRIVATE KEY", pkcs8)
}

// BehindFrontend configures the server to run behind a proxy of the given kind, and starts that proxy on the server's
// former address.
func (s *Server) BehindFrontend(kind string, pairs ...string) *Frontend {
	s.t.Helper()
	inside := FreePort(s.t)
	s.Write(fmt.Sprintf("%q", s.Listen), fmt.Sprintf("%q", inside), `mode = "self"`,
		"mode = \"behind-proxy\"\ntrusted_proxies = [\"127.0.0.1/32\"]")
	f := NewFrontend(s.t, kind, s.Listen, inside, pairs...)
	raw, err := os.ReadFile(f.CA)
	s.must(err)
	s.must(os.MkdirAll(filepath.Dir(s.CA()), 0o700))
	s.must(os.WriteFile(s.CA(), raw, 0o644))
	return f
}
