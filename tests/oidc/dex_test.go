package oidc

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/signer"
	"github.com/sallyport/sallyport/internal/testenv"
)

// dex is a real one, built from tests/dex, with a certificate of a private authority.
type dex struct {
	issuer string
	people io.Writer // NAME=GROUP,GROUP

	trusted *http.Transport // of a browser that trusts its authority
}

func (s *site) dex(people ...string) *dex {
	s.t.Helper()
	if out, err := exec.Command("go", "-C", "../dex", "build", "-o", s.path("dex"), ".").CombinedOutput(); err != nil {
		s.t.Fatalf("%v\n%s", err, out)
	}
	args := []string{"-client", "dex", "-secret", clientSecret, "-redirect", s.url + "/callback/dex", "-tls-cert",
		s.path("ca.pem"), "-tls-key", s.authority()}
	for _, p := range people {
		args = append(args, "-person", p)
	}
	cmd := exec.Command(s.path("dex"), args...)
	cmd.Stderr = s.t.Output()
	d := &dex{trusted: s.trusts("ca.pem")}
	in, err := cmd.StdinPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { cmd.Process.Signal(syscall.SIGTERM); cmd.Wait() })
	var said struct{ Issuer string }
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err != nil || json.Unmarshal(line, &said) != nil {
		s.t.Fatalf("dex said %q: %v", line, err)
	}
	d.issuer, d.people = said.Issuer, in
	return d
}

// authority writes ca.pem, the certificate of 127.0.0.1 that is its own authority, and gives the path of its key.
func (s *site) authority() (key string) {
	s.t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		s.t.Fatal(err)
	}
	c := x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true,
		BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, &c, &c, k.Public(), k)
	if err != nil {
		s.t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		s.t.Fatal(err)
	}
	s.write("ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	return s.write("ca.key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})))
}

func (s *site) trusts(name string) *http.Transport {
	s.t.Helper()
	raw, err := os.ReadFile(s.path(name))
	roots := x509.NewCertPool()
	if err != nil || !roots.AppendCertsFromPEM(raw) {
		s.t.Fatalf("%s: %v", name, err)
	}
	return &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
}

// follows clicks a person's link on dex's page.
func follows(name string) func(*testenv.Browser) {
	return func(b *testenv.Browser) {
		for rest := b.Body; ; {
			_, link, ok := strings.Cut(rest, `<a href="`)
			address, rest2, ok2 := strings.Cut(link, `">`)
			if !ok || !ok2 {
				return
			}
			if rest = rest2; strings.HasPrefix(rest, name+"<") {
				if to, err := b.At.Parse(strings.ReplaceAll(address, "&amp;", "&")); err == nil {
					b.Open(to.String())
				}
				return
			}
		}
	}
}

// TestPeopleOfDexUseTheGateway covers a whole life with a separate signer: groups come with the scope that dex lists, a
// session opens, and a group that is withdrawn is noticed in gateway and signer.
func TestPeopleOfDexUseTheGateway(t *testing.T) {
	s := newSite(t)
	d := s.dex("ada=it", "tess=service")
	s.serve(fmt.Sprintf("[[identity]]\nname = \"dex\"\nissuer = %q\nclient_id = \"dex\"\n"+
		"client_secret_file = %q\nca_file = %q\nno_refresh_at_most = \"20s\"\n"+
		"[identity.groups]\nit = \"administrators\"\nservice = \"technicians\"\n", d.issuer, s.path("secret"),
		s.path("ca.pem")) + s.apart())
	people := map[string]*testenv.Person{}
	for _, name := range []string{"ada", "tess"} {
		people[name] = testenv.NewPerson(t, s.url)
		people[name].Browser.Transport = d.trusted
		if got := people[name].Login(follows(name), "allow"); got.Status != 0 {
			t.Fatalf("login of %s: %+v", name, got)
		}
	}
	tess := people["tess"]
	if m := whoami(t, tess); strings.Join(m.Groups, " ") != "technicians" || m.Name != "tess" || m.NoRefresh {
		t.Errorf("got %+v", m)
	}
	own := signer.NewClient(s.socket)
	by, _ := s.evidence(tess)
	for access, want := range map[string]bool{"": true, "that of another sign-in": false} {
		by.AccessToken = access
		if err := own.Identify(t.Context(), by); (err == nil) != want {
			t.Errorf("at_hash and the access token %q: got %v", access, err)
		}
	}
	s.machine(people["ada"])
	if out := tess.Must("shell", "press-1", "--", "echo", "here"); !strings.Contains(out, "here") {
		t.Errorf("got %q", out)
	}
	if _, err := io.WriteString(d.people, "tess=canteen\n"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the withdrawn group is gone",
		func() bool { return tess.Run("shell", "press-1", "--", "true").Status == 77 })
	if text := s.doctor(); !strings.Contains(text, d.issuer+" answers") {
		t.Errorf("doctor does not reach dex by its private authority:\n%s", text)
	}
}
