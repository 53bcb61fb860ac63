package supervise

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/internal/agent/state"
	"github.com/sallyport/sallyport/internal/wire"
)

func newSigner(t *testing.T) ssh.Signer {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A gateway may hold back what it was told before a revocation and show it later, one word after the other.
func TestAWordThatWasHeldBackIsAsOldAsItsQuestion(t *testing.T) {
	ca, host := newSigner(t), newSigner(t)
	s := &session{bundle: &wire.Bundle{SessionCA: []wire.PublicKey{{PublicKey: ca.PublicKey()}}}, pass: &wire.Pass{}, keys: state.Keys{Host: host}}
	s.ctx, s.end = context.WithCancelCause(t.Context())
	say := func(at time.Time, sent time.Duration) {
		t.Helper()
		signed, err := wire.Status{Nonce: make([]byte, 16), Device: s.keys.FP(), Time: at.UnixMilli(), State: wire.StateOK}.Sign(ca)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.takeStatus(signed, sent); err != nil {
			t.Fatal(err)
		}
	}
	now, began := time.Now(), state.Boot()-statusTime-time.Second
	s.asked = began
	if !s.stale() {
		t.Error("a session without a word for longer than it may be goes on")
	}
	say(now, began) // later by its own time, and an answer to an old question
	if !s.stale() {
		t.Error("a word that was held back counts as fresh")
	}
	say(now.Add(time.Second), state.Boot()+time.Hour)
	if s.stale() || s.asked > state.Boot() {
		t.Errorf("an answer to a new question: asked %s, now %s", s.asked, state.Boot())
	}
}
