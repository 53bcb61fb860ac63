package wire

import (
	"crypto/ecdh"
	"crypto/subtle"
	"fmt"
	"io"

	"github.com/flynn/noise"
)

// parsedKey is a private key of X25519 beside its bytes. To parse one makes its public half, which costs as much as
// an exchange.
type parsedKey struct {
	secret [32]byte
	key    *ecdh.PrivateKey
}

func parseKey(secret []byte) (*parsedKey, error) {
	if len(secret) != 32 {
		return nil, fmt.Errorf("noise: a private key of %d bytes", len(secret))
	}
	k, err := ecdh.X25519().NewPrivateKey(secret)
	if err != nil {
		return nil, fmt.Errorf("noise: %w", err)
	}
	return &parsedKey{secret: [32]byte(secret), key: k}, nil
}

func (k *parsedKey) is(secret []byte) bool {
	return k != nil && subtle.ConstantTimeCompare(k.secret[:], secret) == 1
}

// dh is X25519 for one handshake, which uses its static and its ephemeral key twice each.
type dh struct{ static, ephemeral *parsedKey }

// newSuite gives the ciphers of one handshake. The line keeps the suite as long as it lives, so forget must be called
// after the handshake: the ephemeral key must not outlive it.
func newSuite(static *parsedKey) (suite noise.CipherSuite, forget func()) {
	d := &dh{static: static}
	return noise.NewCipherSuite(d, noise.CipherChaChaPoly, noise.HashSHA256), d.forget
}

func (d *dh) forget() { *d = dh{} }

func (d *dh) GenerateKeypair(random io.Reader) (noise.DHKey, error) {
	var secret [32]byte
	if _, err := io.ReadFull(random, secret[:]); err != nil {
		return noise.DHKey{}, err
	}
	k, err := parseKey(secret[:])
	if err != nil {
		return noise.DHKey{}, err
	}
	d.ephemeral = k
	return noise.DHKey{Private: secret[:], Public: k.key.PublicKey().Bytes()}, nil
}

// DH refuses points of low order, as RFC 7748 section 6.1 lets it.
func (d *dh) DH(private, public []byte) ([]byte, error) {
	k, err := d.parsed(private)
	if err != nil {
		return nil, err
	}
	p, err := ecdh.X25519().NewPublicKey(public)
	if err != nil {
		return nil, fmt.Errorf("noise: %w", err)
	}
	return k.key.ECDH(p)
}

func (d *dh) parsed(private []byte) (*parsedKey, error) {
	switch {
	case d.static.is(private):
		return d.static, nil
	case d.ephemeral.is(private):
		return d.ephemeral, nil
	}
	return parseKey(private)
}

func (*dh) DHLen() int     { return 32 }
func (*dh) DHName() string { return "25519" }
