package node

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strings"
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
			"the key's file cannot be read (is a directory)"},
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
		{"it has ended", func() { renew("gw.example", -9*day, -day) }, "ended on "},
		{"it begins tomorrow", func() { renew("gw.example", day, 30*day) }, "begins on "},
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
