// Package login knows who calls. It sends browsers to their OpenID provider, keeps what came back as a session of ours,
// signs command lines in through a browser, and ends it all when somebody signs out, here or at the provider.
//
// # One secret a sign-in
//
// A session is named by 256 random bits. A browser has them in a cookie that scripts cannot read, a command line as a
// bearer; the store has the hash. The secret is a new one at every sign-in, so a cookie that somebody planted before is
// worth nothing after. API tokens work alike, and are told from sessions by how they begin.
//
// # What ends with a session
//
// OnSignedOut is called with the session's key when it ends for whatever reason: sign-out, back-channel logout, expiry,
// idleness, a provider that no longer knows the person. Whoever opened something under that key closes it.
//
// # The signer is told
//
// The signer accepts an id token for a while, whatever happened here since. So the end of a session and the hash of its
// id token are stored in one transaction, and the signer is told at once, or as soon as it answers (signout.go).
//
// # Who is asked what
//
// Who gives the caller's evidence besides what it says: the signer believes only the evidence.
package login

import (
	"context"
	"embed"
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/sallyport/sallyport/internal/audit"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/oidcauth"
	"github.com/sallyport/sallyport/internal/page"
	"github.com/sallyport/sallyport/internal/pending"
	"github.com/sallyport/sallyport/internal/signer"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/internal/wire"
)

// Store is what sign-ins are kept in.
type Store interface {
	PutPrincipal(ctx context.Context, p store.Principal) error
	Principal(ctx context.Context, p id.Principal) (store.Principal, error)
	AddWebSession(ctx context.Context, s store.WebSession) error
	ReplaceWebSession(ctx context.Context, old [32]byte, next store.WebSession, closeAt time.Time) error
	SignOuts(ctx context.Context, now time.Time) ([][32]byte, error)
	SignedOut(ctx context.Context, token [32]byte) error
	WebSession(ctx context.Context, hash [32]byte) (store.WebSession, error)
	WebSessionsOf(ctx context.Context, p id.Principal) ([]store.WebSession, error)
	TouchWebSession(ctx context.Context, hash [32]byte, when time.Time) error
	EndWebSession(ctx context.Context, hash [32]byte) (store.WebSession, error)
	EndWebSessionsBySID(ctx context.Context, issuer, sid string) ([]store.WebSession, error)
	EndWebSessionsOf(ctx context.Context, p id.Principal) ([]store.WebSession, error)
	SweepWebSessions(ctx context.Context, now time.Time) ([]store.WebSession, error)
	APITokenByHash(ctx context.Context, hash [32]byte) (store.APIToken, error)
	TouchAPIToken(ctx context.Context, tokenID string, when time.Time) error
	APITokens(ctx context.Context, p id.Principal) ([]store.APIToken, error)
	RevokeAPIToken(ctx context.Context, tokenID string, when time.Time) error
}

// Auditor writes evidence. What cannot be written does not happen.
type Auditor interface {
	Record(ctx context.Context, e audit.Event) error
}

// Config is what sign-in is made of.
type Config struct {
	URL       string // of the site: scheme and host
	Site      string // name that people know
	Providers *oidcauth.Set
	Store     Store
	Audit     Auditor
	Life      time.Duration // of a sign-in, whatever happens; default 12 h
	Idle      time.Duration // of a browser that asks nothing; default 1 h
	Refresh   time.Duration // how often the provider is asked again; default 5 min
	Addr      func(*http.Request) netip.Addr

	// OnSignedOut ends what was opened under a key. It must not block.
	OnSignedOut func(key, why string)
	// OnChanged tells that somebody's groups are others than before.
	OnChanged func(id.Principal)
	// InUse says whether something is open under a key: then its browser is not idle.
	InUse func(key string) bool
	// Identify shows evidence to the signer, which binds the id token to its sign-in; nil: the signer needs none.
	Identify func(ctx context.Context, by signer.Evidence) error
	// SignOut closes a sign-in at the signer, by the signer.TokenHash of its id token; nil: the signer needs none.
	SignOut func(ctx context.Context, token wire.Hash) error
	// RevokeToken lets the signer know that an API token is no longer good.
	RevokeToken func(ctx context.Context, tokenID string) error

	Now func() time.Time
	Log *slog.Logger
}

// Service is sign-in and sign-out.
type Service struct {
	cfg      Config
	secure   bool
	pages    *page.Pages
	flows    *pending.Set[flow]
	codes    *pending.Set[cliCode]
	goodbyes *pending.Set[goodbye]
	devices  *pending.Codes[asking, [32]byte]
	starts   *meter
	guesses  *meter
	asks     sync.WaitGroup     // one for each request to a provider that Run has begun
	flight   singleflight.Group // one request at a time for a sign-in: using a refresh token twice ends it

	mu     sync.Mutex // guards what follows
	active map[[32]byte]*activity
	keys   map[[32]byte]signInKey // by their ids, of sign-ins in use
	tokens map[string]*tokenUse   // by id

	saidUntold bool // the log says that the signer was not told of a sign-out
}

