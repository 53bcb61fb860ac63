package bundle

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/wire"
)

// TestAPassOfAnotherShapeProvesNothing signs with a real session CA what no device would take.
func TestAPassOfAnotherShapeProvesNothing(t *testing.T) {
	_, key, _ := ed25519.GenerateKey(rand.Reader)
	ca := must(ssh.NewSignerFromKey(key))(t)
	from := time.Unix(1_800_000_000, 0)
	for what, c := range map[string]struct {
		change func(c *ssh.Certificate)
		good   bool
	}{
		"a pass":               {func(*ssh.Certificate) {}, true},
		"without grant":        {func(c *ssh.Certificate) { c.CriticalOptions = nil }, false},
		"with one more option": {func(c *ssh.Certificate) { c.CriticalOptions["source-address"] = "127.0.0.1/32" }, false},
		"with an extension":    {func(c *ssh.Certificate) { c.Extensions = map[string]string{"permit-pty": ""} }, false},
		"without end":          {func(c *ssh.Certificate) { c.ValidBefore = ssh.CertTimeInfinity }, false},
		"longer than 12 hours": {func(c *ssh.Certificate) { c.ValidBefore = c.ValidAfter + 12*3600 + 1 }, false},
		"for two logins":       {func(c *ssh.Certificate) { c.ValidPrincipals = append(c.ValidPrincipals, "root") }, false},
		"for no login":         {func(c *ssh.Certificate) { c.ValidPrincipals = nil }, false},
		"of a host":            {func(c *ssh.Certificate) { c.CertType = ssh.HostCert }, false},
	} {
		g := wire.Grant{V: 1, Session: id.NewSession(), Device: wire.Hash{1}, Login: "svc", Actions: []string{"shell:svc"}, Approvers: []string{}}
		p := must(wire.NewPass(g, ca.PublicKey(), ca.PublicKey(), from, from.Add(time.Hour)))(t)
		c.change(p.Cert)
		raw := must(p.Sign(ca))(t)
		bare := *p.Cert
		bare.Signature = nil
		body := bare.Marshal()
		_, err := parsePass(raw, sha256.Sum256(body[:len(body)-4]), []ssh.PublicKey{ca.PublicKey()})
		if (err == nil) != c.good {
			t.Errorf("%s: got %v, want taken %v", what, err, c.good)
		}
	}
}
