package wire

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"testing"

	"github.com/flynn/noise"
)

// TestExchangesAreThoseOfTheLibrary: the keys are parsed once, the results are the library's own.
func TestExchangesAreThoseOfTheLibrary(t *testing.T) {
	d := dh{keys: map[[32]byte]*ecdh.PrivateKey{}}
	peer, err := noise.DH25519.GenerateKeypair(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		own, err := d.GenerateKeypair(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		want, err := noise.DH25519.DH(peer.Private, own.Public)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if got, err := d.DH(own.Private, peer.Public); err != nil || !bytes.Equal(got, want) {
				t.Errorf("got %x (%v), want %x", got, err, want)
			}
		}
		if _, err := d.DH(own.Private, make([]byte, 32)); err == nil {
			t.Error("a point of low order was taken")
		}
	}
}

// TestAHandshakeForgetsItsKeys: a line keeps its suite, and must not keep the ephemeral key with it.
func TestAHandshakeForgetsItsKeys(t *testing.T) {
	d := dh{keys: map[[32]byte]*ecdh.PrivateKey{}}
	if _, err := d.GenerateKeypair(rand.Reader); err != nil {
		t.Fatal(err)
	}
	if d.forget(); len(d.keys) != 0 {
		t.Errorf("%d keys are kept", len(d.keys))
	}
}
