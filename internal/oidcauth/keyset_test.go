package oidcauth

import (
	"context"
	"crypto/rsa"
	"fmt"
	"math/big"
	"sync"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"
)

func TestForgedKeyIDsCostOneFetchAnInterval(t *testing.T) {
	l := newLiar(t)
	p := l.party()
	if _, err := l.signIn(p); err != nil {
		t.Fatal(err)
	}
	if n := l.jwks.Load(); n != 1 {
		t.Fatalf("after one sign-in: got %d fetches, want 1", n)
	}
	flood := func() {
		var wg sync.WaitGroup
		for i := range 40 {
			wg.Go(func() {
				raw := l.signed("JWT", fmt.Sprintf("forged-%d", i), l.honest())
				if _, err := p.VerifyIDToken(context.Background(), raw, ""); err == nil {
					t.Errorf("a token of a key that nobody publishes was believed")
				}
			})
		}
		wg.Wait()
	}
	flood()
	if n := l.jwks.Load(); n != 1 {
		t.Errorf("within the interval: got %d fetches, want 1", n)
	}
	l.clock.forward(31 * time.Second)
	flood()
	if n := l.jwks.Load(); n != 2 {
		t.Errorf("after the interval: got %d fetches, want 2", n)
	}
	if _, err := l.signIn(p); err != nil {
		t.Errorf("an honest sign-in after the flood: %v", err)
	}
}

func TestANewKeyIsFoundAndAnOldOneForgotten(t *testing.T) {
	l := newLiar(t)
	p := l.party()
	if _, err := l.signIn(p); err != nil {
		t.Fatal(err)
	}
	old := l.signed("JWT", "k1", l.honest())
	l.clock.forward(time.Minute)
	l.kid = "k2"
	if _, err := l.signIn(p); err != nil {
		t.Errorf("sign-in with the new key: %v", err)
	}
	if _, err := p.VerifyIDToken(t.Context(), old, ""); err == nil {
		t.Errorf("a token of a key that was withdrawn was believed")
	}
}

func TestAHungKeyFetchStopsOnlyThoseWhoNeedNewKeys(t *testing.T) {
	l := newLiar(t)
	p := l.party()
	if _, err := l.signIn(p); err != nil {
		t.Fatal(err)
	}
	hang := make(chan struct{})
	l.mu.Lock()
	l.jwksHang = hang
	good := l.signed("JWT", "k1", l.honest())
	l.mu.Unlock()
	l.clock.forward(time.Minute)
	var wg sync.WaitGroup
	wg.Go(func() {
		p.VerifyIDToken(context.Background(), l.signed("JWT", "forged", map[string]any{"iss": l.srv.URL}), "")
	})
	for l.jwks.Load() < 2 {
		time.Sleep(time.Millisecond)
	}
	done := make(chan error, 1)
	go func() { _, err := p.VerifyIDToken(context.Background(), good, ""); done <- err }()
	select {
	case err := <-done:
		if err != nil {
			t.Errorf("got %v", err)
		}
	case <-time.After(time.Minute):
		t.Errorf("a token of a known key waits for somebody else's fetch")
	}
	close(hang)
	wg.Wait()
}

func TestKeysThatAreTooSmallOrTooLargeAreLeftOut(t *testing.T) {
	for bits, want := range map[int]bool{1024: false, 2048: true, 16384: true, 16385: false} {
		key := jose.JSONWebKey{Key: &rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), uint(bits-1)), E: 65537}}
		if got := usable(key); got != want {
			t.Errorf("RSA of %d bits: got %v, want %v", bits, got, want)
		}
	}
}
