// Package supervise runs one session on the device, in a process of its own. The process checks everything itself,
// dials the session line, serves SSH inside it and runs the programs that are requested.
//
// # Why a process of its own
//
// A supervisor outlives the agent, so an update or a crash of the agent does not end a technician's work. And the
// process that reads from the network decides nothing. It hands over a message. Everything that a supervisor relies
// on, it reads from the state directory or asks the keeper, which answers "take this session id" exactly once.
//
// # How a session ends
//
// A session ends when its last program ends, a person ends it, the pass, the owner's permission or the status runs out,
// or the line is lost. In each case everything that the session started is ended. Processes that survive are reported.
package supervise

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/internal/agent/proc"
	"github.com/sallyport/sallyport/internal/agent/state"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/wire"
)

// session is what one supervisor holds.
type session struct {
	order   Order
	open    *wire.Open
	bundle  *wire.Bundle
	keys    state.Keys
	rules   *authz.Owner
	account proc.Account
	tree    *proc.Tree
	log     *slog.Logger
	began   time.Time

	ctx context.Context
	end context.CancelCauseFunc // with the reason

	held     atomic.Pointer[held] // the current pass; nil until the open was checked
	renewing sync.Mutex           // held while a next pass is checked

	mu         sync.Mutex // guards what follows
	keysUsed   [][]byte   // keys of all passes that the session has run under
	lastStatus wire.Status
	asked      time.Duration // boot time at which the last answered nonce was sent; at first, when the session began
	conn       ssh.Conn
	lastInput  time.Time  // at first, when the session began
	used       authz.Kind // kinds of action by which programs were started
	usedBy     []string   // entries of the scope by which they were, as authz.Scope.Words has them

	eventsMu sync.Mutex // guards events, and keeps each event whole
	events   ssh.Channel

	channels sync.WaitGroup
	opened   atomic.Int32 // how many channels are open
	emptyAt  atomic.Int64 // boot time at which the last channel was closed, or the session began
}

// ownEnd is the reason for which the device ends a session by itself, as in wire.SessionEnded. The gateway is told.
type ownEnd string

func (e ownEnd) Error() string { return string(e) }

// Main is the whole life of a supervisor process.
func Main(log *slog.Logger) error {
	// Caught and discarded, not ignored, because every program of the session would inherit an ignored signal. The last
	// line has those that are ignored because the agent was started so, and that the Go runtime leaves as they are.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP, syscall.SIGPIPE, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2,
		syscall.SIGCONT, syscall.SIGTSTP, syscall.SIGTTIN, syscall.SIGTTOU)
	if err := proc.KeepDescriptors(); err != nil {
		return fmt.Errorf("keep inherited descriptors from programs: %w", err)
	}
	k, order, err := inherit()
	if err != nil {
		return err
	}
	s, refusal := prepare(order, log)
	if refusal == nil {
		refusal = s.check(k)
	}
	if refusal == nil {
		refusal = s.ready()
	}
	var deaf func()
	if refusal == nil {
		deaf, refusal = s.listen()
	}
	if refusal != nil {
		refuse(k, s.open.Session, 0, refusal)
		return nil
	}
	defer order.State.Unlisten(state.SessionSocket(s.open.Session))
	defer deaf()
	if _, r := k.ask(Question{Op: OpAccepted, Session: s.open.Session}); r != nil {
		return r
	}
	k.conn.Close()
	return s.run()
}

// refuse tells the gateway why an open, or with its number a renewal, was refused.
func refuse(k *keeper, sid id.Session, n uint32, r *state.Refusal) {
	text := r.Text
	if !wire.PlainText(text, wire.MaxGrantText) {
		text = "a check of this machine failed: " + r.Clause
	}
	k.ask(Question{Op: OpRefuse, Session: sid, Refuse: &wire.Refuse{T: wire.TypeRefuse, Session: sid, N: n, Clause: r.Clause, Text: text}})
}

// prepare reads the open and the state that its checks need.
func prepare(o Order, log *slog.Logger) (*session, *state.Refusal) {
	s := &session{order: o, open: &wire.Open{}, began: time.Now(), lastInput: time.Now()}
	open, err := wire.Decode[wire.Open](o.Open)
	if err != nil || len(o.Open) > wire.MaxControl {
		return s, state.Refuse(state.ClausePass, "the message cannot be read")
	}
	s.open, s.log = &open, log.With(slog.String("session", open.Session.String()))
	if s.bundle, err = o.State.Bundle(); err == nil {
		s.keys, err = o.State.Keys()
	}
	if err != nil {
		s.log.Error("the state directory cannot be read", slog.Any("error", err))
		return s, state.Refuse(state.ClauseFault, "this machine's state directory cannot be read")
	}
	s.ctx, s.end = context.WithCancelCause(context.Background())
	s.emptyAt.Store(int64(state.Boot()))
	return s, nil
}

// TreePrefix begins the names of the trees of a device's sessions: another agent on the machine has another one.
func TreePrefix(device wire.Hash) string { return fmt.Sprintf("%x-", device[:4]) }

// ready makes this process the parent of everything that the session will start.
func (s *session) ready() *state.Refusal {
	var err error
	if s.tree, err = proc.NewTree(TreePrefix(s.keys.FP()) + s.open.Session.String()); err != nil {
		return state.Refuse(state.ClauseFault, "this machine cannot hold a session's processes: %v", err)
	}
	if s.account.UID == 0 || s.rules.Whole { // root can reach every process in other ways
		return nil
	}
	if err := s.tree.KeepApart(); err != nil { // `sallyport-agent status` warns of this, as of a missing cgroup
		s.log.Info("the session is not kept apart from others under its login", slog.Any("error", err))
	}
	return nil
}

