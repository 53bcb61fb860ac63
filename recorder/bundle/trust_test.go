package bundle

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"strings"
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
		"a pass":        {func(*ssh.Certificate) {}, true},
		"without grant": {func(c *ssh.Certificate) { c.CriticalOptions = nil }, false},
		"with one more option": {func(c *ssh.Certificate) { c.CriticalOptions["source-address"] = "127.0.0.1/32" },
			false},
		"with an extension": {func(c *ssh.Certificate) { c.Extensions = map[string]string{"permit-pty": ""} },
			false},
		"without end":          {func(c *ssh.Certificate) { c.ValidBefore = ssh.CertTimeInfinity }, false},
		"longer than 12 hours": {func(c *ssh.Certificate) { c.ValidBefore = c.ValidAfter + 12*3600 + 1 }, false},
		"for two logins": {func(c *ssh.Certificate) { c.ValidPrincipals = append(c.ValidPrincipals, "root") },
			false},
		"for no login": {func(c *ssh.Certificate) { c.ValidPrincipals = nil }, false},
		"of a host":    {func(c *ssh.Certificate) { c.CertType = ssh.HostCert }, false},
	} {
		g := wire.Grant{V: wire.GrantVersion, Session: id.NewSession(), Device: wire.Hash{1}, Login: "svc",
			Subject: wire.Subject{Pseudonym: []byte{1}}, Actions: []string{"shell:svc"}, Approvers: []string{}}
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

// TestATrustBundleHasOneReading signs with a real root what another reader could read otherwise.
func TestATrustBundleHasOneReading(t *testing.T) {
	_, key, _ := ed25519.GenerateKey(rand.Reader)
	root := must(ssh.NewSignerFromKey(key))(t)
	pub := b64.EncodeToString(root.PublicKey().Marshal())
	good := `{"v":1,"serial":1,"root":"` + pub + `","gateway":[],"session_ca":["` + pub +
		`"],"log":{"origin":"o","key":"k"},"hosts":[]}`
	for what, c := range map[string]struct {
		text string
		good bool
	}{
		"a trust bundle":           {good, true},
		"with a log before":        {strings.Replace(good, `"k"}`, `"k","prev":"p"}`, 1), true},
		"with an unknown name":     {strings.Replace(good, `"v":1`, `"v":1,"w":1`, 1), false},
		"with one in the log":      {strings.Replace(good, `"k"}`, `"k","w":1}`, 1), false},
		"with a name twice":        {strings.Replace(good, `"hosts"`, `"session_ca":[],"hosts"`, 1), false},
		"with one in capitals":     {strings.Replace(good, `"hosts"`, `"SESSION_CA":[],"hosts"`, 1), false},
		"with one with a long s":   {strings.Replace(good, `"hosts"`, `"ſession_ca":[],"hosts"`, 1), false},
		"with a kelvin in the log": {strings.Replace(good, `"k"}`, `"k","Key":"l"}`, 1), false},
		"with something after it":  {good + "{}", false},
		"nested too deep": {strings.Replace(good, `[]}`, strings.Repeat("[", 40)+strings.Repeat("]", 40)+"}",
			1), false},
		"of another version": {strings.Replace(good, `"v":1`, `"v":2`, 1), false},
	} {
		sig := must(wire.Sign(root, wire.PurposeBundle, []byte(c.text)))(t)
		if _, err := parseTrust([]byte(c.text), sig); (err == nil) != c.good {
			t.Errorf("%s: got %v, want taken %v", what, err, c.good)
		}
	}
}
