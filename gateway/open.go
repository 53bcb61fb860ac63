package gateway

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/signer"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/internal/wire"
	"github.com/sallyport/sallyport/recorder"
)

// openTime bounds the opening of a session or channel, from its redemption to the running program.
const openTime = 30 * time.Second

// Open redeems an answer of Ask. It makes the recording, has the session announced, and asks the device. It returns the
// first channel. If a step fails, Open ends recording, log and row with the reason.
func (b *Broker) Open(ctx context.Context, sid id.Session, sink Sink) (*Channel, error) {
	s, err := b.take(sid, sink)
	if err != nil {
		return nil, err
	}
	opening, cancel := while(s.ctx, ctx)
	defer cancel()
	if err = b.stillMay(opening, s.first); err == nil {
		err = s.open(opening)
	}
	if err != nil {
		if cause := context.Cause(s.ctx); cause != nil {
			err = cause
		}
		err = forPeople(err)
		s.fail(err)
		return nil, err
	}
	s.mu.Lock()
	s.live = true
	s.mu.Unlock()
	go s.run()
	go s.first.run()
	return s.first, nil
}

// while gives the context of an opening. It ends with what it is opened in, with the time for it, and with whoever
// asked. It is a child of the first, so the end has arrived here when the call that ends it returns. By AfterFunc it
// would arrive a moment later, in which a program can start.
func while(in, asker context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(in)
	timed, stop := context.WithTimeout(ctx, openTime)
	left := context.AfterFunc(asker, func() { cancel(context.Cause(asker)) })
	return timed, func() { left(); stop(); cancel(nil) }
}

// stillMay checks the rights again before a channel opens. Revalidate does not see a revocation between Ask and Open,
// because nothing runs yet, and the signer decides on the evidence of Ask. From now on Revalidate checks the session.
// While the database does not answer nothing begins: a lock or a withdrawn group would not be seen here.
func (b *Broker) stillMay(ctx context.Context, c *Channel) error {
	dev, why := b.stillFit(ctx, c.s)
	if why != nil {
		return why
	}
	who, err := b.groupsNow(ctx, c.s.ask.Person)
	if dev == nil || err != nil {
		return errUndecided
	}
	if why = c.s.stillAllowed(c.action, b.cfg.Rules.Snapshot(), who, dev, b.LiveOn(c.s.ask.Device)-1); why != nil {
		return why
	}
	return nil
}

var errUndecided = errkind.New(errkind.Unavailable, "the database does not answer, so nothing can be decided").
	WithHint("Try again.")

// forPeople turns the ending of a session that is still being opened into a refusal with its text.
func forPeople(err error) error {
	if e, ok := errors.AsType[*ending](err); ok {
		return errkind.New(errkind.Denied, e.text).Because(e)
	}
	return err
}

// take makes a live session of an answer. From then on it counts as a session and can be ended.
func (b *Broker) take(sid id.Session, sink Sink) (*Session, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	a, ok := b.asked[sid]
	switch {
	case b.drain:
		return nil, errDraining
	case !ok || b.cfg.Now().After(a.until):
		return nil, errkind.New(errkind.Conflict, "this permission to open a session was used already or is older than 30 s").WithHint("Open the session again.")
	}
	delete(b.asked, sid) // an expired answer stays, and sweep closes its row
	s := b.newSession(sid, a, sink)
	b.live[sid] = s
	b.ended.Add(1)
	return s, nil
}

func (s *Session) open(ctx context.Context) error {
	if err := s.record(ctx); err != nil {
		return err
	}
	pub, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return fmt.Errorf("session key: %w", err)
	}
	plain, err := ssh.NewSignerFromSigner(key)
	if err != nil {
		return fmt.Errorf("session key: %w", err)
	}
	sshPub, err := ssh.NewPublicKey(pub)
	if err != nil {
		return fmt.Errorf("session key: %w", err)
	}
	opened, err := s.announce(ctx, sshPub)
	if err != nil {
		return err
	}
	signed, err := passSigner(opened.Pass, plain)
	if err != nil {
		return err
	}
	return s.dial(ctx, opened, signed)
}

// record makes the recording durable before the signer or the device hears of the session.
func (s *Session) record(ctx context.Context) error {
	rec, err := s.b.cfg.Recorder.Create(ctx, recorder.PartConfig{Session: s.id, DeviceFP: s.device.FP})
	if err != nil {
		return err
	}
	s.rec = rec
	return s.b.cfg.Store.AddPart(ctx, store.Part{Session: s.id, H0: rec.H0(), Started: rec.Started(),
		State: store.RecordRunning})
}

// dial asks the device, which checks everything itself and dials back. Then it opens the events and the first channel.
func (s *Session) dial(ctx context.Context, o signer.Opened, pass ssh.Signer) error {
	host, err := ssh.ParsePublicKey(s.device.HostKey)
	if err != nil {
		return fmt.Errorf("host key of %s: %w", s.ask.Device, err)
	}
	stored := beside(func() error { return s.change(ctx, func(row *store.Session) { row.State = store.Dialled }) })
	line, err := s.b.cfg.Lines.Open(ctx, Order{Session: s.id, Device: wire.Fingerprint(host), Login: s.ask.Login, Signer: pass, Record: s.rec,
		Open: wire.Open{T: wire.TypeOpen, Session: s.id, Pass: o.Pass, H0: s.rec.H0(), Leaf: o.Leaf, Nonce: o.Nonce, Body: o.Body, Index: o.Index,
			Proof: o.Proof, Consistency: o.Consistency, Checkpoint: o.Checkpoint}})
	if err != nil {
		return errors.Join(err, stored())
	}
	s.line = line
	if err = stored(); err == nil {
		err = s.begin(ctx)
	}
	if err != nil {
		line.Close()
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return errkind.New(errkind.Unavailable, fmt.Sprintf("%s took longer than %d s to start", s.ask.Device, openTime/time.Second)).
			WithHint("Try again. If it happens again, run `sallyport-agent doctor` on the device.").Because(err)
	}
	return err
}

// begin opens the device's events and the first channel, and stores that the session runs, all at the same time. That
// saves round trips to a device that is far away. When ctx ends it closes the line, so a device that does not answer
// delays neither an end nor the time limit of the opening.
func (s *Session) begin(ctx context.Context) error {
	defer context.AfterFunc(ctx, s.line.Close)()
	began := s.b.cfg.Now()
	stored := beside(func() error {
		return s.change(ctx, func(row *store.Session) { row.State, row.Started, row.Record = store.Live, began, store.RecordRunning })
	})
	listening := beside(s.listen)
	line, err := s.line.Open(ctx, s.first.n, s.first.start)
	err = s.first.opened(line, errors.Join(listening(), err))
	if err = errors.Join(err, stored()); err == nil {
		s.b.mu.Lock()
		s.started = began
		s.b.mu.Unlock()
	}
	return err
}

// listen opens the device's events and reads them from now on.
func (s *Session) listen() (err error) {
	if s.events, err = s.line.OpenEvents(); err != nil {
		return err
	}
	go func() { s.readEvents(); close(s.listened) }()
	return nil
}

// change edits the session's row.
func (s *Session) change(ctx context.Context, edit func(*store.Session)) error {
	_, err := s.b.cfg.Store.ChangeSession(ctx, s.id, func(row *store.Session) error { edit(row); return nil })
	return err
}
