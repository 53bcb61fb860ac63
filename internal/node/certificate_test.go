package node

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/config"
)

// pairOf makes a certificate and its key in PEM form.
func pairOf(t *testing.T, host string, from, until time.Time) (cert, key []byte) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), DNSNames: []string{host},
		NotBefore: from, NotAfter: until}
	der, err := x509.CreateCertificate(rand.Reader, leaf, leaf, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})
}

// TestTheCertificateServedIsTheOneReported renews a certificate in every bad way and in the good one. After each bad
// one the old certificate is served, its end is the one reported, and the failure is logged once.
func TestTheCertificateServedIsTheOneReported(t *testing.T) {
	dir := t.TempDir()
	now := time.Now().Truncate(time.Second)
	var said strings.Builder
	c := &config.Config{TLS: config.TLS{Mode: "files", Cert: filepath.Join(dir, "cert.pem"),
		Key: filepath.Join(dir, "key.pem")}}
	c.Site.URL = "https://gw.example"
	put := func(path string, raw []byte) {
		t.Helper()
		os.RemoveAll(path)
		if err := os.WriteFile(path, raw, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	renew := func(host string, from, until time.Duration) {
		cert, key := pairOf(t, host, now.Add(from), now.Add(until))
		put(c.TLS.Cert, cert)
		put(c.TLS.Key, key)
	}
	const day = 24 * time.Hour
	renew("gw.example", -day, 10*day)
	f, err := openCertificate(c, slog.New(slog.NewTextHandler(&said, nil)))
	if err != nil {
		t.Fatal(err)
	}
	good := 10 * day
	for _, s := range []struct {
		what  string
		renew func()
		want  string // why the files are not served; empty: they are
	}{
		{"the key is a directory", func() { os.Remove(c.TLS.Key); os.Mkdir(c.TLS.Key, 0o700) },
			"the key's file cannot be read (not a regular file)"},
		{"the key is missing", func() { os.Remove(c.TLS.Key) },
			"the key's file cannot be read (no such file or directory)"},
		{"the certificate is half written",
			func() { put(c.TLS.Cert, []byte("-----BEGIN CERTI")); put(c.TLS.Key, []byte("x")) },
			"cannot be used together"},
		{"a good one", func() { renew("gw.example", -day, 20*day) }, ""},
		{"the key is another one", func() {
			_, key := pairOf(t, "gw.example", now, now.Add(day))
			put(c.TLS.Key, key)
		},
			"private key does not match public key"},
		{"it has ended", func() { renew("gw.example", -9*day, -day) }, "expired on "},
		{"it begins tomorrow", func() { renew("gw.example", day, 30*day) }, "is not valid before "},
		{"it names another host", func() { renew("other.example", -day, 30*day) }, "does not name gw.example"},
		{"the certificate is missing", func() { os.Remove(c.TLS.Cert) }, "the certificate's file cannot be read"},
		{"a good one again", func() { renew("gw.example", -day, 90*day) }, ""},
	} {
		said.Reset()
		if s.renew(); s.want == "" {
			good = map[bool]time.Duration{true: 20 * day, false: 90 * day}[good == 10*day]
		}
		for range 3 {
			shown, err := f.TLS().GetCertificate(&tls.ClientHelloInfo{})
			if err != nil {
				t.Fatalf("%s: %v", s.what, err)
			}
			leaf, failed := f.Served()
			if !shown.Leaf.Equal(leaf) || !leaf.NotAfter.Equal(now.Add(good)) {
				t.Errorf("%s: serves one until %s and reports %s, want %s", s.what, shown.Leaf.NotAfter,
					leaf.NotAfter, now.Add(good))
			}
			if (failed == nil) != (s.want == "") || failed != nil && !strings.Contains(failed.Error(), s.want) {
				t.Errorf("%s: got the failure %v, want %q", s.what, failed, s.want)
			}
		}
		if n := strings.Count(said.String(), "\n"); n != 1 {
			t.Errorf("%s: logged %d times, want once:\n%s", s.what, n, said.String())
		}
	}
}

// TestRefusedFilesAreTriedAgain: refused files may become usable without a change, for example when their period of
// validity begins.
func TestRefusedFilesAreTriedAgain(t *testing.T) {
	dir := t.TempDir()
	now := time.Now()
	c := &config.Config{TLS: config.TLS{Mode: "files", Cert: filepath.Join(dir, "cert.pem"),
		Key: filepath.Join(dir, "key.pem")}}
	c.Site.URL = "https://gw.example"
	put := func(from, until time.Duration) {
		cert, key := pairOf(t, "gw.example", now.Add(from), now.Add(until))
		if err := errors.Join(os.WriteFile(c.TLS.Cert, cert, 0o600), os.WriteFile(c.TLS.Key, key, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	put(-time.Hour, 10*time.Hour)
	f, err := openCertificate(c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	f.now = func() time.Time { return now }
	put(time.Hour, 20*time.Hour)
	if _, failed := f.Served(); failed == nil {
		t.Fatal("a certificate that begins in an hour is served now")
	}
	now = now.Add(time.Hour)
	if leaf, failed := f.Served(); failed != nil || leaf.NotAfter.Before(now.Add(15*time.Hour)) {
		t.Errorf("an hour later: got one until %s, %v", leaf.NotAfter, failed)
	}
}

// TestNeitherAFIFONorAHangingDiskBlocksHandshakes makes real handshakes while a file of the certificate cannot be read
// to its end.
func TestNeitherAFIFONorAHangingDiskBlocksHandshakes(t *testing.T) {
	dir := t.TempDir()
	c := &config.Config{TLS: config.TLS{Mode: "files", Cert: filepath.Join(dir, "cert.pem"),
		Key: filepath.Join(dir, "key.pem")}}
	c.Site.URL = "https://gw.example"
	now := time.Now()
	cert, key := pairOf(t, "gw.example", now.Add(-time.Hour), now.Add(10*time.Hour))
	if err := errors.Join(os.WriteFile(c.TLS.Cert, cert, 0o600), os.WriteFile(c.TLS.Key, key, 0o600)); err != nil {
		t.Fatal(err)
	}
	f, err := openCertificate(c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", f.TLS())
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() { defer conn.Close(); conn.(*tls.Conn).Handshake() }()
		}
	}()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(cert)
	handshakes := func(what string) {
		t.Helper()
		for range 3 {
			conn, err := tls.DialWithDialer(&net.Dialer{Timeout: 10 * certificateTime}, "tcp", l.Addr().String(),
				&tls.Config{RootCAs: roots, ServerName: "gw.example"})
			if err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			conn.Close()
		}
	}
	failed := func(want string) {
		t.Helper()
		if _, err := f.Served(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got the failure %v, want …%s…", err, want)
		}
	}
	handshakes("good files")
	for path, raw := range map[string][]byte{c.TLS.Cert: cert, c.TLS.Key: key} {
		if err := errors.Join(os.Remove(path), syscall.Mkfifo(path, 0o600)); err != nil {
			t.Fatal(err)
		}
		handshakes("a FIFO at " + path)
		failed("not a regular file")
		if err := errors.Join(os.Remove(path), os.WriteFile(path, raw, 0o600)); err != nil {
			t.Fatal(err)
		}
		if _, err := f.Served(); err != nil {
			t.Errorf("the file is back: %v", err)
		}
	}
	back, look := make(chan struct{}), f.files.look
	f.files.look = func(ctx context.Context) error { <-back; return look(ctx) }
	handshakes("a disk that hangs")
	failed("cannot be read in time")
	close(back)
	if err := f.files.within(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Served(); err != nil {
		t.Errorf("the disk is back: %v", err)
	}
}
