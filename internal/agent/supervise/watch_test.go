package supervise

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"log/slog"
	"os"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/internal/agent/state"
	"github.com/sallyport/sallyport/internal/id"
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

// An open that was asked before the owner froze the machine may have waited for others to be decided. Whoever freezes
// ends the sessions that are there, and this one is not there yet.
func TestWhatWasAskedBeforeAFreezeDoesNotBeginAfterIt(t *testing.T) {
	s := &session{order: Order{State: state.Dir{Path: t.TempDir()}}, open: &wire.Open{Session: id.NewSession()}, log: slog.New(slog.DiscardHandler)}
	if err := os.MkdirAll(s.order.State.RunDir(), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := s.order.State.Freeze(true); err != nil {
		t.Fatal(err)
	}
	stop, r := s.listen()
	if r == nil || r.Clause != state.ClauseFrozen {
		t.Errorf("got %v, want it refused as frozen", r)
	}
	if stop == nil && len(s.order.State.Sessions()) != 0 {
		t.Error("a session that was refused can be seen")
	}
	if err := s.order.State.Freeze(false); err != nil {
		t.Fatal(err)
	}
	if stop, r = s.listen(); r != nil {
		t.Fatalf("thawed: %v", r)
	}
	stop()
}

// A gateway may hold back what it was told before a revocation and show it later, one word after the other.
func TestAWordThatWasHeldBackIsAsOldAsItsQuestion(t *testing.T) {
	ca, host := newSigner(t), newSigner(t)
	s := &session{bundle: &wire.Bundle{SessionCA: []wire.PublicKey{{PublicKey: ca.PublicKey()}}}, keys: state.Keys{Host: host}}
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
