package wire

import (
	"crypto/ecdh"
	"fmt"
	"io"

	"github.com/flynn/noise"
)

// dh is X25519 for one handshake. It keeps the keys it has parsed: to parse one makes its public half, which costs as much as an
// exchange, and a handshake uses each of its two keys twice.
type dh struct{ keys map[[32]byte]*ecdh.PrivateKey }

// newSuite gives the ciphers of one handshake. The line keeps the suite as long as it lives, so forget must be called after the
// handshake: the ephemeral key must not outlive it.
func newSuite() (suite noise.CipherSuite, forget func()) {
	d := dh{map[[32]byte]*ecdh.PrivateKey{}}
	return noise.NewCipherSuite(d, noise.CipherChaChaPoly, noise.HashSHA256), d.forget
}

func (d dh) forget() { clear(d.keys) }

func (d dh) GenerateKeypair(random io.Reader) (noise.DHKey, error) {
	var secret [32]byte
	if _, err := io.ReadFull(random, secret[:]); err != nil {
		return noise.DHKey{}, err
	}
	k, err := d.key(secret[:])
	if err != nil {
		return noise.DHKey{}, err
	}
	return noise.DHKey{Private: secret[:], Public: k.PublicKey().Bytes()}, nil
}

// DH refuses points of low order, as RFC 7748 section 6.1 lets it.
func (d dh) DH(private, public []byte) ([]byte, error) {
	k, err := d.key(private)
	if err != nil {
		return nil, err
	}
	p, err := ecdh.X25519().NewPublicKey(public)
	if err != nil {
		return nil, fmt.Errorf("noise: %w", err)
	}
	return k.ECDH(p)
}

func (d dh) key(private []byte) (*ecdh.PrivateKey, error) {
	if len(private) != 32 {
		return nil, fmt.Errorf("noise: a private key of %d bytes", len(private))
	}
	id := [32]byte(private)
	if k, ok := d.keys[id]; ok {
		return k, nil
	}
	k, err := ecdh.X25519().NewPrivateKey(private)
	if err != nil {
		return nil, fmt.Errorf("noise: %w", err)
	}
	d.keys[id] = k
	return k, nil
}

func (dh) DHLen() int     { return 32 }
func (dh) DHName() string { return "25519" }
