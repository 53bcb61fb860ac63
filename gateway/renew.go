package gateway

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/signer"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/internal/wire"
	"github.com/sallyport/sallyport/recorder/format"
)

// passes has the state of a session's renewals.
type passes struct {
	busy    sync.Mutex // held during a renewal
	unheard *nextPass  // the device's answer to it was lost, so the device may have adopted it
}

// nextPass is a pass that the signer has made and that the device has not answered yet.
type nextPass struct {
	made signer.Renewed
	pass *wire.Pass
}

// Renew gives a running session its next pass, on the caller's current evidence, and returns the new hard stop. The
// signer decides again, and the pass is never wider than the one before. It is stored and recorded before it is sent
// to the device. If the device refuses it, the session continues under the pass that it had. If the device's answer is
// lost, the next Renew offers that pass again first.
func (b *Broker) Renew(ctx context.Context, sid id.Session, by signer.Evidence) (time.Time, error) {
	if refusal := b.draining(); refusal != nil {
		return time.Time{}, refusal
	}
	if err := b.ground(); err != nil {
		return time.Time{}, err
	}
	s, err := b.renewable(sid)
	if err != nil {
		return time.Time{}, err
	}
	if !s.passes.busy.TryLock() {
		return time.Time{}, errkind.New(errkind.Conflict, "this session is being renewed already").WithHint("Try again.")
	}
	defer s.passes.busy.Unlock()
	renewing, cancel := while(s.ctx, ctx)
	defer cancel()
	if err := s.renew(renewing, by); err != nil {
		if cause := context.Cause(s.ctx); cause != nil {
			err = cause
		}
		return time.Time{}, forPeople(err)
	}
	return s.Until(), nil
}

// renewable finds a running session; errNotRunning if there is none.
func (b *Broker) renewable(sid id.Session) (*Session, error) {
	s := b.session(sid)
	if s == nil {
		return nil, errNotRunning
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.live || s.over || s.ctx.Err() != nil {
		return nil, errNotRunning
	}
	return s, nil
}

// renew first offers a pass again if the device's answer to it was lost, because only the device knows which pass the
// session runs under.
func (s *Session) renew(ctx context.Context, by signer.Evidence) error {
	if err := s.b.stillMay(ctx, s.first); err != nil {
		return err
	}
	if n := s.passes.unheard; n != nil {
		if refused, err := s.offer(ctx, n); err != nil {
			return errors.Join(refused, err)
		}
	}
	n, err := s.makeNext(ctx, by)
	if err != nil {
		return err
	}
	if err := s.keepNext(ctx, n); err != nil {
		return err
	}
	refused, err := s.offer(ctx, n)
	return errors.Join(refused, err)
}

// makeNext asks the signer for the next pass. Its key is new, and the private half is discarded: the session line was
// authenticated with the first pass, and no further connection is made.
func (s *Session) makeNext(ctx context.Context, by signer.Evidence) (*nextPass, error) {
	before, raw := s.underPass()
	pub, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("session key: %w", err)
	}
	key, err := ssh.NewPublicKey(pub)
	if err != nil {
		return nil, fmt.Errorf("session key: %w", err)
	}
	made, err := s.b.cfg.Signer.Renew(ctx, signer.RenewRequest{Evidence: by, Session: s.id, Open: *s.leaf, Pass: raw,
		Needs: s.first.action.String(), Live: s.b.LiveOn(s.ask.Device) - 1, SessionKey: key.Marshal(),
		AckSize: s.b.cfg.Lines.Ack(s.device.FP)})
	if err != nil {
		return nil, err
	}
	pass, err := wire.ReadPass(made.Pass)
	if err == nil {
		err = pass.Follows(before)
	}
	if err != nil {
		return nil, fmt.Errorf("the signer's next pass: %w", err)
	}
	return &nextPass{made, pass}, nil
}

// underPass gives the pass that the session runs under, parsed and in its signed form.
func (s *Session) underPass() (*wire.Pass, []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pass, s.rawPass
}

// keepNext stores the pass and puts it into the record, both durable when it returns.
func (s *Session) keepNext(ctx context.Context, n *nextPass) error {
	err := s.b.cfg.Store.AddPass(ctx, store.Pass{Session: s.id, N: n.made.N, Leaf: n.made.Index, Pass: n.made.Pass})
	if err != nil {
		return err
	}
	if err = s.rec.Note(format.Note{Kind: format.NotePass, Text: n.text()}); err != nil {
		s.stop(err)
	}
	return err
}

// text gives the text of the record's note about the pass.
func (n *nextPass) text() string {
	text := fmt.Sprintf("pass %d is given to the device: good until %s, entry %d of the log, permits %s, by rule %s", n.made.N,
		n.pass.Until().UTC().Format("2006-01-02 15:04:05 UTC"), n.made.Index, strings.Join(n.pass.Scope.Words(), ", "), n.made.Rule)
	if by := n.pass.Grant.Approvers; len(by) > 0 {
		text += ", approved by " + strings.Join(by, ", ")
	}
	return text
}

// offer gives the pass to the device, and adopts it if the device does. refused is the device's refusal. After an error
// the device's answer is not known, and the next renewal offers the pass again.
func (s *Session) offer(ctx context.Context, n *nextPass) (refused, err error) {
	o := n.made
	s.passes.unheard = n
	refused, err = s.b.cfg.Lines.Renew(ctx, s.device.FP, wire.Renew{Session: s.id, N: o.N, Pass: o.Pass, Leaf: o.Leaf, Nonce: o.Nonce,
		Body: o.Body, Index: o.Index, Proof: o.Proof, Consistency: o.Consistency, Checkpoint: o.Checkpoint})
	switch {
	case err != nil:
		return nil, err
	case refused != nil:
		s.passes.unheard = nil
		return refused, s.noteRefused(n, refused)
	}
	s.passes.unheard = nil
	return nil, s.adopt(ctx, n)
}

// noteRefused records the device's refusal.
func (s *Session) noteRefused(n *nextPass, why error) error {
	text, _, _ := errkind.ForPeople(why)
	err := s.rec.Note(format.Note{Kind: format.NotePass, Text: fmt.Sprintf("pass %d was not taken: %s", n.made.N, text)})
	if err != nil {
		s.stop(err)
	}
	return err
}

// adopt makes the pass the session's current one. Its end is the new hard stop, and it bounds later channels.
func (s *Session) adopt(ctx context.Context, n *nextPass) error {
	s.mu.Lock()
	s.pass, s.rawPass = n.pass, n.made.Pass
	s.mu.Unlock()
	s.b.mu.Lock()
	s.until = n.made.Until
	s.b.mu.Unlock()
	s.clock.arm(s)
	s.notice("renewed", "the session continues until "+n.made.Until.UTC().Format("15:04 UTC"))
	if err := s.change(ctx, func(row *store.Session) { row.Until = n.made.Until }); err != nil {
		s.b.cfg.Log.Warn("the list of sessions shows an earlier end than this session has", slog.String("session", s.id.String()),
			slog.Any("error", err))
	}
	return nil
}
