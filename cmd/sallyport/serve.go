//go:build cgo && linux

package main

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os/signal"
	"strings"
	"syscall"

	"github.com/coreos/go-systemd/v22/daemon"

	"github.com/sallyport/sallyport/internal/config"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/node"
	"github.com/sallyport/sallyport/internal/readfile"
)

type serveCmd struct {
	Config string `required:"" type:"path" placeholder:"FILE" help:"The configuration: docs/config.md."`
	Single bool   `help:"Run the signer in this process even if the configuration names its socket."`
}

func (*serveCmd) Help() string {
	return `Serves until SIGTERM or Ctrl-C. Then it drains: new sessions are refused with the reason, running ones are told and have
[site] drain_at_most to finish; a second signal ends it at once. Under systemd it says READY, STOPPING and, with WatchdogSec, WATCHDOG.`
}

// Run serves until SIGTERM, then drains.
func (c *serveCmd) Run(a *app) error {
	cfg, err := loadConfig(c.Config, (*config.Config).CheckFiles)
	if err != nil {
		return err
	}
	if c.Single {
		cfg.Signer.Socket = ""
	}
	context.AfterFunc(a.context(), a.stop) // a second signal ends it at once
	signal.Ignore(syscall.SIGHUP)          // a habit of operators; files of certificates are read again when they change
	return inWords(node.Serve(a.context(), cfg, cfg.Logger(a.stderr), notify))
}

type signerCmd struct {
	Config string `required:"" type:"path" placeholder:"FILE" help:"The gateway's configuration; [signer] socket says where to answer."`
}

func (*signerCmd) Help() string {
	return `The signer as a process and user of its own: it holds root key, session CA, log and the built-in provider, decides every session
again and signs nothing that is not in the log. The gateway reaches it over a unix socket; the kernel says who connects.`
}

// Run answers the gateway until SIGTERM.
func (c *signerCmd) Run(a *app) error {
	cfg, err := loadConfig(c.Config, (*config.Config).CheckPolicyFiles)
	if err != nil {
		return err
	}
	log := cfg.Logger(a.stderr)
	s, err := node.OpenSigner(a.context(), cfg, log)
	if err != nil {
		return inWords(err)
	}
	log.Info("signer", slog.String("socket", cfg.Signer.Socket), slog.String("dir", cfg.Signer.Dir), slog.String("gateway_user", cfg.Signer.GatewayUser))
	defer notify(daemon.SdNotifyStopping)
	return inWords(s.Run(a.context(), func() { notify(daemon.SdNotifyReady) }))
}

func notify(state string) { daemon.SdNotify(false, state) }

// loadConfig reads a configuration and looks at the files it names. What is wrong is one line, and a matter of usage.
func loadConfig(path string, check func(*config.Config) error) (*config.Config, error) {
	cfg, err := config.Load(path)
	if err == nil {
		if err = check(cfg); err != nil {
			err = fmt.Errorf("%s: %w", path, err)
		}
	}
	if err != nil {
		return nil, errkind.New(errkind.Usage, err.Error()).
			WithHint(cmp.Or(readfile.Hint(err), "docs/config.md says what each key means."))
	}
	return cfg, nil
}

// inWords keeps what an operator reads: an error that nobody classified is shown whole, since this is their own machine.
func inWords(err error) error {
	if err == nil || errkind.KindOf(err) == errkind.Internal {
		return err
	}
	e, _ := errkind.Of(err)
	if e.Err != nil && !strings.Contains(e.Text, e.Err.Error()) {
		return errkind.New(e.Kind, e.Text+" ("+e.Err.Error()+")").WithHint(e.Hint)
	}
	return err
}
