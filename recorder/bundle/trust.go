package bundle

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"golang.org/x/crypto/ssh"
)

// trust has the parts of a trust bundle that the verifier needs.
type trust struct {
	root ssh.PublicKey
	ca   []ssh.PublicKey
	key  string // of the log
}

func parseKey(text string) (ssh.PublicKey, error) {
	raw, err := b64.DecodeString(text)
	if err != nil {
		return nil, err
	}
	return ssh.ParsePublicKey(raw)
}

// hostKey checks that a device's host key is a key that a device can have, in its one form. No bytes at all have a hash
// too, which an open leaf can name.
func hostKey(raw []byte) error {
	k, err := ssh.ParsePublicKey(raw)
	switch {
	case err != nil:
		return err
	case k.Type() != ssh.KeyAlgoED25519 && k.Type() != ssh.KeyAlgoECDSA256:
		return fmt.Errorf("its type is %.40q, want %s or %s", k.Type(), ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256)
	case !bytes.Equal(k.Marshal(), raw):
		return errors.New("it is not in its one form")
	}
	return nil
}

// parseTrust checks that a trust bundle is signed by the root it names.
func parseTrust(body, sig []byte) (*trust, error) {
	var in struct { // all its names, because strictJSON refuses others
		V         int      `json:"v"`
		Serial    uint64   `json:"serial"`
		Root      string   `json:"root"`
		Gateway   []string `json:"gateway"`
		SessionCA []string `json:"session_ca"`
		Log       struct {
			Origin string `json:"origin"`
			Key    string `json:"key"`
			Prev   string `json:"prev"`
		} `json:"log"`
		Hosts []string `json:"hosts"`
	}
	if err := strictJSON(body, &in); err != nil {
		return nil, err
	}
	if in.V != 1 {
		return nil, fmt.Errorf("version %d; this program reads version 1", in.V)
	}
	t := &trust{key: in.Log.Key}
	var err error
	if t.root, err = parseKey(in.Root); err != nil {
		return nil, fmt.Errorf("root key: %w", err)
	}
	for _, text := range in.SessionCA {
		k, err := parseKey(text)
		if err != nil {
			return nil, fmt.Errorf("session CA: %w", err)
		}
		t.ca = append(t.ca, k)
	}
	var s ssh.Signature
	if ssh.Unmarshal(sig, &s) != nil || len(s.Rest) != 0 || !bytes.Equal(ssh.Marshal(s), sig) ||
		t.root.Verify(append([]byte("sallyport/v1/bundle\x00"), body...), &s) != nil {
		return nil, errSignature
	}
	return t, nil
}

var errSignature = errors.New("the signature of its root does not hold")

// pass is a checked pass.
type pass struct {
	grant       grant
	actions     []string // for people
	key         []byte   // of the session, in SSH wire form
	from, until time.Time
}

const grantOption = "grant@sallyport"

// parsePass reads a pass and checks the hash that its leaf names, the signature under a session CA, its form, and that
// certificate and grant agree. The caller checks whom it is for.
func parsePass(raw []byte, hash [32]byte, ca []ssh.PublicKey) (*pass, error) {
	if len(raw) > maxPass {
		return nil, fmt.Errorf("%d bytes, at most %d", len(raw), maxPass)
	}
	k, err := ssh.ParsePublicKey(raw)
	if err != nil {
		return nil, err
	}
	c, ok := k.(*ssh.Certificate)
	if !ok || !bytes.Equal(c.Marshal(), raw) || c.Signature == nil {
		return nil, errors.New("not a certificate in its one form")
	}
	bare := *c
	bare.Signature = nil
	body := bare.Marshal()
	body = body[:len(body)-4] // without the length of the absent signature
	if sha256.Sum256(body) != hash {
		return nil, errors.New("its hash is not the one that its leaf names")
	}
	if err := signedBy(c, body, ca); err != nil {
		return nil, err
	}
	if err := shape(c); err != nil {
		return nil, err
	}
	p := &pass{key: c.Key.Marshal(), from: time.Unix(int64(c.ValidAfter), 0).UTC(), until: time.Unix(int64(c.ValidBefore), 0).UTC()}
	if p.grant, err = grantOf(raw); err != nil {
		return nil, err
	}
	if err := p.grant.check(); err != nil {
		return nil, fmt.Errorf("grant: %w", err)
	}
	if p.actions, err = p.grant.words(); err != nil {
		return nil, err
	}
	if c.ValidPrincipals[0] != p.grant.Login || c.KeyId != "sp1:"+p.grant.Session.String() {
		return nil, errors.New("certificate and grant name different sessions or logins")
	}
	return p, nil
}

// maxPass bounds a pass in bytes, as devices do.
const maxPass = 4 << 10

// longest is the longest window of a pass, in seconds.
const longest = 12 * 60 * 60

// shape checks that a certificate has the form of a pass. Devices refuse any other, so no session can have run under
// one.
func shape(c *ssh.Certificate) error {
	_, granted := c.CriticalOptions[grantOption]
	switch {
	case c.Type() != ssh.CertAlgoED25519v01 || c.CertType != ssh.UserCert || len(c.ValidPrincipals) != 1:
		return errors.New("not an Ed25519 user certificate for one login")
	case !granted || len(c.CriticalOptions) != 1 || len(c.Extensions) != 0:
		return errors.New("it has options beside its grant, or no grant")
	case c.ValidBefore <= c.ValidAfter || c.ValidBefore-c.ValidAfter > longest:
		return errors.New("it is good for no time, or for more than 12 hours")
	}
	return nil
}

func signedBy(c *ssh.Certificate, body []byte, ca []ssh.PublicKey) error {
	for _, k := range ca {
		if bytes.Equal(k.Marshal(), c.SignatureKey.Marshal()) && k.Verify(body, c.Signature) == nil {
			return nil
		}
	}
	return errors.New("not signed by a session CA of the trust bundle")
}

// policyHash is how the product hashes a policy: the texts of its files, each with its length.
func policyHash(texts [][]byte) [32]byte {
	h := sha256.New()
	h.Write([]byte("sallyport/policy/v1\x00"))
	for _, t := range texts {
		n := uint64(len(t))
		h.Write([]byte{byte(n >> 56), byte(n >> 48), byte(n >> 40), byte(n >> 32), byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
		h.Write(t)
	}
	return [32]byte(h.Sum(nil))
}
