package agent

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sallyport/sallyport/internal/agent/state"
	"github.com/sallyport/sallyport/internal/agent/supervise"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/wire"
)

// decideTime bounds all that a supervisor may take to agree or refuse.
const decideTime = 30 * time.Second

// open starts a supervisor for a session. The message is handed on as it came. What is refused by rate costs no process, and
// one decides at a time: of a gateway that sends many at once none must find the place of another still free.
func (a *Agent) open(l *line, raw []byte) {
	m, err := wire.Decode[wire.Open](raw)
	if err != nil || m.Session.IsZero() {
		a.cfg.Log.Warn("an open cannot be read", slog.Any("error", err))
		return
	}
	if r := a.trust.Begin(); r != nil {
		l.refuse(wire.Refuse{T: wire.TypeRefuse, Session: m.Session, Clause: r.Clause, Text: r.Text})
		return
	}
	a.children.Go(func() {
		a.deciding.Lock()
		defer a.deciding.Unlock()
		if err := a.supervise(l, m.Session, raw); err != nil {
			a.cfg.Log.Error("a supervisor failed", slog.String("session", m.Session.String()), slog.Any("error", err))
			l.send(wire.Refuse{T: wire.TypeRefuse, Session: m.Session, Clause: state.ClauseFault, Text: "the supervisor of the session failed on this machine"})
		}
	})
}

// supervise starts the process and answers it until it has decided. Waiting for its end is somebody else's.
func (a *Agent) supervise(l *line, sid id.Session, raw []byte) error {
	dialer, err := a.dialer()
	if err != nil {
		return err
	}
	ours, err := a.spawn()
	if err != nil {
		return err
	}
	defer ours.Close()
	ours.SetDeadline(time.Now().Add(decideTime))
	if err := json.NewEncoder(ours).Encode(supervise.Order{State: a.cfg.State, Open: raw, Dial: dialer,
		Fallback: a.cfg.Fallback}); err != nil {
		return err
	}
	return a.converse(l, ours, sid)
}

// converse answers a supervisor's questions until it has decided.
func (a *Agent) converse(l *line, conn net.Conn, sid id.Session) error {
	enc, dec := json.NewEncoder(conn), json.NewDecoder(conn)
	for {
		var q supervise.Question
		if err := dec.Decode(&q); err != nil {
			if errors.Is(err, io.EOF) {
				return errors.New("it ended without a decision")
			}
			return err
		}
		answer, decided := a.keep(l, sid, q)
		if err := enc.Encode(answer); err != nil || decided {
			return err
		}
	}
}

// spawn re-executes this program as a supervisor in a session of its own, so that it outlives the agent.
func (a *Agent) spawn() (net.Conn, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "supervisor"), os.NewFile(uintptr(fds[1]), "keeper")
	defer ours.Close()
	defer theirs.Close()
	cmd := exec.Command("/proc/self/exe", "supervise")
	cmd.Args[0] = "sallyport-agent"
	cmd.Stderr = os.Stderr
	cmd.Dir = "/"
	cmd.ExtraFiles = []*os.File{theirs}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := a.supervisors.start(cmd, a.sweep); err != nil {
		return nil, err
	}
	return net.FileConn(ours)
}

func (l *line) refuse(r wire.Refuse) {
	l.a.cfg.Log.Warn("session refused", slog.String("session", r.Session.String()), slog.Uint64("n", uint64(r.N)), slog.String("clause", r.Clause), slog.String("why", r.Text))
	l.send(r)
}

// keep answers one question about what sessions share.
func (a *Agent) keep(l *line, sid id.Session, q supervise.Question) (answer supervise.Answer, decided bool) {
	if q.Session != sid {
		answer.Refusal = state.Refuse(state.ClauseFault, "a supervisor speaks for its own session only")
		return answer, false
	}
	switch q.Op {
	case supervise.OpSession:
		if live := len(a.cfg.State.Sessions()); q.Most > 0 && uint64(live) >= q.Most {
			answer.Refusal = state.Refuse(state.ClauseRate, "%d sessions run on this machine, and the pass allows no more", live)
			break
		}
		answer.Refusal = a.trust.TakeSession(sid, q.Until)
	case supervise.OpKeep:
		answer.Refusal = a.trust.KeepSession(sid, q.Until)
	case supervise.OpNonce:
		answer.Sent, answer.Refusal = a.trust.SentAt(q.Nonce)
	case supervise.OpEpoch:
		answer.Refusal = a.trust.Raise(q.Epoch, q.Time)
	case supervise.OpHead:
		answer.Head = a.trust.Head()
	case supervise.OpExtend:
		answer.Head, answer.Refusal = a.trust.Extend(a.currentBundle().Log, q.Checkpoint, q.Proof)
	case supervise.OpAccepted:
		l.sendPing() // first, so that the next proof begins at this head
		l.send(wire.Accepted{T: wire.TypeAccepted, Session: sid, N: q.N})
		a.cfg.Log.Info("session accepted", slog.String("session", sid.String()), slog.Uint64("n", uint64(q.N)))
		return answer, true
	case supervise.OpRefuse:
		if q.Refuse != nil {
			l.sendPing() // first, so that the next proof begins at this head
			l.refuse(*q.Refuse)
		}
		return answer, true
	}
	return answer, false
}
