package bundle

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"reflect"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/wire"
)

// What the product signs is read a second time here. The two readers must not disagree on what they both take, or an
// outsider would be shown something else than the device saw.

func sshSigner(f testing.TB, name string) ssh.Signer {
	seed := sha256.Sum256([]byte(name))
	return must(ssh.NewSignerFromKey(ed25519.NewKeyFromSeed(seed[:])))(f)
}

func FuzzStrictJSON(f *testing.F) {
	for _, s := range []string{`{"v":1,"serial":2,"log":{"origin":"o"}}`, `{"v":1,"V":2}`, `{"V":1}`, `{"ſerial":1}`, `{"log":{"\u212aey":"k"}}`, `{"ſ":1}`,
		`{"hosts":["a","a"],"log":{"key":"k","ſ":1}}`, `{"v":1} `, `{"v":1}{}`, `[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]`,
		`{"\u0076":1,"v":2}`, "{\"v\":1,\"\xff\":2}", `null`} {
		f.Add([]byte(s))
	}
	type value struct {
		V      int      `json:"v"`
		Serial uint64   `json:"serial"`
		Hosts  []string `json:"hosts"`
		Log    struct {
			Origin string `json:"origin"`
			Key    string `json:"key"`
		} `json:"log"`
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var ours, theirs value
		err, other := strictJSON(raw, &ours), wire.SignedJSON(raw, &theirs)
		if (err == nil) != (other == nil) || err == nil && !reflect.DeepEqual(ours, theirs) {
			t.Errorf("%q: got %+v, %v; the other reader %+v, %v", raw, ours, err, theirs, other)
		}
	})
}

// trustBundle is one that both readers take, the same in every process of a fuzz run.
func trustBundle(f *testing.F, root ssh.Signer) wire.Signed {
	b := wire.Bundle{V: 1, Serial: 1, Root: wire.PublicKey{PublicKey: root.PublicKey()},
		SessionCA: []wire.PublicKey{{PublicKey: sshSigner(f, "ca").PublicKey()}}, Gateway: []wire.Hash{{1}},
		Hosts: []string{"gw.example:443"},
		Log:   wire.LogIdentity{Origin: "test/log", Key: "test/log+11223344+AbCd"}}
	s := must(wire.Make(root, wire.PurposeBundle, must(json.Marshal(b))(f)))(f)
	must(wire.ParseBundle(s))(f)
	return s
}

func FuzzTrust(f *testing.F) {
	root := sshSigner(f, "root")
	body := trustBundle(f, root).Body
	f.Add(body)
	f.Add(bytes.Replace(body, []byte(`"v":1`), []byte(`"v":1,"V":1`), 1))
	f.Add(bytes.Replace(body, []byte(`"v":1`), []byte(`"v":2`), 1))
	f.Fuzz(func(t *testing.T, body []byte) {
		s := must(wire.Make(root, wire.PurposeBundle, body))(t)
		got, err := parseTrust(s.Body, s.Sig)
		want, other := wire.ParseBundle(s)
		if other != nil {
			if err == nil {
				t.Errorf("%s: taken, and a device refuses it: %v", body, other)
			}
			return
		}
		if err != nil || !bytes.Equal(got.root.Marshal(), want.Root.Marshal()) || got.key != want.Log.Key ||
			len(got.ca) != len(want.SessionCA) {
			t.Errorf("%s: got %+v, %v; a device reads %+v", body, got, err, want)
		}
	})
}

// FuzzTrustSignature changes what is signed, or its signature: it has one form.
func FuzzTrustSignature(f *testing.F) {
	root := sshSigner(f, "root")
	good := trustBundle(f, root)
	f.Add(good.Body, good.Sig)
	f.Add(good.Body, good.Sig[:10])
	f.Add(good.Body, must(wire.Sign(sshSigner(f, "other"), wire.PurposeBundle, good.Body))(f))
	f.Fuzz(func(t *testing.T, body, sig []byte) {
		if _, err := parseTrust(body, sig); err == nil && (!bytes.Equal(body, good.Body) ||
			!bytes.Equal(sig, good.Sig)) {
			t.Errorf("took a trust bundle that its root did not sign: %q %x", body, sig)
		}
	})
}

// passOf signs whatever it is given as a grant, and gives the hash of what is signed.
func passOf(t testing.TB, ca ssh.Signer, grant []byte, login string) (raw []byte, hash [32]byte) {
	t.Helper()
	from := uint64(1_800_000_000)
	c := &ssh.Certificate{Key: sshSigner(t, "session").PublicKey(), CertType: ssh.UserCert, KeyId: "sp1:" +
		id.Session{1}.String(), ValidPrincipals: []string{login}, ValidAfter: from, ValidBefore: from + 3600,
		Permissions: ssh.Permissions{CriticalOptions: map[string]string{grantOption: string(grant)}}}
	if c.SignCert(bytes.NewReader(make([]byte, 64)), ca) != nil {
		return nil, hash // of a login that no certificate can name
	}
	bare := *c
	bare.Signature = nil
	body := bare.Marshal()
	return c.Marshal(), sha256.Sum256(body[:len(body)-4])
}

// FuzzPass: an outsider takes the passes that a device takes, and reads them alike. Only the outsider takes version 1,
// and only the signer and the outsider count the bytes of the entries.
func FuzzPass(f *testing.F) {
	ca := sshSigner(f, "ca")
	trusted := []ssh.PublicKey{ca.PublicKey()}
	g := wire.Grant{V: wire.GrantVersion, Session: id.Session{1}, Device: wire.Hash{1}, Login: "svc",
		Subject: wire.Subject{Pseudonym: []byte{1}, Display: "T"}, Approvers: []string{}, Epoch: 1, IssuedMS: 1,
		Actions:   []string{"run:svc /bin/x '{word}' 'it'\\''s'", "shell:svc"},
		Templates: [][]any{{"/bin/x", uint64(1), "", "{number}", "a b"}, {"/bin/y", "it's", uint64(2)}}}
	good := must(wire.MarshalCBOR(g))(f)
	raw, _ := passOf(f, ca, good, "svc")
	must(wire.ParsePass(raw, trusted))(f) // it is one that both take
	f.Add(good, "svc")
	f.Add(good, "root")
	g.Templates = nil
	f.Add(must(wire.MarshalCBOR(g))(f), "svc")
	f.Add([]byte{0xbf, 0xff}, "svc")
	f.Fuzz(func(t *testing.T, grant []byte, login string) {
		raw, hash := passOf(t, ca, grant, login)
		got, err := parsePass(raw, hash, trusted)
		want, other := wire.ParsePass(raw, trusted)
		switch {
		case other != nil && err == nil && got.grant.V == 2:
			t.Fatalf("%x: taken, and a device refuses it: %v", grant, other)
		case other != nil, want.Scope.Size() > authz.MaxScopeSize:
			return
		}
		if err != nil || got.grant.Session != want.Grant.Session || got.grant.Device != want.Grant.Device ||
			got.grant.Login != want.Grant.Login ||
			!reflect.DeepEqual(got.actions, want.Scope.Words()) ||
			got.grant.Subject.Display != want.Grant.Subject.Display {
			t.Errorf("%x: got %+v, %v; a device reads %+v", grant, got, err, want)
		}
	})
}
