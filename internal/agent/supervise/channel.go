package supervise

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/internal/agent/proc"
	"github.com/sallyport/sallyport/internal/wire"
)

func slogError(err error) slog.Attr  { return slog.Any("error", err) }
func slogText(text string) slog.Attr { return slog.String("text", text) }

// Bounds of a terminal.
const (
	maxCols = 500
	maxRows = 300
	maxLine = 32 << 10 // bytes of a command
)

// channel is one SSH session channel: one program.
type channel struct {
	s  *session
	n  uint32
	ch ssh.Channel

	vars []wire.Variable
	env  []string // vars as a process has them
	pty  *ptyRequest
	bad  string // what was wrong with a request before the start; not empty: the program may not start
	run  *proc.Running
	done chan struct{} // closed when the program has ended and the gateway was told how
	why  sync.Once     // tells the gateway why the device ended the session

	in uint64 // bytes of input so far
}

type ptyRequest struct {
	Term                      string
	Cols, Rows, Width, Height uint32
	Modes                     string
}

func (r *ptyRequest) fits() bool {
	return r.Cols >= 1 && r.Cols <= maxCols && r.Rows >= 1 && r.Rows <= maxRows
}

// serve answers requests until the channel is closed, then waits for what was started.
func (c *channel) serve(reqs <-chan *ssh.Request) {
	for r := range reqs {
		ok := c.request(r)
		if r.WantReply {
			r.Reply(ok, nil)
		}
		if c.run != nil && c.done == nil { // after the reply, because a program that ends at once closes the channel
			c.done = make(chan struct{})
			go c.attend()
		}
	}
	if c.run == nil {
		c.ch.Close()
		return
	}
	c.hangup()
	<-c.done
}

func (c *channel) request(r *ssh.Request) bool {
	switch r.Type {
	case "env":
		return c.setEnv(r.Payload)
	case "pty-req":
		return c.wantTerminal(r.Payload)
	case "shell":
		return c.start("")
	case "exec":
		var m struct{ Command string }
		if ssh.Unmarshal(r.Payload, &m) != nil || m.Command == "" || len(m.Command) > maxLine || strings.ContainsRune(m.Command, 0) {
			return c.wrong("the command is empty, has a zero byte, or is longer than 32 KiB")
		}
		return c.start(m.Command)
	case "window-change":
		return c.resize(r.Payload)
	case "signal":
		var m struct{ Name string }
		return c.run != nil && ssh.Unmarshal(r.Payload, &m) == nil && c.run.Signal(m.Name) == nil
	case "subsystem":
		return c.refuse("file transfer and other subsystems are not offered by this version of the agent")
	case "auth-agent-req@openssh.com":
		return c.refuse("agent forwarding is refused: the technician's keys have no business on this machine")
	case "x11-req":
		return c.refuse("X11 forwarding is refused")
	}
	return false
}

func (c *channel) refuse(text string) bool {
	c.s.refused(c.n, text)
	return false
}

// wrong refuses a malformed request. No policy or owner forbids it, so the event has a source of its own.
func (c *channel) wrong(text string) bool {
	c.s.tellRefused(wire.Event{Channel: c.n, Source: wire.SourceRequest, Text: text})
	return false
}

// spoil refuses a malformed request before the start, and keeps the program from starting. So a gateway need not wait
// for the answers to such requests.
func (c *channel) spoil(text string) bool {
	c.bad = text
	return c.wrong(text)
}

// setEnv accepts locale variables only, because any other variable could make a program do anything.
func (c *channel) setEnv(payload []byte) bool {
	var v wire.Variable
	if ssh.Unmarshal(payload, &v) != nil || c.run != nil {
		return c.spoil("the environment was sent wrongly")
	}
	vars := append(slices.Clone(c.vars), v)
	if err := wire.CheckLocale(vars); err != nil {
		return c.spoil(err.Error())
	}
	c.vars, c.env = vars, append(c.env, v.String())
	return true
}

// wantTerminal checks and keeps the requested terminal for the start.
func (c *channel) wantTerminal(payload []byte) bool {
	var m ptyRequest
	switch {
	case ssh.Unmarshal(payload, &m) != nil || c.run != nil || c.pty != nil:
		return c.spoil("the terminal was asked for wrongly")
	case !m.fits():
		return c.spoil(fmt.Sprintf("a terminal has 1 to %d columns and 1 to %d rows", maxCols, maxRows))
	}
	if err := wire.CheckTerm(m.Term); err != nil {
		return c.spoil(err.Error())
	}
	c.pty = &m
	return true
}

func (c *channel) resize(payload []byte) bool {
	var m struct{ Cols, Rows, Width, Height uint32 }
	if ssh.Unmarshal(payload, &m) != nil || c.run == nil || c.run.Terminal == nil || !(&ptyRequest{Cols: m.Cols, Rows: m.Rows}).fits() {
		return false
	}
	return c.run.Terminal.Resize(uint16(m.Cols), uint16(m.Rows)) == nil
}