// run dials and serves until the session is over, and then ends all processes that are left of it.
func (s *session) run() error {
	stop := s.onSignal()
	defer stop()
	var side sync.WaitGroup
	watching, watched := context.WithCancel(context.Background())
	side.Go(func() { s.watch(watching) })
	err := s.serve()
	s.finish()
	watched()
	side.Wait()
	return err
}

// onSignal lets a shutdown of the device end the session properly.
func (s *session) onSignal() func() {
	ch := make(chan os.Signal, 1)
	signal.Notify(ch, syscall.SIGTERM)
	done := make(chan struct{})
	go func() {
		select {
		case <-ch:
			s.end(ownEnd(wire.EndedStopped))
		case <-done:
		}
	}()
	return func() { signal.Stop(ch); close(done) }
}

// serve holds the session line until it or the session ends.
func (s *session) serve() error {
	conn, err := s.dial()
	if err != nil {
		s.log.Warn("the session line could not be dialled", slog.Any("error", err))
		return err
	}
	defer conn.Close()
	lost := make(chan struct{})
	go func() { s.serveSSH(conn); close(lost) }()
	select {
	case <-lost:
		s.hold()
		if s.ctx.Err() != nil {
			s.log.Info("session ended", slog.String("reason", context.Cause(s.ctx).Error()))
		}
	case <-s.ctx.Done():
		s.log.Info("session ended", slog.String("reason", context.Cause(s.ctx).Error()))
		s.endNow()
		conn.Close()
		<-lost
	}
	return nil
}

// hold is called when the line is lost. While something runs, it waits for order.Hold. Then it sends SIGHUP and waits
// for graceTime. The caller kills what is left.
func (s *session) hold() {
	if !s.tree.Alive() {
		return
	}
	s.log.Info("session line lost", slog.Duration("hold", s.order.Hold))
	select {
	case <-time.After(s.order.Hold):
	case <-s.ctx.Done():
		return
	}
	s.tree.Hangup()
	for grace := time.Now().Add(graceTime); time.Now().Before(grace) && s.tree.Alive() && s.ctx.Err() == nil; {
		time.Sleep(50 * time.Millisecond)
		s.tree.Reap()
	}
}

// graceTime is the time between SIGHUP and SIGKILL.
const graceTime = 5 * time.Second

// endNow ends everything at once, and waits a moment for the output that the programs have written.
func (s *session) endNow() {
	left := s.tree.End(2 * time.Second)
	done := make(chan struct{})
	go func() { s.survivors(left); s.channels.Wait(); close(done) }() // a gateway that reads no events delays nothing
	select {
	case <-done:
	case <-time.After(time.Second):
	}
}

// finish makes sure that no process is left, however the session ended.
func (s *session) finish() {
	s.end(errors.New("over"))
	s.survivors(s.tree.End(5 * time.Second))
}

// survivors reports processes that could not be killed, as an event if the line is still up, and through the agent.
func (s *session) survivors(left []proc.Survivor) {
	if len(left) == 0 {
		return
	}
	names := proc.List(left)
	s.log.Error("processes outlived the session", slog.String("processes", names))
	s.event(wire.Event{Kind: wire.EventSurvivors, Argv: []string{names}, Text: "SIGKILL did not end them"})
	var ok bool
	s.order.State.Call(state.AgentSocket, state.Ask{Op: "report", Report: &wire.Report{T: wire.TypeReport,
		Session: s.open.Session, Kind: wire.ReportSurvivors, Text: "SIGKILL did not end: " + names}}, &ok)
}

// listen answers the agent and the owner on the session's socket. Without the socket nobody could end the session from
// outside, so it then refuses.
func (s *session) listen() (stop func(), r *state.Refusal) {
	l, err := s.order.State.Listen(state.SessionSocket(s.open.Session))
	if err != nil {
		s.log.Error("the session's socket cannot be made", slog.Any("error", err))
		return nil, state.Refuse(state.ClauseFault, "this machine cannot make the socket by which its owner ends a session")
	}
	if s.order.State.Frozen() { // the owner froze since the agent looked; a later freeze finds the socket
		closeListener(l)
		s.order.State.Unlisten(state.SessionSocket(s.open.Session))
		return nil, state.FrozenRefusal()
	}
	go state.Serve(l, s.answer)
	return func() { closeListener(l) }, nil
}

func closeListener(l *net.UnixListener) { l.Close() }

func (s *session) answer(ask state.Ask) any {
	switch ask.Op {
	case "end":
		s.end(errors.New(cmp.Or(ask.Reason, "ended")))
		return true
	case "freeze":
		s.end(ownEnd(wire.EndedFrozen))
		return true
	case "renew":
		return state.Talk(func(c net.Conn) { s.renew(keeperOn(c), ask.Renew) })
	case "status":
		return ask.Status != nil && s.takeStatus(*ask.Status, ask.Sent) == nil
	}
	st := "live"
	if s.ctx.Err() != nil {
		st = "ending"
	}
	pass := s.under()
	g := pass.Grant
	return state.Live{Session: s.open.Session, Login: g.Login, Who: g.Subject.Display, Reason: g.Reason, Actions: pass.Scope.Words(), Until: pass.Until(),
		Seconds: int64(time.Since(s.began).Seconds()), PID: os.Getpid(), State: st}
}
