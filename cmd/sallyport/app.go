package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log" //nolint:depguard // to silence it: net/http writes to the standard logger
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/sallyport/sallyport/internal/client"
	"github.com/sallyport/sallyport/internal/errkind"
)

// app is what a command gets: where to read and write, and how to reach the gateway.
type app struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	commands       *commands
	model          *kong.Application
	parsed         *kong.Context // nil before the arguments are read

	ctx  context.Context // made by the first call of context
	done context.CancelFunc
}

// context is cancelled by Ctrl-C and by SIGTERM.
func (a *app) context() context.Context {
	if a.ctx == nil {
		a.ctx, a.done = signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	}
	return a.ctx
}

func (a *app) stop() {
	if a.done != nil {
		a.done()
	}
}

// client makes a client of the gateway with the API token of SALLYPORT_TOKEN, or else with the person's sign-in.
func (a *app) client() (*client.Client, error) {
	token, err := tokenOfEnvironment()
	if err != nil {
		return nil, err
	}
	cfg, err := client.LoadConfig()
	if err != nil && token == "" {
		return nil, err
	}
	if cfg == nil {
		cfg = &client.Config{}
	}
	o := client.Options{Gateway: a.commands.Gateway, Bearer: token, CAFile: a.commands.CA}
	if o.Gateway == "" {
		o.Gateway = cfg.Gateway
	}
	u, err := client.ParseGateway(o.Gateway)
	if err != nil {
		return nil, err
	}
	login, ok := cfg.Logins[u.String()]
	if o.CAFile == "" {
		o.CAFile = login.CAFile
	}
	if o.Bearer == "" {
		if !ok {
			return nil, errkind.New(errkind.Signin, "you are not signed in to "+u.String()).WithHint("Run `sallyport login --gateway " + u.String() + "`.")
		}
		o.Bearer = login.Bearer
	} else {
		o.BearerFrom = tokenVariable
	}
	return connect(o)
}

// connect makes a client. http.Transport writes bytes that a server sends before it is asked to the standard logger,
// which is this person's terminal.
func connect(o client.Options) (*client.Client, error) {
	log.SetOutput(io.Discard)
	return client.New(o)
}

// status tells what went wrong and gives the exit status for it.
func (a *app) status(err error) int {
	var code exitStatus
	switch {
	case err == nil:
		return 0
	case errors.As(err, &code):
		return int(code)
	case errors.Is(err, context.Canceled):
		return 130
	case errors.Is(err, syscall.EPIPE):
		return 1 // whoever read our output has seen enough
	}
	a.tell(err)
	if e, ok := errkind.Of(err); ok {
		return e.Kind.Exit()
	}
	return 1
}

// exitStatus is an error that only says how to exit; what there is to say was said.
type exitStatus int

func (e exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// tell writes an error for people: what and why, then what to do.
func (a *app) tell(err error) {
	err = inOptions(err, a.parsed)
	text, hint := err.Error(), ""
	if e, ok := errkind.Of(err); ok {
		text, hint = e.Text, e.Hint
	}
	fmt.Fprintln(a.stderr, "sallyport: "+safe(text))
	if hint != "" {
		fmt.Fprintln(a.stderr, safe(hint))
	}
}

func usageError(text, hint string) error { return errkind.New(errkind.Usage, text).WithHint(hint) }
