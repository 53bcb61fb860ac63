// Package web is the site: one handler for the app's documents and files, the API, the terminal socket, sign-in and the
// built-in provider.
//
// # What every request meets
//
// An exact list of Host names first: a page elsewhere can point its own name at our address (DNS rebinding), also at a
// loopback one, and would then be same-origin with us. Then the rate of its address. Then, for everything that
// changes something, CrossOriginProtection. Each answer carries a Content-Security-Policy that allows nothing but what its
// document needs. A mounted handler that serves documents of its own may replace this policy; mountedPolicy applies in
// addition. It cannot replace the guard's other headers, and no answer carries one of them twice.
//
// # Three documents
//
// A policy belongs to a document, so there are three: the app; the terminal, where xterm writes style attributes; and the
// player, which compiles WebAssembly. Going from one to another is a full load.
package web

import (
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/sallyport/sallyport/internal/connlimit"
	"github.com/sallyport/sallyport/web/api"
	"github.com/sallyport/sallyport/web/limit"
	"github.com/sallyport/sallyport/web/login"
	"github.com/sallyport/sallyport/web/terminal"
)

// Config is what the site is made of.
type Config struct {
	URL      string   // the one address people type: scheme://host[:port]
	Hosts    []string // more Host values that are answered, exactly
	API      http.Handler
	Terminal http.Handler
	Login    interface{ Register(m login.Mux) }
	More     map[string]http.Handler // by pattern: the built-in provider, health
	Addr     func(*http.Request) netip.Addr
	Now      func() time.Time
	Log      *slog.Logger
}

// New makes the site's handler.
func New(cfg Config) (http.Handler, error) {
	u, err := url.Parse(cfg.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("site: want its address as scheme://host[:port]")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	files, err := loadFiles(dist)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("/api/", cfg.API)
	mux.Handle("GET "+terminalPath, cfg.Terminal)
	if cfg.Login != nil {
		cfg.Login.Register(mux)
	}
	for pattern, h := range cfg.More {
		mux.Handle(pattern, mounted(h))
	}
	mux.Handle("/", files)
	g := &guard{hosts: hostSet(u, cfg.Hosts), tls: u.Scheme == "https", rates: limit.New(60, 600, 50_000, cfg.Now), addr: cfg.Addr, log: cfg.Log}
	return g.around(mux), nil
}

// Origins are what browsers send as Origin from the site's own pages, for the terminal socket.
func Origins(siteURL string, hosts []string) []string {
	u, err := url.Parse(siteURL)
	if err != nil {
		return nil
	}
	out := []string{u.Scheme + "://" + u.Host}
	for _, h := range hosts {
		out = append(out, u.Scheme+"://"+h)
	}
	return out
}

// who is the caller that sign-in found. It lifts the limits from the connection of a request with a valid sign-in.
func who(s *login.Service, r *http.Request) (login.Identity, error) {
	i, err := s.Who(r)
	if err == nil {
		connlimit.From(r.Context()).Authenticated()
	}
	return i, err
}

// Asker gives the API the caller that sign-in found.
func Asker(s *login.Service) func(*http.Request) (api.Asker, error) {
	return func(r *http.Request) (api.Asker, error) {
		i, err := who(s, r)
		return api.Asker{Person: i.Person, Evidence: i.Evidence, Key: i.Key, Via: i.Via, Provider: i.Provider, Token: i.TokenID, Scopes: i.Scopes,
			SignedInAt: i.SignedInAt, Expires: i.Expires, NoRefresh: i.NoRefresh}, err
	}
}

// Caller gives the terminal socket the caller that sign-in found.
func Caller(s *login.Service) func(*http.Request) (terminal.Caller, error) {
	return func(r *http.Request) (terminal.Caller, error) {
		i, err := who(s, r)
		return terminal.Caller{Key: i.Key, Cookie: i.Cookie}, err
	}
}
