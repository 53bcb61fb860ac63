//go:build cgo && linux

package main

import (
	"crypto/tls"
	"log/slog"
	"net"

	"github.com/coreos/go-systemd/v22/daemon"

	"github.com/sallyport/sallyport/internal/config"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/node"
)

type serveCmd struct {
	Config string `required:"" type:"path" placeholder:"FILE" help:"The configuration: docs/config.md."`
}

// Run serves until SIGTERM, then drains.
func (c *serveCmd) Run(a *app) error {
	cfg, err := config.Load(c.Config)
	if err != nil {
		return errkind.New(errkind.Usage, err.Error())
	}
	log := slog.New(slog.NewTextHandler(a.stderr, nil))
	proxied := cfg.TLS.Mode == "behind-proxy"
	g, err := node.New(a.context(), node.Options{Config: cfg, NoTLS: proxied, Log: log})
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", cfg.Listen.HTTPS)
	if err != nil {
		return err
	}
	if !proxied {
		t, err := node.TLS(cfg)
		if err != nil {
			return err
		}
		l = tls.NewListener(l, t)
	}
	log.Info("serving", slog.String("url", cfg.Site.URL), slog.String("listen", l.Addr().String()))
	daemon.SdNotify(false, daemon.SdNotifyReady)
	defer daemon.SdNotify(false, daemon.SdNotifyStopping)
	return g.Run(a.context(), l)
}
