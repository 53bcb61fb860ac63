package node

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/sallyport/sallyport/internal/config"
	"github.com/sallyport/sallyport/internal/errkind"
)

// TLS gives the server's side: certificates from files, read again when they change, or from a CA made in the data
// directory for trials (ca.pem there is what agents and browsers are given).
func TLS(c *config.Config) (*tls.Config, error) {
	cert, key := c.TLS.Cert, c.TLS.Key
	if c.TLS.Mode == "self" {
		dir := filepath.Join(c.Site.DataDir, "tls")
		if err := selfSigned(dir, c.Site.URL); err != nil {
			return nil, fmt.Errorf("[tls] self: %w", err)
		}
		cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	}
	f := &certFiles{cert: cert, key: key}
	if _, err := f.get(nil); err != nil {
		return nil, errkind.New(errkind.Usage, fmt.Sprintf("[tls] %s with %s: %v", cert, key, err)).WithHint("Both in PEM form: cert the chain with the server's own certificate first, key the private key that belongs to it.")
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: f.get, NextProtos: []string{"http/1.1"}}, nil
}

// certEnd says when the certificate ends that browsers and devices are shown.
func certEnd(c *config.Config) (time.Time, error) {
	path := c.TLS.Cert
	switch c.TLS.Mode {
	case "self":
		path = filepath.Join(c.Site.DataDir, "tls", "cert.pem")
	case "behind-proxy":
		return time.Time{}, errors.New("TLS ends at the proxy, which has the certificate")
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return time.Time{}, err
	}
	block, _ := pem.Decode(raw)
	if block == nil {
		return time.Time{}, fmt.Errorf("%s: no certificate in PEM form", path)
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return time.Time{}, fmt.Errorf("%s: %w", path, err)
	}
	return cert.NotAfter, nil
}

// certFiles reads a certificate again when its file is another one.
type certFiles struct {
	cert, key string

	mu  sync.Mutex // guards what follows
	at  time.Time
	now *tls.Certificate
}

func (f *certFiles) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	info, err := os.Stat(f.cert)
	if err == nil && (f.now == nil || !info.ModTime().Equal(f.at)) {
		var c tls.Certificate
		if c, err = tls.LoadX509KeyPair(f.cert, f.key); err == nil {
			f.now, f.at = &c, info.ModTime()
		}
	}
	if f.now != nil {
		return f.now, nil // a file that is broken now does not take the old certificate away
	}
	return nil, err
}

// selfSigned makes a CA and a certificate for the site's host, where there are none.
func selfSigned(dir, siteURL string) error {
	if _, err := os.Stat(filepath.Join(dir, "cert.pem")); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	u, err := url.Parse(siteURL)
	if err != nil {
		return err
	}
	now := time.Now()
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	ca := &x509.Certificate{SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: "Sallyport trial CA of " + u.Hostname()}, NotBefore: now.Add(-time.Hour),
		NotAfter: now.AddDate(5, 0, 0), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, caKey.Public(), caKey)
	if err != nil {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(now.UnixNano() + 1), Subject: pkix.Name{CommonName: u.Hostname()}, NotBefore: now.Add(-time.Hour),
		NotAfter: now.AddDate(2, 0, 0), KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	if ip := net.ParseIP(u.Hostname()); ip != nil {
		leaf.IPAddresses = []net.IP{ip}
	} else {
		leaf.DNSNames = []string{u.Hostname()}
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, ca, key.Public(), caKey)
	if err != nil {
		return err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	block := func(kind string, b []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}) }
	return errors.Join(os.WriteFile(filepath.Join(dir, "ca.pem"), block("CERTIFICATE", caDER), 0o644),
		os.WriteFile(filepath.Join(dir, "key.pem"), block("PRIVATE KEY", keyDER), 0o600),
		os.WriteFile(filepath.Join(dir, "cert.pem"), append(block("CERTIFICATE", der), block("CERTIFICATE", caDER)...), 0o644))
}
