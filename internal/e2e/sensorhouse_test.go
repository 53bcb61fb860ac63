package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sallyport/sallyport/internal/testenv"
)

// sensorHouse is a server as operations.md describes it: the signer apart, certificate files, a second copy of the log,
// a provider of the company's beside the built-in one. Its data lie on a small disk.
type sensorHouse struct {
	*apart
	metrics     string // host:port
	ca          *tls.Certificate
	acme        *httptest.Server
	admin, tess *testenv.Person
	agent       *testenv.Process
}

func newSensorHouse(t *testing.T) *sensorHouse {
	h := &sensorHouse{apart: newApart(t), metrics: testenv.FreePort(t)}
	options := fmt.Sprintf("mode=0700,uid=%d,gid=%d,size=%d", gatewayUID, gatewayUID, 128<<20)
	if err := unix.Mount("tmpfs", h.Path("data"), "tmpfs", 0, options); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Unmount(h.Path("data"), unix.MNT_DETACH) })
	for dir, owner := range map[string]int{"copy": signerUID, "etc/tls": gatewayUID, "data/tls": gatewayUID} {
		os.MkdirAll(h.Path(dir), 0o755)
		os.Chown(h.Path(dir), owner, owner)
	}
	h.issue(t, "localhost", 90*24*time.Hour)
	h.startProvider(t)
	pair := fmt.Sprintf("mode = \"files\"\ncert = %q\nkey = %q", h.Path("etc/tls/cert.pem"), h.Path("etc/tls/key.pem"))
	h.Write(`mode = "self"`, pair,
		"[listen]", fmt.Sprintf("[listen]\nmetrics = %q\nunauthenticated_per_peer = 40", h.metrics))
	h.Text += fmt.Sprintf("[ledger]\nsecond_copy = %q\n", h.Path("copy"))
	h.Text += fmt.Sprintf("[[identity]]\nname = \"acme\"\nissuer = %q\nclient_id = \"sallyport\"\n", h.acme.URL)
	h.refuseNotifications(t)
	site := fmt.Sprintf("url = %q\n", h.URL)
	h.Write(site, site+fmt.Sprintf("hosts = [%q]\n", strings.TrimPrefix(h.URL, "https://")))
	h.startSigner()
	h.gateway = h.Serve(h.as(gatewayUID))
	h.AddUser("ada", "administrators", "--email", "ada@acme.example")
	h.AddUser("tess", "technicians")
	h.admin, h.tess = h.Person("ada"), h.Person("tess")
	h.agent = h.Join(h.admin, "press-1", "--ca", h.CA())
	return h
}

// startProvider is the part of a company's provider that the gateway asks for health: its discovery document.
func (h *sensorHouse) startProvider(t *testing.T) {
	h.acme = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		base := "http://" + r.Host
		fmt.Fprintf(w, `{"issuer":%[1]q,"authorization_endpoint":"%[1]s/a","token_endpoint":"%[1]s/t","jwks_uri":"%[1]s/k"}`, base)
	}))
	t.Cleanup(h.acme.Close)
}

// issue puts a new certificate and its key into the files that the gateway reads.
func (h *sensorHouse) issue(t *testing.T, host string, age time.Duration) {
	t.Helper()
	if now := time.Now(); h.ca == nil {
		k := newKey()
		ca := &x509.Certificate{
			SerialNumber: big.NewInt(1), NotBefore: now.Add(-time.Hour), NotAfter: now.Add(1000 * time.Hour),
			IsCA: true, BasicConstraintsValid: true,
		}
		der, _ := x509.CreateCertificate(rand.Reader, ca, ca, k.Public(), k)
		ca, _ = x509.ParseCertificate(der)
		h.ca = &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: k, Leaf: ca}
		h.put(t, h.CA(), "CERTIFICATE", der)
	}
	cert, private := h.pair(t, host, age)
	h.put(t, h.Path("etc/tls/key.pem"), "PRIVATE KEY", private)
	h.put(t, h.Path("etc/tls/cert.pem"), "CERTIFICATE", cert)
}

// pair makes a certificate of the house's authority, and its key.
func (h *sensorHouse) pair(t *testing.T, host string, age time.Duration) (cert, private []byte) {
	t.Helper()
	k, now := newKey(), time.Now()
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), DNSNames: []string{host},
		NotBefore: now.Add(-100 * 24 * time.Hour), NotAfter: now.Add(age),
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, h.ca.Leaf, k.Public(), h.ca.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	if private, err = x509.MarshalPKCS8PrivateKey(k); err != nil {
		t.Fatal(err)
	}
	return der, private
}

func newKey() *ecdsa.PrivateKey {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err) // the system has no randomness
	}
	return k
}

// put writes a file as a renewal does: beside the old one, and then in its place.
func (h *sensorHouse) put(t *testing.T, path, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(path+".new", pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	os.Chown(path+".new", gatewayUID, gatewayUID)
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}
