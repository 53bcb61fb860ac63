package signer

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/wire"
	"github.com/sallyport/sallyport/recorder/ledger"
)

// Config says where the signer keeps its things and what the trust bundle names.
type Config struct {
	Dir        string // keys, state and log, readable by the signer's user only
	Origin     string // name of the log
	Hosts      []string
	NoiseKey   wire.Hash // public key of the gateway's control lines; zero: of the bundle made before, or as Introduce says
	Identities Identities
	PassTime   time.Duration // longest pass; at most 12 h
	SignInAge  time.Duration // how old a sign-in may be: the web session's limit
	RetainFor  time.Duration // promised in each open leaf
	Now        func() time.Time
	Log        *slog.Logger
	SecondCopy string // directory that gets every tile of the log as well; empty: none
}

// Service is the signer itself.
type Service struct {
	cfg  Config
	keys *keys
	log  *ledger.Log

	mu       sync.RWMutex // guards what follows, and cfg.NoiseKey
	bundle   wire.Signed
	serial   uint64 // of bundle; 0: there is none yet
	state    *state
	snapshot *authz.Snapshot

	policySeen uint64    // newest version that the log names
	configured []Mapping // of the configuration, in force or not

	administered map[id.Principal]time.Time // as the log says at the start
	lost         map[string]Device          // that only the log knows, by fingerprint

	pruned     time.Time // when records of sign-ins were last removed
	restoredAt time.Time // of this directory from a backup; set when the signer starts

	unended *unended // guards itself
}

// New opens or creates a signer.
func New(cfg Config) (*Service, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if err := NotLost(cfg.Dir, cfg.SecondCopy); err != nil {
		return nil, err
	}
	k, err := openKeys(cfg.Dir+"/keys", cfg.Origin)
	if err != nil {
		return nil, err
	}
	st, err := openState(cfg.Dir + "/state")
	if err != nil {
		return nil, err
	}
	s := &Service{cfg: cfg, keys: k, state: st, snapshot: &authz.Snapshot{}}
	if s.log, err = openLog(cfg.Dir+"/log", cfg.SecondCopy, cfg.Origin, k); err != nil {
		return nil, err
	}
	if err := s.load(); err != nil {
		s.log.Close()
		return nil, err
	}
	return s, nil
}

// load reads the log and the state.
func (s *Service) load() error {
	var seen *relearned
	var err error
	if s.unended, seen, err = readLog(s.log); err != nil {
		return err
	}
	if err := s.relearn(seen); err != nil {
		return err
	}
	if seen.policy > 0 && s.state.policy.Version == 0 { // otherwise the configured first version would replace it
		return errkind.New(errkind.Conflict,
			fmt.Sprintf("%s/state/policy.json is missing, although the log names policy version %d", s.cfg.Dir,
				seen.policy)).
			WithHint("Put the signer's backup back: " +
				"`sallyport restore --signer --config FILE --from DIR --identity KEY`.")
	}
	if st := s.state; len(st.policy.Files) > 0 {
		p, err := LoadStoredPolicy(st.policy.Files)
		if err != nil {
			return fmt.Errorf("stored policy %d: %w", st.policy.Version, err)
		}
		s.snapshot = &authz.Snapshot{Policy: p}
		s.warnIgnored(p)
	}
	s.prune(s.cfg.Now())
	s.resnap()
	if err := s.makeBundle(); err != nil {
		return err
	}
	return s.noteRestore(context.Background())
}

// warnIgnored logs each rule of the stored policy that gives nothing in this release.
func (s *Service) warnIgnored(p *authz.Policy) {
	log := cmp.Or(s.cfg.Log, slog.New(slog.DiscardHandler))
	for _, problem := range p.Ignored() {
		log.Warn("a rule of the stored policy gives nothing: correct it and apply the policy again with "+
			"`sallyport policy apply`", slog.String("problem", problem.String()))
	}
}

// Close closes the log.
func (s *Service) Close() error { return s.log.Close() }

