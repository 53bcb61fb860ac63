package gateway_test

import (
	"context"
	"fmt"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/gateway/sessionline"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/internal/store/sqlite"
	"github.com/sallyport/sallyport/internal/wire"
)

// starter is a machine that counts what it is asked to start.
type starter struct {
	*device
	asked   atomic.Int32
	dialled func() // told once the session line is there
	mute    bool   // it takes the start and never answers
}

func (s *starter) Open(_ context.Context, o gateway.Order) (*sessionline.Line, error) {
	ours, theirs, err := connected()
	if err != nil {
		return nil, err
	}
	go s.take(theirs)
	line, err := sessionline.Handshake(ours, time.Minute, sessionline.Peer{Name: "device", Host: s.host.PublicKey(),
		Login: o.Login, Pass: o.Signer, Recording: o.Record})
	if err != nil {
		return nil, fmt.Errorf("handshake: %w", err)
	}
	if s.dialled != nil {
		s.dialled()
	}
	return line, nil
}

func (s *starter) take(c net.Conn) {
	cfg := &ssh.ServerConfig{PublicKeyCallback: func(ssh.ConnMetadata, ssh.PublicKey) (*ssh.Permissions, error) { return nil, nil }}
	cfg.AddHostKey(s.host)
	conn, chans, reqs, err := ssh.NewServerConn(c, cfg)
	if err != nil {
		return
	}
	defer conn.Close()
	go ssh.DiscardRequests(reqs)
	for n := range chans {
		_, reqs, err := n.Accept()
		if err != nil {
			return
		}
		go s.answer(reqs)
	}
}

func (s *starter) answer(reqs <-chan *ssh.Request) {
	for r := range reqs {
		if start := r.Type == "exec" || r.Type == "shell"; start {
			s.asked.Add(1)
			if s.mute {
				continue
			}
		}
		if r.WantReply {
			r.Reply(true, nil)
		}
	}
}

// opening gives a broker on a starter, and the id of a session that may be opened.
func (h *house) opening(s *starter, change func(*gateway.Config)) (*gateway.Broker, id.Session) {
	h.t.Helper()
	s.device = h.dev
	b := h.newBrokerWith(func(c *gateway.Config) {
		c.Lines = s
		if change != nil {
			change(c)
		}
	})
	return b, must(b.Ask(context.Background(), h.ask("press-1", "streams")))(h.t).ID
}

// fails lets one kind of write of an opening fail.
type fails struct {
	*sqlite.DB
	dialled, recorded bool
}

func (f *fails) ChangeSession(ctx context.Context, sid id.Session, change func(*store.Session) error) (store.Session, error) {
	return f.DB.ChangeSession(ctx, sid, func(row *store.Session) error {
		if err := change(row); err != nil || !f.dialled || row.State != store.Dialled {
			return err
		}
		return errNoRoom
	})
}

func (f *fails) ChangeRecorded(ctx context.Context, sid id.Session, n uint32, change func(*store.Session, *store.Part) error) error {
	if f.recorded {
		return errNoRoom
	}
	return f.DB.ChangeRecorded(ctx, sid, n, change)
}

func TestNothingStartsOnceItsOpeningHasFailed(t *testing.T) {
	for name, f := range map[string]*fails{"the row of a session that is dialled": {dialled: true}, "the row of its part": {recorded: true}} {
		t.Run(name, func(t *testing.T) {
			h, s := newHouse(t), &starter{}
			f.DB = h.db
			b, sid := h.opening(s, func(c *gateway.Config) { c.Store = f })
			if _, err := b.Open(context.Background(), sid, &screen{}); err == nil {
				t.Error("a session was opened that its rows do not know")
			}
			time.Sleep(100 * time.Millisecond)
			if n := s.asked.Load(); n > 0 {
				t.Error("the machine was asked to start a program")
			}
			if p := h.part(sid); p.OpenLeaf == nil || len(p.Pass) == 0 || p.CloseLeaf == nil {
				t.Errorf("the record could be neither exported nor checked: open leaf %v, close leaf %v", p.OpenLeaf, p.CloseLeaf)
			}
		})
	}
}

