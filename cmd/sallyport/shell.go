package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/term"

	"github.com/sallyport/sallyport/internal/client"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/web/apitype"
)

type shellCmd struct {
	Device  string   `arg:"" help:"The device's name."`
	Argv    []string `arg:"" optional:"" name:"command" help:"A command and its arguments, after \"--\". Without one: a terminal."`
	Login   string   `short:"l" placeholder:"L" help:"The login on the device. May be left out where there is only one for you."`
	TTY     bool     `short:"t" name:"tty" help:"Give the command a terminal."`
	NoTTY   bool     `short:"T" name:"no-tty" help:"No terminal, even for a shell."`
	Reason  because  `short:"r" placeholder:"TEXT" help:"What the session is for; shown to the owner and kept in the record."`
	Ticket  string   `placeholder:"T" help:"The ticket, where the policy asks for one."`
	Verbose bool     `short:"v" help:"Show notices also where stderr is not a terminal."`
}

func (*shellCmd) Help() string {
	return `The session is recorded. Output of the command and its errors stay apart (stdout, stderr) unless it has a terminal.
Arguments reach the command as they are given here; where the device puts a shell in between, they are quoted for it.

The device gets your TERM, LANG and the POSIX LC_* variables. A value that a session cannot take is replaced by
TERM=xterm-256color or C.UTF-8, and a line on stderr says so.

When a session ends, everything that it started on the device is killed, also in the background and with nohup. To leave
something running, start it as a service of the device. While it runs, its programs can signal and debug only each other,
also with sudo, unless the device's owner allows more. Restart services with "sudo systemctl restart".

In a terminal of your own, Enter ~ . ends the session, Enter ~ + requests more time, Enter ~ ~ types one ~. Without one,
interrupt twice within a second to end it.
If the gateway does not answer then, the command ends after 5 s with status 255.`
}

// ownFailure is the exit status of a shell that failed itself, as with ssh.
const ownFailure = 255

func (c *shellCmd) Run(a *app) error {
	cl, err := a.client()
	if err == nil {
		err = c.open(a, cl)
	}
	if err == nil {
		return nil
	}
	if code, ok := err.(exitStatus); ok {
		return code
	}
	a.tell(err)
	switch kind := errkind.KindOf(err); kind {
	case errkind.Denied, errkind.Usage:
		return exitStatus(kind.Exit())
	}
	return exitStatus(ownFailure)
}

func (c *shellCmd) open(a *app, cl *client.Client) error {
	local := localTerminal(a)
	pty := c.TTY || len(c.Argv) == 0 && local != nil && !c.NoTTY
	ask := apitype.SessionNew{Device: c.Device, Login: c.Login, Program: apitype.Program{Argv: c.Argv, PTY: pty},
		Purpose: string(c.Reason), Ticket: c.Ticket, Front: "cli"}
	if pty {
		ask.Cols, ask.Rows = local.size()
	}
	ourEnvironment(a, &ask)
	signals := heard()
	ctx, cancel := signal.NotifyContext(context.Background(), signals...)
	defer cancel()
	ticket, err := cl.Open(ctx, ask)
	if stepUp(a, err) {
		if cl, err = signedInAgain(a); err == nil {
			ticket, err = cl.Open(ctx, ask)
		}
	}
	if err != nil {
		return err
	}
	for _, line := range ticket.Notice {
		c.notice(a, line)
	}
	t, err := cl.Terminal(ctx, ticket)
	if err != nil {
		return err
	}
	defer t.Close()
	cancel() // from here on signals are the program's
	more := &moreTime{cl: cl, session: ticket.Session, tell: func(text string) { c.notice(a, "sallyport: "+text, pty && local != nil) }}
	return c.carry(a, t, more, local, pty, signals)
}

// carry moves bytes until the session ends.
func (c *shellCmd) carry(a *app, t *client.Terminal, more *moreTime, local *local, pty bool, signals []os.Signal) error {
	raw, leave := pty && local != nil, newLeaving(t)
	defer forward(t, leave, raw, signals)()
	if raw {
		restore, err := local.raw()
		if err != nil {
			return fmt.Errorf("set the terminal up: %w", err)
		}
		defer restore()
		defer local.follow(t)()
	}
	go c.typed(a.stdin, t, leave, more, raw)
	return leave.wait(a, func() error { return c.show(a, t, more, raw) })
}

