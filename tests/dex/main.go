// Command dex is a real dex (dexidp/dex as a library) for tests and rehearsals: one OAuth client, people without
// passwords, everything in memory, one loopback listener.
//
//	go -C tests/dex build -o BIN .
//	BIN -listen 127.0.0.1:5556 -client sallyport -secret-file FILE \
//	  -redirect https://access.example/callback/dex -person tess=service,night
//
// It prints {"issuer":"…"} once it serves. With one person, signing in asks nothing; with several, dex's page has a
// link for each. A line NAME=GROUP,GROUP on standard input replaces a person's groups from the next sign-in or refresh
// on.
package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"embed"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/dexidp/dex/server"
	"github.com/dexidp/dex/storage"
	"github.com/dexidp/dex/storage/memory"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"
)

//go:embed web
var web embed.FS

// options are the flags.
type options struct {
	listen, issuer, client, secret, secretFile, redirect, cert, key string
	people                                                          *people
}

func readFlags(args []string) (options, error) {
	o := options{people: &people{groups: map[string][]string{}}}
	f := flag.NewFlagSet("dex", flag.ContinueOnError)
	f.StringVar(&o.listen, "listen", "127.0.0.1:0", "loopback address to listen on")
	f.StringVar(&o.issuer, "issuer", "", "issuer URL; empty: the listener's address with /dex")
	f.StringVar(&o.client, "client", "sallyport", "client id")
	f.StringVar(&o.secret, "secret", "", "client secret")
	f.StringVar(&o.secretFile, "secret-file", "", "file with the client secret, instead of -secret")
	f.StringVar(&o.redirect, "redirect", "", "redirect URI of the client")
	f.StringVar(&o.cert, "tls-cert", "", "PEM certificate chain; empty: plain HTTP")
	f.StringVar(&o.key, "tls-key", "", "PEM key of -tls-cert")
	f.Func("person", "NAME=GROUP,GROUP; may be repeated", o.people.set)
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if o.secretFile != "" {
		raw, err := os.ReadFile(o.secretFile)
		if err != nil {
			return o, err
		}
		o.secret = strings.TrimSpace(string(raw))
	}
	if host, _, err := net.SplitHostPort(o.listen); err != nil || !net.ParseIP(host).IsLoopback() {
		return o, fmt.Errorf("-listen %s: must be a loopback address, because it signs in everyone who reaches it",
			o.listen)
	}
	if o.secret == "" || o.redirect == "" || len(o.people.groups) == 0 {
		return o, fmt.Errorf("-secret or -secret-file, -redirect and -person are required")
	}
	return o, nil
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	o, err := readFlags(os.Args[1:])
	if err == nil {
		err = run(ctx, &o, os.Stdin, os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "dex:", err)
		os.Exit(1)
	}
}

// run serves until ctx ends.
func run(ctx context.Context, o *options, in io.Reader, out io.Writer) error {
	l, err := net.Listen("tcp", o.listen)
	if err != nil {
		return err
	}
	defer l.Close()
	scheme := "http"
	if o.cert != "" {
		pair, err := tls.LoadX509KeyPair(o.cert, o.key)
		if err != nil {
			return err
		}
		scheme, l = "https", tls.NewListener(l,
			&tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12})
	}
	if o.issuer == "" {
		o.issuer = scheme + "://" + l.Addr().String() + "/dex"
	}
	dir, err := os.MkdirTemp("", "dex-web-") // dex reads its pages from a directory
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := os.CopyFS(dir, web); err != nil {
		return err
	}
	h, err := provider(ctx, o, dir+"/web")
	if err != nil {
		return err
	}
	go o.people.follow(in)
	if err := json.NewEncoder(out).Encode(map[string]string{"issuer": o.issuer}); err != nil {
		return err
	}
	srv := &http.Server{Handler: h}
	defer context.AfterFunc(ctx, func() { srv.Close() })()
	if err := srv.Serve(l); ctx.Err() == nil {
		return err
	}
	return nil
}

// provider is dex with one client and a connector for each person.
func provider(ctx context.Context, o *options, pages string) (http.Handler, error) {
	log := logrus.New()
	log.Out, log.Level = os.Stderr, logrus.ErrorLevel
	server.ConnectorsConfig[connectorType] = func() server.ConnectorConfig { return &personConfig{people: o.people} }
	s := storage.WithStaticClients(memory.New(log),
		[]storage.Client{{ID: o.client, Secret: o.secret, RedirectURIs: []string{o.redirect}, Name: o.client}})
	return server.NewServer(ctx, server.Config{
		Issuer:             o.issuer,
		Storage:            storage.WithStaticConnectors(s, o.people.connectors()),
		SkipApprovalScreen: true,
		Web:                server.WebConfig{Dir: pages},
		Logger:             log,
		PrometheusRegistry: prometheus.NewRegistry(),
	})
}

// follow reads changes of groups until the input ends.
func (p *people) follow(in io.Reader) {
	for s := bufio.NewScanner(in); s.Scan(); {
		if err := p.set(s.Text()); err != nil {
			fmt.Fprintln(os.Stderr, "dex:", err)
		}
	}
}
