package bundle

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"time"

	"golang.org/x/crypto/ssh"
)

// hostKey checks that a device's host key is of a type that a device can have, and in its one encoding. Its hash
// alone is not enough, because an open leaf can name the hash of any bytes, even of none.
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
	case c.ValidBefore <= c.ValidAfter || c.ValidBefore-c.ValidAfter > longest || c.ValidBefore > math.MaxInt64:
		return errors.New("its window is empty, longer than 12 hours, or without an end")
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
