package signer

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/wire"
	"github.com/sallyport/sallyport/recorder/ledger"
)

// Renew implements Signer. It does not believe the data plane about the session. The pass must be one of the signer's
// own, and the log must name it for a part that has no end.
func (s *Service) Renew(ctx context.Context, r RenewRequest) (Renewed, error) {
	before, err := s.ownPass(r)
	if err != nil {
		return Renewed{}, err
	}
	who, err := s.person(ctx, r.Evidence)
	if err == nil {
		err = s.mayOpen(r.Evidence, who)
	}
	if err != nil {
		return Renewed{}, err
	}
	if !bytes.Equal(before.Grant.Subject.Pseudonym, s.pseudonym([]byte(who.ID.String()))) {
		return Renewed{}, errkind.New(errkind.Denied, "this session is another person's").
			WithHint("Its own technician can renew it.")
	}
	// Held until the pass is signed, as in Open.
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err := s.withdrawn(r.Evidence); err != nil {
		return Renewed{}, err
	}
	now := s.cfg.Now()
	d, err := s.decideAgain(who, before, r, now)
	if err != nil {
		return Renewed{}, err
	}
	pass, err := s.nextPass(before, r, d, now)
	if err != nil {
		return Renewed{}, err
	}
	return s.announceNext(ctx, before, pass, r, d)
}

// ownPass reads the pass to renew. It must be signed by this signer, be for this session, and not have expired.
func (s *Service) ownPass(r RenewRequest) (*wire.Pass, error) {
	before, err := wire.ParsePass(r.Pass, []ssh.PublicKey{s.keys.sessionCA.PublicKey()})
	switch {
	case err != nil:
		return nil, errkind.New(errkind.Usage, "the pass to renew is not one of this signer's").Because(err)
	case before.Grant.Session != r.Session:
		return nil, errkind.New(errkind.Usage, "the pass to renew is of another session")
	case !s.cfg.Now().Before(before.Until()):
		return nil, errkind.New(errkind.Conflict, "the pass has ended, and its session with it").
			WithHint("Open a new session.")
	}
	return before, nil
}

// decideAgain decides on the action that the session needs, by the current policy and the device's current state. The
// second factor must be as fresh as for a new session, because a renewal gives new time. A refusal is an
// errkind.Denied.
func (s *Service) decideAgain(who authz.Person, before *wire.Pass, r RenewRequest, now time.Time) (authz.Decision, error) {
	action, err := authz.ParseAction(r.Needs)
	if err != nil {
		return authz.Decision{}, errkind.New(errkind.Usage, "the action that the session needs: "+err.Error())
	}
	if !before.Scope.Covers(action) {
		return authz.Decision{}, errkind.New(errkind.Denied, "the session was not opened for "+action.String()).
			WithHint("Open a new session.")
	}
	dev, known := s.state.devices[before.Grant.Device]
	if now, there := s.state.byName(dev.Name); !there || now.FP != dev.FP { // another device has its name now
		known = false
	}
	q := authz.Request{Person: who, Device: authz.Device{Name: dev.Name, Site: dev.Site, Labels: dev.Labels}, Action: action,
		LiveSessions: max(r.Live, 0), Ticket: before.Grant.Ticket}
	if err := fit(s.snapshot, q, dev, known, now); err != nil {
		return authz.Decision{}, err
	}
	d := authz.Decide(s.snapshot, q, now)
	if !d.Allowed {
		e := d.Explain()
		return d, errkind.New(errkind.Denied, e.Text).WithHint(e.Nearest)
	}
	return d, nil
}

