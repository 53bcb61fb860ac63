package bundle

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
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
		"without end": {func(c *ssh.Certificate) { c.ValidBefore = ssh.CertTimeInfinity }, false},
		"without end, from late on": {func(c *ssh.Certificate) {
			c.ValidAfter, c.ValidBefore = ssh.CertTimeInfinity-100, ssh.CertTimeInfinity
		}, false},
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
		if _, err := wire.ParsePass(raw, []ssh.PublicKey{ca.PublicKey()}); (err == nil) != c.good {
			t.Errorf("%s, on a device: got %v, want taken %v", what, err, c.good)
		}
	}
}

func ecdsaKey(t *testing.T) string {
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
	return b64.EncodeToString(must(ssh.NewPublicKey(&key.PublicKey))(t).Marshal())
}

// TestATrustBundleHasOneReading signs with a real root what another reader could read otherwise.
func TestATrustBundleHasOneReading(t *testing.T) {
	_, key, _ := ed25519.GenerateKey(rand.Reader)
	root := must(ssh.NewSignerFromKey(key))(t)
	pub := b64.EncodeToString(root.PublicKey().Marshal())
	noise := b64.EncodeToString(make([]byte, 32))
	good := `{"v":1,"serial":1,"root":"` + pub + `","gateway":["` + noise + `"],"session_ca":["` + pub +
		`"],"log":{"origin":"o","key":"o+1+k"},"hosts":["gw:443"]}`
	list := func(name, was, now string) string {
		return strings.Replace(good, `"`+name+`":["`+was+`"]`, `"`+name+`":[`+now+`]`, 1)
	}
	hosts := func(now string) string { return list("hosts", "gw:443", now) }
	quoted := func(n int, text string) string { return strings.TrimSuffix(strings.Repeat(`"`+text+`",`, n), ",") }
	for what, c := range map[string]struct {
		text string
		good bool
	}{
		"a trust bundle":           {good, true},
		"with a log before":        {strings.Replace(good, `+k"}`, `+k","prev":"p"}`, 1), true},
		"with an unknown name":     {strings.Replace(good, `"v":1`, `"v":1,"w":1`, 1), false},
		"with one in the log":      {strings.Replace(good, `+k"}`, `+k","w":1}`, 1), false},
		"with a name twice":        {strings.Replace(good, `"hosts"`, `"session_ca":[],"hosts"`, 1), false},
		"with V for v":             {strings.Replace(good, `"v"`, `"V"`, 1), false},
		"with a long s in serial":  {strings.Replace(good, `"serial"`, `"ſerial"`, 1), false},
		"with a kelvin for a k":    {strings.Replace(good, `"key"`, `"\u212aey"`, 1), false},
		"with one in capitals":     {strings.Replace(good, `"hosts"`, `"SESSION_CA":[],"hosts"`, 1), false},
		"with one with a long s":   {strings.Replace(good, `"hosts"`, `"ſession_ca":[],"hosts"`, 1), false},
		"with a kelvin in the log": {strings.Replace(good, `+k"}`, `"k","Key":"l"}`, 1), false},
		"with something after it":  {good + "{}", false},
		"nested too deep":          {hosts(strings.Repeat("[", 40) + strings.Repeat("]", 40)), false},
		"two of each":              {strings.Replace(list("session_ca", pub, quoted(2, pub)), `"`+noise+`"`, quoted(2, noise), 1), true},
		"no gateway":               {list("gateway", noise, ""), false},
		"three gateways":           {list("gateway", noise, quoted(3, noise)), false},
		"a line break in a key":    {list("gateway", noise, `"`+noise[:9]+`\n`+noise[9:]+`"`), false},
		"one in the session CA":    {list("session_ca", pub, `"`+pub[:9]+`\n`+pub[9:]+`"`), false},
		"an ECDSA session CA":      {list("session_ca", pub, `"`+ecdsaKey(t)+`"`), false},
		"a null session CA":        {list("session_ca", pub, "null"), false},
		"no serial":                {strings.Replace(good, `"serial":1,`, "", 1), false},
		"a serial of zero":         {strings.Replace(good, `"serial":1`, `"serial":0`, 1), false},
		"a short gateway key":      {list("gateway", noise, `"`+noise[:42]+`"`), false},
		"a padded gateway key":     {list("gateway", noise, `"`+noise+`="`), false},
		"no session CA":            {list("session_ca", pub, ""), false},
		"three session CAs":        {list("session_ca", pub, quoted(3, pub)), false},
		"null session CAs":         {strings.Replace(good, `["`+pub+`"],"log"`, `null,"log"`, 1), false},
		"no log":                   {strings.Replace(good, `"o+1+k"`, `""`, 1), false},
		"no origin":                {strings.Replace(good, `"origin":"o"`, `"origin":""`, 1), false},
		"another log's key":        {strings.Replace(good, `"o+1+k"`, `"p+1+k"`, 1), false},
		"no host":                  {hosts(""), false},
		"32 hosts":                 {hosts(quoted(32, "gw:443")), true},
		"33 hosts":                 {hosts(quoted(33, "gw:443")), false},
		"an address":               {hosts(`"192.0.2.1:443","[2001:db8::1]:443"`), true},
		"a host without a port":    {hosts(`"gw"`), false},
		"a port of zero":           {hosts(`"gw:0"`), false},
		"a port too high":          {hosts(`"gw:65536"`), false},
		"a port with a zero":       {hosts(`"gw:0443"`), false},
		"a path":                   {hosts(`"gw/x:443"`), false},
		"a user":                   {hosts(`"a@gw:443"`), false},
		"a zone":                   {hosts(`"[fe80::1%eth0]:443"`), false},
		"no brackets":              {hosts(`"2001:db8::1:443"`), false},
		"half a bracket":           {hosts(`"[gw:443"`), false},
		"no name":                  {hosts(`":443"`), false},
		"more than 8 KiB":          {good + strings.Repeat(" ", 8<<10), false},
		"a byte that is no text":   {strings.Replace(good, "gw:443", "g\xff:443", 1), false},
		"of another version":       {strings.Replace(good, `"v":1`, `"v":2`, 1), false},
	} {
		sig := must(wire.Sign(root, wire.PurposeBundle, []byte(c.text)))(t)
		if _, err := parseTrust([]byte(c.text), sig); (err == nil) != c.good {
			t.Errorf("%s: got %v, want taken %v", what, err, c.good)
		}
		if _, err := wire.ParseBundle(wire.Signed{Body: []byte(c.text), Sig: sig}); (err == nil) != c.good {
			t.Errorf("%s, on a device: got %v, want taken %v", what, err, c.good)
		}
	}
}