//go:embed pages/*.html
var pageFiles embed.FS

// New makes the service.
func New(cfg Config) (*Service, error) {
	u, err := url.Parse(cfg.URL)
	if err != nil || u.Host == "" || (u.Path != "" && u.Path != "/") {
		return nil, errors.New("sign-in: want the site's address as scheme and host")
	}
	cfg.URL = u.Scheme + "://" + u.Host
	cfg.defaults()
	for _, p := range cfg.Providers.All() {
		if p.Name() == "cli" || p.Name() == "device" {
			return nil, errors.New("sign-in: a provider cannot be called cli or device: these are addresses of our own")
		}
	}
	files, err := fs.Sub(pageFiles, "pages")
	if err != nil {
		return nil, err
	}
	pages, err := page.New(files, "/login/style.css", cfg.Site, cfg.Log)
	if err != nil {
		return nil, err
	}
	return &Service{
		cfg:      cfg,
		secure:   u.Scheme == "https",
		pages:    pages,
		flows:    pending.New[flow](cfg.Now, 10_000),
		codes:    pending.New[cliCode](cfg.Now, 1000),
		goodbyes: pending.New[goodbye](cfg.Now, 1000),
		devices:  pending.NewCodes[asking, [32]byte](cfg.Now),
		starts:   newMeter(cfg.Now, 60, time.Minute),
		guesses:  newMeter(cfg.Now, 10, time.Minute),
		active:   map[[32]byte]*activity{},
		keys:     map[[32]byte]signInKey{},
		tokens:   map[string]*tokenUse{},
	}, nil
}

func (c *Config) defaults() {
	or := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	or(&c.Life, 12*time.Hour)
	or(&c.Idle, time.Hour)
	or(&c.Refresh, 5*time.Minute)
	if c.Site == "" {
		c.Site = "Sallyport"
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Addr == nil {
		c.Addr = peer
	}
	if c.OnSignedOut == nil {
		c.OnSignedOut = func(string, string) {}
	}
	if c.OnChanged == nil {
		c.OnChanged = func(id.Principal) {}
	}
	if c.InUse == nil {
		c.InUse = func(string) bool { return false }
	}
	if c.Identify == nil {
		c.Identify = func(context.Context, signer.Evidence) error { return nil }
	}
	if c.SignOut == nil {
		c.SignOut = func(context.Context, wire.Hash) error { return nil }
	}
	if c.RevokeToken == nil {
		c.RevokeToken = func(context.Context, string) error { return nil }
	}
}

// Mux is where routes go.
type Mux interface {
	Handle(pattern string, h http.Handler)
}

// Register puts every route of sign-in on a mux.
func (s *Service) Register(m Mux) {
	own := http.NewCrossOriginProtection()
	get := func(pattern string, f http.HandlerFunc) { m.Handle("GET "+pattern, f) }
	post := func(pattern string, f http.HandlerFunc) {
		m.Handle("POST "+pattern, own.Handler(http.MaxBytesHandler(f, 64<<10)))
	}
	get("/login", s.serveChoose)
	get("/login/style.css", page.Style)
	get("/login/{provider}", s.serveStart)
	get("/callback/{provider}", s.serveCallback)
	get("/login/cli", s.serveCLI)
	post("/login/cli", s.serveCLIAnswer)
	get("/login/device", s.serveDevice)
	post("/login/device", s.serveDeviceAnswer)
	post("/logout", s.serveLogout)
	get(goodbyePath, s.serveGoodbye)
	post("/backchannel/{provider}", s.serveBackChannel)
	post("/api/v1/login/cli/token", s.serveCLIToken)
	post("/api/v1/login/device", s.serveDeviceStart)
	post("/api/v1/login/device/token", s.serveDeviceToken)
}

func peer(r *http.Request) netip.Addr {
	a, _ := netip.ParseAddrPort(r.RemoteAddr)
	return a.Addr().Unmap()
}

// localPath accepts only a path of ours to go on to after sign-in: anything else would make sign-in a way to send people
// elsewhere.
func localPath(next string) string {
	u, err := url.Parse(next)
	if err != nil || len(next) > 2048 || u.Scheme != "" || u.Host != "" || !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") ||
		strings.ContainsAny(next, "\\\r\n\t") {
		return "/"
	}
	return next
}