// show shows the session until it ends.
func (c *shellCmd) show(a *app, t *client.Terminal, more *moreTime, raw bool) error {
	var why string // the session ended, in the gateway's words
	end, err := t.Run(a.stdout, a.stderr, func(kind, text string) {
		switch kind {
		case "ended":
			why = text
		case "more-time":
			more.ask(true)
		case "time":
			if raw {
				text += "; Enter ~ + requests more time"
			}
		}
		if raw || slices.Contains(ours, kind) {
			text = "sallyport: " + text
		}
		if kind == "cut" { // a script must not take what it got for all
			fmt.Fprintln(a.stderr, safe(text))
			return
		}
		c.notice(a, text, raw)
	})
	if err != nil {
		return err
	}
	return outcome(end, why)
}

// ours are the kinds of notices that begin with "sallyport: " also if our stdin is not a terminal.
var ours = []string{"ended", "refused", "time", "renewed", "more-time", "slow", "cut"}

// typed sends what is typed. With a terminal of our own it watches for the escape.
func (c *shellCmd) typed(stdin io.Reader, t *client.Terminal, leave *leaving, more *moreTime, raw bool) {
	if !raw {
		io.Copy(t, onlyReader{stdin})
		t.CloseInput()
		return
	}
	ahead := aheadOf(t)
	go func() {
		ahead.pass()
		t.CloseInput()
	}()
	io.Copy(&escape{to: ahead, end: leave.end, more: func() { more.ask(false) }}, onlyReader{polled(stdin)})
	ahead.close()
}

// onlyReader hides WriterTo, so that io.Copy reads in stretches.
type onlyReader struct{ io.Reader }

// notice says something to the technician. The gateway's words never imitate the device's: they are dimmed where there
// are colours, and go to stderr.
func (c *shellCmd) notice(a *app, text string, raw ...bool) {
	f, ok := a.stderr.(*os.File)
	tty := ok && term.IsTerminal(int(f.Fd()))
	if !tty && !c.Verbose {
		return
	}
	text = safe(strings.ReplaceAll(text, "\n", " "))
	if tty && os.Getenv("NO_COLOR") == "" {
		text = "\x1b[2m" + text + "\x1b[0m"
	}
	end := "\n"
	if len(raw) > 0 && raw[0] {
		end = "\r\n"
	}
	fmt.Fprint(a.stderr, text+end)
}

func outcome(end apitype.TerminalControl, why string) error {
	switch {
	case end.Status != nil && *end.Status == 0:
		return nil
	case end.Status != nil:
		return exitStatus(*end.Status)
	case end.Signal != "":
		if n := signalNumber(end.Signal); n > 0 {
			return exitStatus(128 + n)
		}
		return exitStatus(ownFailure)
	case end.Reason == "exit" || end.Reason == "technician":
		return exitStatus(ownFailure)
	}
	return errkind.New(errkind.Unavailable, "the session has ended: "+cmp.Or(why, end.Reason))
}

// signalNumber gives the number a POSIX shell would add to 128.
func signalNumber(name string) int {
	for n, s := range map[int]string{1: "HUP", 2: "INT", 3: "QUIT", 4: "ILL", 5: "TRAP", 6: "ABRT", 8: "FPE", 9: "KILL", 10: "USR1", 11: "SEGV", 12: "USR2", 13: "PIPE", 14: "ALRM", 15: "TERM"} {
		if s == name {
			return n
		}
	}
	return 0
}

// forwarded are the signals that the program on the device gets when we get them.
var forwarded = map[os.Signal]string{os.Interrupt: "INT", syscall.SIGTERM: "TERM", syscall.SIGQUIT: "QUIT", syscall.SIGHUP: "HUP"}

// heard gives those that whoever started us has not turned off, as nohup does. It is asked before anything else listens.
func heard() []os.Signal {
	return slices.DeleteFunc(slices.Collect(maps.Keys(forwarded)), signal.Ignored)
}