func TestNothingStartsOnceASessionWasEnded(t *testing.T) {
	h, s := newHouse(t), &starter{}
	b, sid := h.opening(s, nil)
	s.dialled = func() { b.End(context.Background(), sid, "Ola", "enough") }
	if _, err := b.Open(context.Background(), sid, &screen{}); err == nil {
		t.Error("a session was opened that had been ended")
	}
	time.Sleep(100 * time.Millisecond)
	if s.asked.Load() > 0 {
		t.Error("the machine was asked to start a program")
	}
	if got := h.row(sid).EndReason; got != "ended by Ola" {
		t.Errorf("the row says %q", got)
	}
}

func TestAMachineThatNeverAnswersHoldsUpNoEnd(t *testing.T) {
	h, s := newHouse(t), &starter{mute: true}
	b, sid := h.opening(s, nil)
	opened := make(chan error, 1)
	go func() {
		_, err := b.Open(context.Background(), sid, &screen{})
		opened <- err
	}()
	for end := time.Now().Add(time.Minute); s.asked.Load() == 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the machine was not asked")
		}
	}
	b.End(context.Background(), sid, "Ola", "enough")
	select {
	case err := <-opened:
		if err == nil {
			t.Error("a session was opened that had been ended")
		}
	case <-time.After(time.Minute):
		t.Fatal("the session is still being opened")
	}
	if n := b.LiveOn("press-1"); n != 0 {
		t.Errorf("%d sessions count as live", n)
	}
}

func TestSessionsMayBeLookedAtWhileTheyOpen(t *testing.T) {
	h := newHouse(t)
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
				h.Revalidate(context.Background())
				h.Live()
			}
		}
	}()
	for range 3 {
		s, _ := h.open(h.ask("press-1"))
		if s.Until().IsZero() {
			t.Error("a session without an end")
		}
		s.End("enough")
		s.Wait()
	}
	close(stop)
	<-done
}

// Who asks has half a minute to come for the answer. What is taken away from them meanwhile is taken from no session
// that runs yet, and a token of the sign-in names the groups of before.
func TestWhatIsTakenAwayBetweenAskingAndOpeningCounts(t *testing.T) {
	for name, take := range map[string]func(h *house, b *gateway.Broker){
		"a group": func(h *house, b *gateway.Broker) {
			h.person("tess", "canteen")
			b.Revalidate(context.Background())
		},
		"a group, of which nobody was told": func(h *house, _ *gateway.Broker) { h.person("tess", "canteen") },
		"the machine": func(h *house, _ *gateway.Broker) {
			fp := wire.Fingerprint(h.dev.host.PublicKey())
			must(h.db.ChangeDevice(context.Background(), fp, func(d *store.Device) error { d.Frozen = true; return nil }))(h.t)
		},
	} {
		t.Run(name, func(t *testing.T) {
			h, s := newHouse(t), &starter{}
			h.person("tess", "technicians")
			b, sid := h.opening(s, nil)
			take(h, b)
			if _, err := b.Open(context.Background(), sid, &screen{}); err == nil {
				t.Error("a session was opened")
			}
			if s.asked.Load() > 0 {
				t.Error("the machine was asked to start a program")
			}
			if p, err := h.db.Part(context.Background(), sid, 0); err == nil {
				t.Errorf("a recording was begun: %+v", p)
			}
			if got := h.row(sid); got.State != store.Refused {
				t.Errorf("the row says %s: %s", got.State, got.EndReason)
			}
		})
	}
}

// person is what the provider last said of somebody.
func (h *house) person(sub string, groups ...string) {
	h.t.Helper()
	p := store.Principal{ID: id.Principal{Issuer: "https://idp.test", Subject: sub}, Name: sub, Groups: groups, SeenAt: time.Now()}
	if err := h.db.PutPrincipal(context.Background(), p); err != nil {
		h.t.Fatal(err)
	}
}