// Behind says why a copy of the log does not have all of it; nil when all have.
func (s *Service) Behind() error { return s.log.Behind() }

// ScopeSession is the scope with which an API token may open sessions.
const ScopeSession = "session"

// Open implements Signer.
func (s *Service) Open(ctx context.Context, r OpenRequest) (Opened, error) {
	if err := r.check(); err != nil {
		return Opened{}, err
	}
	who, asker, err := s.asking(ctx, r.Evidence)
	if err != nil {
		return Opened{}, err
	}
	if err := s.mayOpen(r.Evidence, who); err != nil {
		return Opened{}, err
	}
	// Held until the pass is signed: after a revocation's leaf no pass for that device is announced any more.
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err := s.withdrawn(r.Evidence); err != nil {
		return Opened{}, err
	}
	dev, known := s.state.byName(r.Device)
	now := s.cfg.Now()
	action, decision, err := s.decide(s.snapshot, who, dev, known, r, now)
	if err != nil {
		return Opened{}, err
	}
	pass, err := s.buildPass(r, who, dev, s.state.policy, action, decision, now)
	if err != nil {
		return Opened{}, err
	}
	return s.announce(ctx, r, dev, pass, decision, asker)
}

// check refuses what would make an open leaf that no verifier could use.
func (r *OpenRequest) check() error {
	switch {
	case r.Session.IsZero() || r.H0.IsZero():
		return errkind.New(errkind.Usage, "a session is opened with its id and its recording's first hash")
	case len(r.RecordKey) != ed25519.PublicKeySize:
		return errkind.New(errkind.Usage, "the record key is not an Ed25519 public key")
	case (r.Part == 0) != (r.PrevOpen == nil):
		return errkind.New(errkind.Usage, "a part after the first names the open leaf of the part before it")
	}
	return nil
}

// mayOpen refuses a token that was not made to open sessions.
func (s *Service) mayOpen(e Evidence, who authz.Person) error {
	if e.APIToken == "" {
		return nil
	}
	t, err := s.token(e.APIToken, who.Address)
	if err == nil && !slices.Contains(t.Scopes, ScopeSession) {
		err = errkind.New(errkind.Denied, "this API token lacks the scope \"session\"").WithHint("`sallyport token create --scope session` makes one that has.")
	}
	return err
}

// decide repeats the gateway's decision on the signer's own copy. A device that is not there and one that the asker may
// not see get the same answer.
func (s *Service) decide(snap *authz.Snapshot, who authz.Person, dev Device, known bool, r OpenRequest, now time.Time) (authz.Action, authz.Decision, error) {
	if _, err := authz.ParseAction("shell:" + r.Login); err != nil {
		return authz.Action{}, authz.Decision{}, errkind.New(errkind.Usage, err.Error())
	}
	q := authz.Request{Person: who, Device: authz.Device{Name: r.Device, Site: dev.Site, Labels: dev.Labels}, LiveSessions: max(r.Live, 0), Ticket: r.Ticket}
	if err := fit(snap, q, dev, known, now); err != nil {
		return authz.Action{}, authz.Decision{}, err
	}
	action, d := authz.DecideProgram(snap, q, r.program(), now)
	if !d.Allowed {
		e := d.Explain()
		return action, d, errkind.New(errkind.Denied, e.Text).WithHint(e.Nearest)
	}
	return action, d, nil
}

// fit refuses a device that is not there, that the asker may not see, or that is locked or revoked.
func fit(snap *authz.Snapshot, q authz.Request, dev Device, known bool, now time.Time) error {
	if !known || !snap.Visible(q.Person, q.Device, now) {
		e := authz.Invisible(q.Device.Name)
		return errkind.New(errkind.Denied, e.Text).WithHint(e.Nearest)
	}
	if dev.State != wire.StateOK {
		return errkind.New(errkind.Denied, fmt.Sprintf("%s is %s, so it gets no pass.", q.Device.Name, dev.State)).
			WithHint("An administrator can say why.")
	}
	return nil
}

