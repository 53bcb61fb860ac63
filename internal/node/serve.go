package node

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/sallyport/sallyport/internal/config"
	"github.com/sallyport/sallyport/internal/connlimit"
	"github.com/sallyport/sallyport/internal/errkind"
)

// Serve runs the gateway of a configuration until ctx ends and everything is drained. Tell speaks to the service manager.
func Serve(ctx context.Context, c *config.Config, log *slog.Logger, tell func(state string)) error {
	if c.Signer.Socket == "" {
		if err := notLost(c); err != nil {
			return err
		}
	}
	if err := checkData(c.Site.DataDir, "[site] data_dir", false); err != nil {
		return err
	}
	if err := clockStands(time.Now()); err != nil {
		return err
	}
	cert, err := openCertificate(c, log)
	if err != nil {
		return err
	}
	limits := connLimits(c, log)
	l, err := listen(c, cert, limits)
	if err != nil {
		return err
	}
	f := Open(l, log)
	defer f.Close()
	quit := context.AfterFunc(ctx, func() { tell("STOPPING=1") })
	defer quit()
	tell("READY=1\nSTATUS=starting") // it answers, and says at /readyz what is missing
	health := &watchdog{}
	go health.run(ctx, tell)
	g, err := New(ctx, Options{Config: c, NoTLS: c.TLS.Mode == "behind-proxy", Certificate: cert, Limits: limits, Log: log,
		Waiting: func(why string) {
			f.Waiting(why)
			tell("STATUS=" + why)
		}})
	if err != nil {
		return err
	}
	health.of.Store(g)
	end, err := g.serveMetrics(ctx)
	if err != nil {
		g.close()
		return err
	}
	defer end()
	log.Info("serving", slog.String("url", c.Site.URL), slog.String("listen", l.Addr().String()), slog.String("tls", c.TLS.Mode), slog.Bool("signer_apart", g.apart != nil))
	if c.TLS.Mode == "self" {
		log.Info("the certificate is of this gateway's own authority, for trials: command lines and devices take it with --ca", slog.String("ca", filepath.Join(c.Site.DataDir, "tls", "ca.pem")))
	}
	tell("STATUS=serving " + c.Site.URL)
	return g.Run(ctx, f)
}

// built is the floor of time: a clock before it is that of an empty battery. What is signed and logged by it would never
// be right again.
var built = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

func clockStands(now time.Time) error {
	if now.After(built) {
		return nil
	}
	return errkind.New(errkind.Unavailable, fmt.Sprintf("this machine's clock says %s, which is before this program was built", now.UTC().Format("2006-01-02 15:04 UTC"))).
		WithHint("Set the clock and let chrony or systemd-timesyncd keep it: sign-ins, passes and the log's times rest on it.")
}

// connLimits are the limits of the site's listener. Behind a trusted proxy all connections are the proxy's own.
func connLimits(c *config.Config, log *slog.Logger) *connlimit.Limits {
	return connlimit.New(connlimit.Config{
		PerPeer: c.Listen.PerPeer,
		Total:   c.Listen.Total,
		Exempt:  trusted(c.TLS.Proxies),
		Log:     log,
	})
}

// listen opens the site's listener; without a certificate it speaks no TLS.
func listen(c *config.Config, cert *Certificate, limits *connlimit.Limits) (net.Listener, error) {
	l, err := listenAt("[listen] https", c.Listen.HTTPS)
	if err != nil {
		return nil, err
	}
	l = limits.Listener(l)
	if cert == nil {
		return l, nil
	}
	return tls.NewListener(l, cert.TLS()), nil
}

func listenAt(key, addr string) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	if err == nil {
		return l, nil
	}
	e := errkind.New(errkind.Unavailable, fmt.Sprintf("%s = %q: %v", key, addr, err))
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, e.WithHint("Another program, or another gateway, listens there: `ss -ltnp` names it.")
	case errors.Is(err, os.ErrPermission):
		return nil, e.WithHint("Ports below 1024 need CAP_NET_BIND_SERVICE, which deploy/systemd/sallyport.service gives.")
	}
	return nil, e.WithHint("Write host:port of this machine, or :port for all of its addresses.")
}

// serveMetrics opens the listener of [listen] metrics, if there is one.
func (g *Gateway) serveMetrics(context.Context) (end func(), err error) {
	addr := g.opt.Config.Listen.Metrics
	if addr == "" {
		return func() {}, nil
	}
	l, err := listenAt("[listen] metrics", addr)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", healthy)
	mux.HandleFunc("GET /readyz", g.ready)
	mux.Handle("GET /metrics", g.metrics())
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second, WriteTimeout: time.Minute, MaxHeaderBytes: 8 << 10}
	go srv.Serve(l)
	return func() { srv.Close() }, nil
}
