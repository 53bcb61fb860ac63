package proc

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Spec says what to start.
type Spec struct {
	Account Account
	Argv    []string // empty: a login shell
	Line    string   // a command line for the login's shell; excludes Argv
	Env     []string // LANG, LC_*, TERM
	PTY     bool
	Cols    uint16
	Rows    uint16
}

// Running is a started program.
type Running struct {
	Terminal *Terminal // with a PTY
	Stdin    *os.File  // without
	Stdout   *os.File
	Stderr   *os.File
	Argv     []string

	tree *Tree
	cmd  *exec.Cmd
}

// Start starts a program in the tree. The error says why it could not: the account has no shell, the session has ended,
// or what the kernel said.
func (t *Tree) Start(s Spec) (*Running, error) {
	cmd, err := s.command()
	if err != nil {
		return nil, err
	}
	r := &Running{tree: t, cmd: cmd, Argv: cmd.Args}
	if s.PTY {
		return r, r.startAtTerminal(s)
	}
	return r, r.startPlain()
}

func (s Spec) command() (*exec.Cmd, error) {
	a := s.Account
	cmd := &exec.Cmd{Env: a.Environ(s.Env...), Dir: a.Home, SysProcAttr: &syscall.SysProcAttr{Setsid: true}}
	switch {
	case len(s.Argv) > 0:
		cmd.Path, cmd.Args = s.Argv[0], s.Argv
	case a.Shell == "":
		return nil, fmt.Errorf("the account %s has no shell on this machine", a.Name)
	case s.Line != "":
		cmd.Path, cmd.Args = a.Shell, []string{filepath.Base(a.Shell), "-c", s.Line}
	default:
		cmd.Path, cmd.Args = a.Shell, []string{"-" + filepath.Base(a.Shell)}
	}
	if os.Geteuid() == 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: a.UID, Gid: a.GID, Groups: a.Groups}
	}
	return cmd, nil
}

// launch starts the command. If that fails, it tries again in the directory /, because the login may have no home that
// it can enter.
func (r *Running) launch() error {
	elsewhere := again(r.cmd)
	elsewhere.Dir = "/"
	cmd, err := r.tree.start(r.cmd)
	if err != nil && r.cmd.Dir != "/" {
		cmd, err = r.tree.start(elsewhere)
	}
	if err != nil {
		return fmt.Errorf("start %s: %w", r.cmd.Path, err)
	}
	r.cmd = cmd
	return nil
}

// startPlain starts without a terminal: three pipes of the kernel, so that each end sees the other's end.
func (r *Running) startPlain() error {
	var theirs, ours [3]*os.File
	var err error
	for i := range 3 {
		var rd, wr *os.File
		if rd, wr, err = os.Pipe(); err != nil {
			break
		}
		theirs[i], ours[i] = wr, rd
		if i == 0 {
			theirs[i], ours[i] = rd, wr
		}
	}
	r.cmd.Stdin, r.cmd.Stdout, r.cmd.Stderr = theirs[0], theirs[1], theirs[2]
	if err == nil {
		err = r.launch()
	}
	for i := range 3 {
		theirs[i].Close()
		if err != nil {
			ours[i].Close()
		}
	}
	r.Stdin, r.Stdout, r.Stderr = ours[0], ours[1], ours[2]
	return err
}

func (r *Running) startAtTerminal(s Spec) error {
	t, err := openTerminal(s.Account)
	if err != nil {
		return err
	}
	t.Resize(s.Cols, s.Rows)
	r.cmd.Stdin, r.cmd.Stdout, r.cmd.Stderr = t.slave, t.slave, t.slave
	r.cmd.SysProcAttr.Setctty = true
	r.cmd.Env = append(r.cmd.Env, "SSH_TTY="+t.slave.Name())
	if err := r.launch(); err != nil {
		t.Close()
		return err
	}
	r.Terminal = t
	return nil
}

// PID returns the process id of the program.
func (r *Running) PID() int { return r.cmd.Process.Pid }

// Exit is how a program ended: by itself with a status, or by a signal.
type Exit struct {
	Status int
	Signal string // without SIG; empty: it ended by itself
	Core   bool
}

// Wait waits for the program itself, not for processes that it left behind. It returns status 255 if the wait failed.
func (r *Running) Wait() Exit {
	err := r.cmd.Wait()
	r.tree.forget(r.PID())
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) {
		return Exit{Status: 255}
	}
	ws, ok := r.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if ok && ws.Signaled() {
		return Exit{Signal: signalName(ws.Signal()), Core: ws.CoreDump()}
	}
	return Exit{Status: r.cmd.ProcessState.ExitCode()}
}

// Signal sends a signal as a terminal does, to the foreground group, or without a terminal to the program's own group.
// It signals only processes that the session started, because the id of a group that has ended may be used again, and
// the agent may be root. name is the signal's name without SIG. The error says that the name is unknown, or that no
// process is running that the signal is for.
func (r *Running) Signal(name string) error {
	sig, ok := signals[name]
	if !ok {
		return fmt.Errorf("%.20q is not a signal", name)
	}
	group := r.PID()
	if r.Terminal != nil {
		if fg := r.Terminal.foreground(); fg > 1 {
			group = fg
		}
	}
	sent := false
	for _, p := range r.tree.members() {
		if p.pgrp == group {
			p.signal(sig)
			sent = true
		}
	}
	if !sent {
		return errors.New("nothing runs that the signal is for")
	}
	return nil
}

// DrainTime is how long output may pause after its program has ended. It is bounded because a process that the program
// left behind may hold the other end for ever.
const DrainTime = 10 * time.Second

// Drain lets reads of f wait for DrainTime from now. The caller calls it when the program has ended, and again after
// each read that returned output. A later read returns os.ErrDeadlineExceeded.
func Drain(f *os.File) { f.SetReadDeadline(time.Now().Add(DrainTime)) }

// signals are those of RFC 4254 section 6.10.
var signals = map[string]unix.Signal{"ABRT": unix.SIGABRT, "ALRM": unix.SIGALRM, "FPE": unix.SIGFPE, "HUP": unix.SIGHUP, "ILL": unix.SIGILL,
	"INT": unix.SIGINT, "KILL": unix.SIGKILL, "PIPE": unix.SIGPIPE, "QUIT": unix.SIGQUIT, "SEGV": unix.SIGSEGV, "TERM": unix.SIGTERM,
	"USR1": unix.SIGUSR1, "USR2": unix.SIGUSR2}

func signalName(sig syscall.Signal) string {
	for name, s := range signals {
		if s == sig {
			return name
		}
	}
	return fmt.Sprintf("%d@sallyport", int(sig))
}