func (r *OpenRequest) program() authz.Program {
	return authz.Program{Login: r.Login, Argv: r.Argv, Terminal: r.Terminal}
}

// passLead is how far before now a pass begins: a device that measured the time by an older status may be that far behind.
const passLead = 30 * time.Second

// buildPass names everything that the session may do by the rule of the decision, so that further channels need no
// further pass. Nothing is announced yet: a pass that no device would take is refused here.
func (s *Service) buildPass(r OpenRequest, who authz.Person, dev Device, pol Policy, action authz.Action, d authz.Decision, now time.Time) (*wire.Pass, error) {
	key, err := sshKey(r.SessionKey)
	if err != nil {
		return nil, errkind.New(errkind.Usage, "the session key is not an SSH public key").Because(err)
	}
	scope, limits := d.Scope(r.Login)
	if !scope.Covers(action) {
		return nil, errkind.New(errkind.Usage, fmt.Sprintf("a pass cannot name this command by itself: its action word "+
			"has more than %d bytes", authz.MaxActionWord)).WithHint("Use shorter arguments.")
	}
	from, until := s.window(now, limits)
	approvers := s.approvers(d.Grant)
	g := wire.Grant{V: wire.GrantVersion, Session: r.Session, Device: dev.FP,
		MaxConcurrent: uint64(max(limits.SessionsAtOnce, 0)), Attended: limits.Attended, Emergency: d.Emergency,
		Subject: wire.Subject{Pseudonym: s.pseudonym([]byte(who.ID.String())), Display: showable(who.Name)},
		Reason:  showable(r.Reason), Ticket: ticket(showable(r.Ticket), approvers), Approvers: approvers,
		PolicySHA256: pol.SHA256, Epoch: dev.Epoch, IssuedMS: now.UnixMilli()}
	g.SetScope(scope)
	p, err := wire.NewPass(g, key, s.keys.sessionCA.PublicKey(), from, until)
	if err != nil {
		return nil, errkind.New(errkind.Usage, err.Error())
	}
	return p, nil
}

// window gives the time that a pass is good for.
func (s *Service) window(now time.Time, limits authz.Limits) (from, until time.Time) {
	until = now.Add(min(s.cfg.PassTime, wire.MaxPassTime-passLead-time.Second))
	if !limits.Until.IsZero() && limits.Until.Before(until) {
		until = limits.Until
	}
	return now.Add(-passLead), until
}

// announce puts the open leaf into the log and signs the pass after it.
func (s *Service) announce(ctx context.Context, r OpenRequest, dev Device, pass *wire.Pass, d authz.Decision, asker ledger.Asker) (Opened, error) {
	if err := ctx.Err(); err != nil {
		return Opened{}, context.Cause(ctx)
	}
	ctx = context.WithoutCancel(ctx) // a caller who leaves now would leave a leaf behind that nobody knows of
	if err := s.follows(r); err != nil {
		return Opened{}, err
	}
	statement, err := stated(asker, r.Session, dev.Name)
	if err != nil {
		return Opened{}, err
	}
	asked := ledger.CommitAsker(statement)
	body, err := ledger.OpenBody{
		Session: r.Session, Part: r.Part, Device: [32]byte(s.pseudonym(dev.FP[:])), DeviceFP: dev.FP, H0: r.H0, Pass: pass.Hash,
		SlotRK: r.SlotRK, SlotSK: r.SlotSK, GatewayKey: recordKeyFP(r.RecordKey), GatewayPub: r.RecordKey,
		RetainUntil: s.cfg.Now().Add(s.cfg.RetainFor).Unix(), PrevOpen: r.PrevOpen, Asker: &asked,
	}.Marshal()
	if err != nil {
		return Opened{}, fmt.Errorf("open leaf: %w", err)
	}
	var prev []uint64 // so that whoever sees leaves alone sees which parts belong together
	if r.PrevOpen != nil {
		prev = []uint64{*r.PrevOpen}
	}
	leaf, nonce, index, cp, err := s.append(ctx, "open", prev, body)
	if err != nil {
		return Opened{}, errkind.New(errkind.Unavailable, "the session could not be announced in the log, so it was not started").Because(err)
	}
	out := Opened{PassHash: pass.Hash, Leaf: leaf, Nonce: nonce, Body: body, Index: index, Checkpoint: cp.Note,
		Until: pass.Until(), Rule: d.Rule, PolicySHA: pass.Grant.PolicySHA256, Asker: statement}
	return out, s.complete(ctx, &out, pass, cp, r.AckSize)
}

