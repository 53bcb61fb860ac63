package gateway

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/internal/signer"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/internal/wire"
	"github.com/sallyport/sallyport/recorder/ledger"
)

// openRequest asks for a pass with a fresh key.
func (s *Session) openRequest(key ssh.PublicKey) signer.OpenRequest {
	return signer.OpenRequest{
		Evidence:   s.ask.Evidence,
		Session:    s.id,
		Device:     s.ask.Device,
		Login:      s.ask.Login,
		Argv:       s.ask.Start.Argv,
		Terminal:   s.ask.Start.PTY != nil,
		Reason:     s.ask.Purpose,
		Ticket:     s.ask.Ticket,
		Live:       s.b.LiveOn(s.ask.Device) - 1,
		H0:         s.rec.H0(),
		SlotRK:     s.rec.SlotRK(),
		SlotSK:     s.rec.SlotSK(),
		RecordKey:  s.b.cfg.Key,
		SessionKey: key.Marshal(),
		AckSize:    s.b.cfg.Lines.Ack(s.device.FP),
	}
}

// announce asks the signer for the open leaf, the checkpoint and the pass. The signer decides by its own copy of the
// policy. If its pass has another scope than the gateway decides, announce returns an error.
func (s *Session) announce(ctx context.Context, key ssh.PublicKey) (signer.Opened, error) {
	request := s.openRequest(key)
	opened, err := s.b.cfg.Signer.Open(ctx, request)
	if err != nil {
		return opened, err
	}
	s.leaf, s.opened = &opened.Index, opened
	s.b.mu.Lock()
	s.until = opened.Until
	s.b.mu.Unlock()
	noted := beside(func() error { return s.rec.Notice(noticeBody(opened)) })
	pass, unreadable := wire.ReadPass(opened.Pass)
	err = s.b.cfg.Store.ChangeRecorded(ctx, s.id, 0, func(row *store.Session, p *store.Part) error {
		row.State, row.Until, row.Rule = store.Announced, opened.Until, opened.Rule
		if unreadable == nil {
			row.PrincipalName = pass.Grant.Subject.Display
		}
		s.begun(p)
		return nil
	})
	if unreadable != nil {
		unreadable = fmt.Errorf("the signer's answer: %w", unreadable)
	}
	if err = errors.Join(noted(), err, unreadable); err == nil {
		err = s.takePass(pass, opened.Pass, request.Live)
	}
	return opened, err
}

// begun stores in a part the index of its open leaf, the retention date that the leaf promises, and the pass and the
// statement of who asked, of which the log has only the hashes.
func (s *Session) begun(p *store.Part) {
	p.OpenLeaf, p.Pass, p.Asker = &s.opened.Index, s.opened.Pass, s.opened.Asker
	p.Retain = promised(s.opened.Body)
}

// promised reads the retention date that an open leaf promises; zero if its body cannot be read.
func promised(body []byte) time.Time {
	open, err := ledger.ParseOpenBody(body)
	if err != nil {
		return time.Time{}
	}
	return time.Unix(open.RetainUntil, 0).UTC()
}

// noticeBody is the recording's own pointer into the log (frame n): leaf index, proof and checkpoint.
func noticeBody(o signer.Opened) []byte {
	body, err := wire.MarshalCBOR(struct {
		Index      uint64      `cbor:"index"`
		Proof      []wire.Hash `cbor:"proof"`
		Checkpoint []byte      `cbor:"checkpoint"`
	}{o.Index, o.Proof, o.Checkpoint})
	if err != nil {
		panic(err) // impossible for a struct of bytes and numbers
	}
	return body
}

func passSigner(pass []byte, key ssh.Signer) (ssh.Signer, error) {
	k, err := ssh.ParsePublicKey(pass)
	if err != nil {
		return nil, fmt.Errorf("pass: %w", err)
	}
	cert, ok := k.(*ssh.Certificate)
	if !ok {
		return nil, errors.New("pass: the signer's answer is not a certificate")
	}
	return ssh.NewCertSigner(cert, key)
}
