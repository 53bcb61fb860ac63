// Package idp is a small OpenID provider inside the gateway, for trials, small teams and owners of machines who have no
// provider of their own. It is not certified. The gateway talks to it as to any other provider, over the same requests;
// there is no second way to sign in.
//
// # What it does
//
// Code flow with PKCE (S256 only) for a fixed list of first-party clients, ES256, refresh tokens that rotate and whose
// reuse revokes the whole family, the device grant (RFC 8628), sign-out started by a client, and back-channel logout.
// People are in a file: argon2id passwords, optional second factor by TOTP, groups.
//
// # What is kept where
//
// Everything is in one directory, mode 0700: users.json, sessions.json (signed-in browsers and refresh families) and keys/.
// Files are replaced by rename. Codes, access tokens and device codes live in memory for minutes: after a restart they are
// worth nothing. Secrets are kept as hashes only.
//
// # Pending state
//
// A sign-in page carries its authorization request in its own address, so an unfinished sign-in costs no memory. What must
// be remembered (codes, second steps, device codes, back-off) is bounded in number and in time.
package idp

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/sallyport/sallyport/internal/page"
	"github.com/sallyport/sallyport/internal/pending"
)

// Client is a program that may ask for sign-ins. All are first-party: nobody is asked for consent.
type Client struct {
	ID          string
	Secret      string   // empty: a public client
	Redirects   []string // exact; of a loopback address (http://127.0.0.1/…) the port is free, as in RFC 8252
	AfterLogout []string // exact
	BackChannel string   // where logout tokens go; empty: nowhere
	Device      bool     // may use the device grant
}

// Config says where the provider is and for whom.
type Config struct {
	Issuer  string // https://host/idp
	Dir     string
	Site    string // name that people know
	Clients []Client
	Addr    func(*http.Request) netip.Addr // of the browser; nil: the peer's
	HTTP    *http.Client                   // for logout tokens; nil: its own, with a timeout
	Now     func() time.Time
	Log     *slog.Logger
}

// How long things live.
const (
	SessionTime = 12 * time.Hour   // a signed-in browser
	codeTime    = time.Minute      // between redirect and token request
	stepTime    = 3 * time.Minute  // between password and second factor
	tokenTime   = 10 * time.Minute // id and access tokens
	refreshTime = SessionTime
)

// Provider is the OpenID provider.
type Provider struct {
	cfg     Config
	path    string // of the issuer: /idp
	users   *Users
	keys    *keys
	state   *sessions
	codes   *pending.Set[code]
	access  *pending.Set[access]
	steps   *pending.Set[step]
	devices *pending.Codes[asking, issue]
	backoff *backoff
	pages   *page.Pages
	logouts sync.WaitGroup // one for each logout token under way
	mux     http.Handler
}

// New opens a provider's directory, or makes it.
func New(cfg Config) (*Provider, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.HTTP == nil {
		cfg.HTTP = &http.Client{Timeout: 3 * time.Second}
	}
	if cfg.Addr == nil {
		cfg.Addr = peer
	}
	if cfg.Site == "" {
		cfg.Site = "Sallyport"
	}
	path, err := issuerPath(cfg.Issuer)
	if err != nil {
		return nil, err
	}
	p := &Provider{cfg: cfg, path: path, backoff: newBackoff(cfg.Now),
		codes: pending.New[code](cfg.Now, 4096), access: pending.New[access](cfg.Now, 16384), steps: pending.New[step](cfg.Now, 1024),
		devices: pending.NewCodes[asking, issue](cfg.Now)}
	if p.users, err = OpenUsers(cfg.Dir); err != nil {
		return nil, err
	}
	if p.keys, err = openKeys(filepath.Join(cfg.Dir, "keys"), cfg.Now); err != nil {
		return nil, err
	}
	if p.state, err = openSessions(filepath.Join(cfg.Dir, "sessions.json"), cfg.Now); err != nil {
		return nil, err
	}
	if p.pages, err = page.New(templates(), path+"/style.css", cfg.Site, cfg.Log); err != nil {
		return nil, err
	}
	p.mux = p.routes()
	return p, nil
}

// Handler serves everything below the issuer's path.
func (p *Provider) Handler() http.Handler { return p.mux }

// Users are the people it knows.
func (p *Provider) Users() *Users { return p.users }

func (p *Provider) routes() http.Handler {
	m := http.NewServeMux()
	own := http.NewCrossOriginProtection() // for what a browser's form changes
	form := func(pattern string, f http.HandlerFunc) {
		m.Handle(pattern, own.Handler(http.MaxBytesHandler(f, 16<<10)))
	}
	api := func(pattern string, f http.HandlerFunc) { m.Handle(pattern, http.MaxBytesHandler(f, 16<<10)) }
	m.HandleFunc("GET "+p.path+"/.well-known/openid-configuration", p.serveDiscovery)
	m.HandleFunc("GET "+p.path+"/jwks", p.serveKeys)
	m.HandleFunc("GET "+p.path+"/style.css", page.Style)
	m.HandleFunc("GET "+p.path+"/authorize", p.serveAuthorize)
	form("POST "+p.path+"/signin", p.servePassword)
	form("POST "+p.path+"/second", p.serveSecond)
	m.HandleFunc("GET "+p.path+"/device", p.serveDevicePage)
	form("POST "+p.path+"/device", p.serveDeviceAnswer)
	api("POST "+p.path+"/device/authorize", p.serveDeviceStart)
	api("POST "+p.path+"/token", p.serveToken)
	api("GET "+p.path+"/userinfo", p.serveUserInfo)
	api("POST "+p.path+"/userinfo", p.serveUserInfo)
	api("POST "+p.path+"/account", p.serveAccount)
	api("POST "+p.path+"/end-session", p.serveEndSession)
	m.HandleFunc("GET "+p.path+"/logout", p.serveLogout)
	form("POST "+p.path+"/logout", p.serveLogout)
	return m
}

// Run ends sessions of people who were removed, disabled or given a new password, and forgets what has expired. It
// returns when every logout token has been sent or given up.
func (p *Provider) Run(ctx context.Context) error {
	defer p.logouts.Wait()
	tick := time.NewTicker(2 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
			p.sweep()
		}
	}
}

func (p *Provider) sweep() {
	gone, err := p.state.sweep(func(sub string, signedIn time.Time) bool {
		u, ok := p.users.bySubject(sub)
		return !ok || u.mayStay(signedIn) // a person who is not in the file has not left
	})
	if err != nil {
		p.cfg.Log.Error("sessions could not be stored", slog.Any("error", err))
	}
	for _, s := range gone {
		p.sendLogouts(s)
	}
}

func issuerPath(issuer string) (string, error) {
	_, rest, ok := strings.Cut(issuer, "://")
	_, path, below := strings.Cut(rest, "/")
	if !ok || !below || path == "" || strings.HasSuffix(path, "/") || strings.ContainsAny(path, "?#{} ") {
		return "", fmt.Errorf("issuer %q: want an address with a path, such as https://access.example/idp", issuer)
	}
	return "/" + path, nil
}

func peer(r *http.Request) netip.Addr {
	a, _ := netip.ParseAddrPort(r.RemoteAddr)
	return a.Addr().Unmap()
}

// replaceFile writes a file by rename, durably, so that a crash leaves the old one or the new one.
func replaceFile(path string, raw []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(raw)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}