// complete adds the proofs to what was announced, and signs the pass last.
func (s *Service) complete(ctx context.Context, out *Opened, pass *wire.Pass, cp ledger.Checkpoint, ack uint64) (err error) {
	if out.Proof, err = s.Prove(ctx, out.Index, cp.Size); err != nil {
		return err
	}
	if ack > 0 && ack <= cp.Size {
		if out.Consistency, err = s.ProveConsistency(ctx, ack, cp.Size); err != nil {
			return err
		}
	}
	out.Pass, err = pass.Sign(s.keys.sessionCA)
	return err
}

// append writes one leaf and returns it with the checkpoint that includes it.
func (s *Service) append(ctx context.Context, typ string, ref []uint64, body []byte) (leaf, nonce []byte, index uint64, cp ledger.Checkpoint, err error) {
	var n [16]byte
	rand.Read(n[:])
	l := ledger.Leaf{Type: typ, Ref: ref, Commit: ledger.Commit(n, body)}
	receipt, err := s.log.Append(ctx, ledger.Entry{Leaf: l, Nonce: n, Body: body})
	if err != nil {
		return nil, nil, 0, cp, fmt.Errorf("append %s leaf: %w", typ, err)
	}
	s.unended.saw(receipt.Index, typ, ref, body)
	leaf, err = l.Marshal()
	return leaf, n[:], receipt.Index, receipt.Checkpoint, err
}

func (s *Service) appendOwn(ctx context.Context, typ string, ref []uint64, body []byte) (Appended, error) {
	_, nonce, index, cp, err := s.append(ctx, typ, ref, body)
	return Appended{Index: index, Nonce: nonce, Checkpoint: cp.Note}, err
}

// Status implements Signer. A device that nobody has admitted is not known here: it waits.
func (s *Service) Status(_ context.Context, device wire.Hash, nonce []byte) (wire.Signed, error) {
	if len(nonce) < 16 || len(nonce) > 32 {
		return wire.Signed{}, errkind.New(errkind.Usage, "a status answers a nonce of 16 to 32 bytes")
	}
	s.mu.RLock()
	d, ok := s.state.devices[device]
	serial := s.serial
	s.mu.RUnlock()
	st := wire.Status{Nonce: nonce, Device: device, Time: s.cfg.Now().UnixMilli(), Epoch: d.Epoch, Bundle: serial, State: wire.StateWaiting}
	if ok {
		st.State = d.State
	}
	return st.Sign(s.keys.sessionCA)
}

// Keys implements Signer.
func (s *Service) Keys(context.Context) (PublicKeys, error) {
	return PublicKeys{LogKey: s.keys.logVerifier, Origin: s.cfg.Origin,
		SessionCA: wire.PublicKey{PublicKey: s.keys.sessionCA.PublicKey()}, Root: wire.PublicKey{PublicKey: s.keys.root.PublicKey()}}, nil
}

// pseudonym hides a name from a witness of the log while the same name keeps the same pseudonym.
func (s *Service) pseudonym(name []byte) []byte {
	m := hmac.New(sha256.New, s.keys.site)
	m.Write(name)
	return m.Sum(nil)
}

func recordKeyFP(k []byte) wire.Hash {
	pub, err := ssh.NewPublicKey(edKey(k))
	if err != nil {
		return wire.Hash{}
	}
	return wire.Fingerprint(pub)
}