// nextPass builds the next pass. Person, device, login and texts are those of the pass before. The approvers are those of
// the grant by which it was decided. The scope is the part of its scope that the new decision d gives too.
func (s *Service) nextPass(before *wire.Pass, r RenewRequest, d authz.Decision, now time.Time) (*wire.Pass, error) {
	key, err := sshKey(r.SessionKey)
	if err != nil {
		return nil, errkind.New(errkind.Usage, "the session key is not an SSH public key").Because(err)
	}
	decided, limits := d.Scope(before.Grant.Login)
	scope := decided.Narrow(before.Scope)
	if action, err := authz.ParseAction(r.Needs); err != nil || !scope.Covers(action) {
		return nil, errkind.New(errkind.Denied, fmt.Sprintf("the next pass could not name %s", r.Needs)).
			WithHint("Open a new session.")
	}
	g := before.Grant
	g.SetScope(scope)
	g.Approvers = s.approvers(d.Grant)
	g.Ticket = ticket(g.Ticket, g.Approvers)
	g.MaxConcurrent = wire.Stricter(g.MaxConcurrent, uint64(max(limits.SessionsAtOnce, 0)))
	g.Attended, g.Emergency = g.Attended || limits.Attended, g.Emergency || d.Emergency
	g.PolicySHA256, g.Epoch, g.IssuedMS = s.state.policy.SHA256, s.state.devices[g.Device].Epoch, now.UnixMilli()
	from, until := s.window(now, limits)
	p, err := wire.NewPass(g, key, s.keys.sessionCA.PublicKey(), from, until)
	if err == nil {
		err = p.Follows(before)
	}
	if err != nil {
		return nil, errkind.New(errkind.Usage, "no next pass: "+err.Error())
	}
	return p, nil
}

// announceNext appends the pass leaf to the log and then signs the pass. It holds the open leaf meanwhile, because no
// leaf about a part may follow the part's end.
func (s *Service) announceNext(ctx context.Context, before, pass *wire.Pass, r RenewRequest, d authz.Decision) (Renewed, error) {
	if err := ctx.Err(); err != nil {
		return Renewed{}, context.Cause(ctx)
	}
	ctx = context.WithoutCancel(ctx) // as in announce
	begun, err := s.unended.hold(r.Open)
	if err != nil {
		return Renewed{}, errkind.New(errkind.Conflict, "the session has ended").WithHint("Open a new session.").Because(err)
	}
	defer begun.mu.Unlock()
	body, err := s.passBody(begun, before, pass, r)
	if err != nil {
		return Renewed{}, err
	}
	raw, err := body.Marshal()
	if err != nil {
		return Renewed{}, fmt.Errorf("pass leaf: %w", err)
	}
	leaf, nonce, index, cp, err := s.append(ctx, "pass", []uint64{r.Open}, raw)
	if err != nil {
		return Renewed{}, errkind.New(errkind.Unavailable, "the next pass could not be announced in the log, so there is none").
			Because(err)
	}
	out := Renewed{N: body.N, Opened: Opened{PassHash: pass.Hash, Leaf: leaf, Nonce: nonce, Body: raw, Index: index,
		Checkpoint: cp.Note, Until: pass.Until(), Rule: d.Rule, PolicySHA: pass.Grant.PolicySHA256}}
	return out, s.complete(ctx, &out.Opened, pass, cp, r.AckSize)
}

// passBody checks that the log announced the pass before for the part of this open leaf, and gives the next leaf's
// body. The pass before need not be the one that was announced last: if the device refused that one, the session runs
// under an earlier one.
func (s *Service) passBody(begun *beginning, before, pass *wire.Pass, r RenewRequest) (ledger.PassBody, error) {
	open, err := s.openAt(r.Open)
	switch {
	case err != nil:
		return ledger.PassBody{}, err
	case open.Session != r.Session || open.DeviceFP != [32]byte(before.Grant.Device) || !begun.announced(before.Hash):
		return ledger.PassBody{}, errkind.New(errkind.Usage,
			fmt.Sprintf("the pass to renew was not announced for the open leaf %d", r.Open))
	case len(begun.passes) > ledger.MaxPasses:
		return ledger.PassBody{}, errkind.New(errkind.TooMany,
			fmt.Sprintf("the session has had %d passes, which is the most", len(begun.passes))).WithHint("Open a new session.")
	}
	return ledger.PassBody{Session: r.Session, Part: open.Part, Open: r.Open, N: uint32(len(begun.passes)), Pass: pass.Hash,
		Prev: before.Hash, AtMS: s.cfg.Now().UnixMilli()}, nil
}
