package state

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/wire"
)

// Ask is a question to the agent or to a supervisor, over its socket in the run directory. Each connection carries one
// question and one answer, so that a process that was restarted has no earlier exchange to continue.
type Ask struct {
	Op     string        `json:"op"` // info, end, status, renew; of the agent: status, report, changed, network
	Reason string        `json:"reason,omitempty"`
	Status *wire.Signed  `json:"status,omitempty"`
	Sent   time.Duration `json:"sent,omitempty"` // boot time at which the status' nonce was sent
	Report *wire.Report  `json:"report,omitempty"`
	Renew  []byte        `json:"renew,omitempty"` // the gateway's message, as it came
}

// Talk is an answer with further exchanges: the process that was asked asks back over the same connection. The
// connection is closed when Talk returns.
type Talk func(c net.Conn)

// Live is what a supervisor tells about its session.
type Live struct {
	Session id.Session `json:"session"`
	Login   string     `json:"login"`
	Who     string     `json:"who"`
	Reason  string     `json:"reason"`
	Actions []string   `json:"actions"`
	Until   time.Time  `json:"until"`
	Seconds int64      `json:"seconds"` // since it began
	PID     int        `json:"pid"`     // the supervisor's
	State   string     `json:"state"`
}

// maxLocal bounds a question or an answer.
const maxLocal = 64 << 10

// sockPath reaches a socket through an open directory: a socket's address holds 107 bytes, a state directory's path may be longer.
func (d Dir) sockPath(name string) (path string, done func(), err error) {
	fd, err := unix.Open(d.RunDir(), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", nil, fmt.Errorf("run directory: %w", err)
	}
	return fmt.Sprintf("/proc/self/fd/%d/%s", fd, name), func() { unix.Close(fd) }, nil
}

// Listen makes a socket in the run directory, for this user only. The socket gets its name only once it listens,
// because a caller that finds a name where no process listens removes it as that of a dead process.
func (d Dir) Listen(name string) (*net.UnixListener, error) {
	making := name + ".new"
	path, done, err := d.sockPath(making)
	if err != nil {
		return nil, err
	}
	defer done()
	os.Remove(path)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	l.SetUnlinkOnClose(false) // by the descriptor's path, which is gone then
	made := filepath.Join(d.RunDir(), making)
	if err = os.Chmod(made, 0o600); err == nil {
		err = os.Rename(made, filepath.Join(d.RunDir(), name))
	}
	if err != nil {
		l.Close()
		return nil, fmt.Errorf("listen: %w", err)
	}
	return l, nil
}

// Unlisten removes a socket's name.
func (d Dir) Unlisten(name string) { os.Remove(filepath.Join(d.RunDir(), name)) }

// Call asks one question.
func (d Dir) Call(name string, ask Ask, answer any) error {
	c, err := d.begin(name, ask)
	if err != nil {
		return err
	}
	defer c.Close()
	line, err := readLine(c)
	if err != nil {
		return err
	}
	return wire.LooseJSON(line, answer)
}

// begin connects and asks.
func (d Dir) begin(name string, ask Ask) (net.Conn, error) {
	path, done, err := d.sockPath(name)
	if err != nil {
		return nil, err
	}
	defer done()
	c, err := net.DialTimeout("unix", path, 2*time.Second)
	if err != nil {
		return nil, err
	}
	c.SetDeadline(time.Now().Add(5 * time.Second))
	if err := json.NewEncoder(c).Encode(ask); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// Serve answers questions until the listener is closed.
func Serve(l *net.UnixListener, answer func(Ask) any) {
	for {
		c, err := l.AcceptUnix()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			if !ownUser(c) {
				return
			}
			c.SetDeadline(time.Now().Add(5 * time.Second))
			line, err := readLine(c)
			var ask Ask
			if err != nil || wire.LooseJSON(line, &ask) != nil {
				return
			}
			said := answer(ask)
			if talk, ok := said.(Talk); ok {
				talk(c)
				return
			}
			json.NewEncoder(c).Encode(said)
		}()
	}
}

// ownUser admits the agent's user and root: file modes say the same, but a directory can be opened by mistake.
func ownUser(c *net.UnixConn) bool {
	raw, err := c.SyscallConn()
	if err != nil {
		return false
	}
	ok := false
	raw.Control(func(fd uintptr) {
		cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
		ok = err == nil && (cred.Uid == 0 || int(cred.Uid) == os.Geteuid())
	})
	return ok
}

func readLine(c net.Conn) ([]byte, error) {
	r := bufio.NewReaderSize(c, maxLocal)
	line, err := r.ReadSlice('\n')
	return line, err
}

// AgentSocket is the running agent's.
const AgentSocket = "agent.sock"

// SessionSocket is a supervisor's.
func SessionSocket(sid id.Session) string { return sid.String() + ".sock" }

// Sessions names the sessions that have a socket here. A socket that nobody answers belongs to a supervisor that was
// killed; its name is removed.
func (d Dir) Sessions() []id.Session {
	entries, _ := os.ReadDir(d.RunDir())
	var out []id.Session
	for _, e := range entries {
		text, ok := strings.CutSuffix(e.Name(), ".sock")
		if sid, err := id.ParseSession(text); ok && err == nil {
			out = append(out, sid)
		}
	}
	return out
}

// CallSession asks a supervisor.
func (d Dir) CallSession(sid id.Session, ask Ask, answer any) error {
	return d.alive(sid, d.Call(SessionSocket(sid), ask, answer))
}

// HolderOf returns the id of the process that listens on a session's socket, which is its supervisor. It also works if
// the supervisor is stopped, because the kernel accepts the connection and tells the listener's id. The error says that
// no process listens.
func (d Dir) HolderOf(sid id.Session) (pid int, err error) {
	path, done, err := d.sockPath(SessionSocket(sid))
	if err != nil {
		return 0, err
	}
	defer done()
	c, err := net.DialTimeout("unix", path, 2*time.Second)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	raw, err := c.(*net.UnixConn).SyscallConn()
	if err != nil {
		return 0, err
	}
	var peer *unix.Ucred
	failed := raw.Control(func(fd uintptr) {
		peer, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err := cmp.Or(failed, err); err != nil {
		return 0, err
	}
	return int(peer.Pid), nil
}

// TalkToSession asks a supervisor a question to which it answers with a Talk, over the connection that is returned.
func (d Dir) TalkToSession(sid id.Session, ask Ask) (net.Conn, error) {
	c, err := d.begin(SessionSocket(sid), ask)
	return c, d.alive(sid, err)
}

// alive removes the socket of a supervisor that was killed.
func (d Dir) alive(sid id.Session, err error) error {
	if errors.Is(err, unix.ECONNREFUSED) {
		d.Unlisten(SessionSocket(sid))
	}
	return err
}
