package wire

import (
	"bytes"
	"crypto/rand"
	"testing"

	"github.com/flynn/noise"
)

// TestExchangesAreThoseOfTheLibrary: whichever key was parsed before, the results are the library's own.
func TestExchangesAreThoseOfTheLibrary(t *testing.T) {
	key := func() noise.DHKey { return must(noise.DH25519.GenerateKeypair(rand.Reader))(t) }
	peer, static, other := key(), key(), key()
	d := &dh{static: must(parseKey(static.Private))(t)}
	for range 3 {
		ephemeral := must(d.GenerateKeypair(rand.Reader))(t)
		for _, own := range []noise.DHKey{static, ephemeral, other} {
			want := must(noise.DH25519.DH(peer.Private, own.Public))(t)
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
}

// TestAHandshakeForgetsItsKeys: a line keeps its suite, and must not keep the ephemeral key with it.
func TestAHandshakeForgetsItsKeys(t *testing.T) {
	d := &dh{}
	if _, err := d.GenerateKeypair(rand.Reader); err != nil {
		t.Fatal(err)
	}
	if d.ephemeral == nil {
		t.Fatal("the ephemeral key is not kept for the handshake")
	}
	if d.forget(); *d != (dh{}) {
		t.Error("a key is kept")
	}
}

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}