// spec decides what to start: an exact command without a shell, or the shell, which also runs any other command. It
// returns the reason if neither may start.
func (c *channel) spec(line string) (proc.Spec, string) {
	spec := proc.Spec{Account: c.s.account, Env: c.env}
	argv := authz.SplitCommand(line)
	action, why := c.s.choose(argv, c.pty != nil)
	if why != "" {
		return spec, why
	}
	c.s.use(action)
	if action.Kind == authz.Run {
		spec.Argv = argv
		return spec, ""
	}
	spec.Line = line
	if c.pty != nil {
		spec.PTY, spec.Cols, spec.Rows = true, uint16(c.pty.Cols), uint16(c.pty.Rows)
		spec.Env = append(spec.Env, "TERM="+c.pty.Term)
	}
	return spec, ""
}

func (c *channel) start(line string) bool {
	if c.run != nil {
		return c.wrong("one channel runs one program")
	}
	if c.bad != "" {
		return c.wrong(c.bad)
	}
	spec, why := c.spec(line)
	if why != "" {
		return c.refuse(why)
	}
	run, err := c.s.tree.Start(spec)
	if err != nil {
		c.s.tellRefused(wire.Event{Channel: c.n, Source: wire.SourceExec, Text: fmt.Sprintf("the program did not start: %v", err)})
		return false
	}
	c.run = run
	c.s.event(wire.Event{Kind: wire.EventCommand, Channel: c.n, Source: wire.SourceExec, Argv: shown(run.Argv), PID: uint32(run.PID())})
	return true
}

// shown shortens a command line so that its event stays within wire.MaxEvent.
func shown(argv []string) []string {
	out := make([]string, 0, len(argv))
	room := wire.MaxEvent / 2
	for _, a := range argv {
		a = strings.ToValidUTF8(a, "\uFFFD")
		if len(a) > room {
			a = strings.ToValidUTF8(a[:room], "")
		}
		out, room = append(out, a), room-len(a)
		if room <= 0 || len(out) == 1000 {
			break
		}
	}
	return out
}

// attend carries the program's bytes and reports its end: all output, then the status, then EOF, then close.
func (c *channel) attend() {
	defer close(c.done)
	defer context.AfterFunc(c.s.ctx, c.tellWhy)() // at once, even if the gateway takes no output
	var out sync.WaitGroup
	var cut atomic.Bool
	ended, flow := make(chan struct{}), newOutflow(c.ch)
	if t := c.run.Terminal; t != nil {
		defer t.Close()
		out.Go(func() { pump(flow.to(c.ch), t, ended, t.Drain) })
		go c.typed(t)
	} else {
		defer c.run.Stdin.Close()
		defer c.run.Stdout.Close()
		defer c.run.Stderr.Close()
		carry := func(to io.Writer, from *os.File) {
			if pump(flow.to(to), from, ended, func() { proc.Drain(from) }) {
				cut.Store(true)
			}
		}
		out.Go(func() { carry(c.ch, c.run.Stdout) })
		out.Go(func() { carry(c.ch.Stderr(), c.run.Stderr) })
		go c.piped()
	}
	exit := c.run.Wait()
	close(ended)
	if t := c.run.Terminal; t != nil {
		t.Ended()
	} else {
		proc.Drain(c.run.Stdout)
		proc.Drain(c.run.Stderr)
	}
	if out.Wait(); cut.Load() && c.s.ctx.Err() == nil {
		c.ch.SendRequest(wire.CutRequest, false, nil)
	}
	c.s.event(wire.Event{Kind: wire.EventCommand, Channel: c.n, Source: wire.SourceExec, PID: uint32(c.run.PID()), Ended: true, Status: uint32(exit.Status), Signal: exit.Signal})
	c.tell(exit)
}

// tellWhy tells the gateway why the device ended the session, if it did so by itself.
func (c *channel) tellWhy() {
	c.why.Do(func() {
		if own, ok := errors.AsType[ownEnd](context.Cause(c.s.ctx)); ok {
			c.ch.SendRequest(wire.EndedRequest, false, wire.SessionEnded{Reason: string(own)}.Marshal())
		}
	})
}

// tell reports how the program ended, and before that why, if the device ended the session. Without the reason the
// gateway would take it for a program that ended by itself.
func (c *channel) tell(exit proc.Exit) {
	c.tellWhy()
	if exit.Signal != "" {
		c.ch.SendRequest("exit-signal", false, ssh.Marshal(struct {
			Name       string
			Core       bool
			Text, Lang string
		}{exit.Signal, exit.Core, "", ""}))
	} else {
		c.ch.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{uint32(exit.Status)}))
	}
	c.ch.CloseWrite()
	c.ch.Close()
}

// hangup ends a program whose channel the gateway has closed while the session line is still up.
func (c *channel) hangup() {
	select {
	case <-c.done:
		return
	default:
	}
	if c.lineLost() {
		return // hold ends what runs
	}
	c.run.Signal("HUP")
	select {
	case <-c.done:
	case <-time.After(graceTime):
		c.run.Signal("KILL")
	}
}

// lineLost reports whether the whole connection is closed, and not only the channel. Only then does the session hold
// what runs.
func (c *channel) lineLost() bool {
	c.s.mu.Lock()
	conn := c.s.conn
	c.s.mu.Unlock()
	_, _, err := conn.SendRequest("keepalive@sallyport", true, nil)
	return err != nil
}
