// Package node makes one gateway of its parts and runs it. It holds no rules of its own: what decides, records and announces
// are the parts; here stands only which of them gets which, in what order they begin, and in what order they end.
//
// # Order
//
// Store, keys, identity, signer, recorder, broker, site: each may use those before it. Nothing answers before what a crash left behind has
// been settled, and at the end the doors close first, then the sessions, then what they were written to. A part that cannot be
// opened ends the start; a gateway that records a little less is none.
//
// # What it guards
//
// The data directory: nobody else may read it, and a demo's is refused by a real gateway. Its own memory, which holds keys: no
// core is left. It may import everything but the commands, and only they and the demo import it.
package node

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/gateway/notifications"
	"github.com/sallyport/sallyport/gateway/rendezvous"
	"github.com/sallyport/sallyport/gateway/requests"
	"github.com/sallyport/sallyport/internal/audit"
	"github.com/sallyport/sallyport/internal/config"
	"github.com/sallyport/sallyport/internal/connlimit"
	"github.com/sallyport/sallyport/internal/enroll"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/idp"
	"github.com/sallyport/sallyport/internal/oidcauth"
	"github.com/sallyport/sallyport/internal/signer"
	"github.com/sallyport/sallyport/internal/store/sqlite"
	"github.com/sallyport/sallyport/internal/wire"
	"github.com/sallyport/sallyport/recorder/writer"
	"github.com/sallyport/sallyport/web/login"
	"github.com/sallyport/sallyport/web/terminal"
)

// Options say what a gateway is made of.
type Options struct {
	Config *config.Config
	Host   string // host:port under which agents reach it; empty: of the site's address
	NoTLS  bool   // TLS does not end here
	Seed   func(ctx context.Context, g *Gateway) error
	Demo   bool
	Log    *slog.Logger

	// Certificate is the served pair; nil if TLS does not end here.
	Certificate *Certificate

	// Limits are those of the listener, for the metrics; nil if it has none.
	Limits *connlimit.Limits

	// Waiting is told what the start waits for; empty: it goes on. May be nil.
	Waiting func(why string)
}

func (o Options) waiting() func(string) {
	if o.Waiting == nil {
		return func(string) {}
	}
	return o.Waiting
}

// Gateway is one that is ready to run.
type Gateway struct {
	DB     *sqlite.DB
	Signer signer.Signer
	Users  *idp.Users // nil without the built-in provider
	Issuer string     // of the built-in provider

	opt           Options
	url           *url.URL
	host          string
	own           *signer.Service // nil: the signer is another process
	apart         *apart          // that process
	idp           *idp.Provider
	set           *oidcauth.Set
	record        *writer.Node
	key           ed25519.PrivateKey
	rules         *gateway.Rules
	desk          *requests.Desk
	notifications *notifications.Outbox
	broker        *gateway.Broker
	lines         *rendezvous.Registry
	login         *login.Service
	door          *terminal.Door
	audit         *audit.Log
	meters        *meters
	needs         []*condition
	providers     *providers
	cert          *Certificate // nil: TLS does not end here
	handler       http.Handler
	identity      identities
	draining      atomic.Bool
}

// New opens everything. What it returns runs nothing yet.
func New(ctx context.Context, o Options) (*Gateway, error) {
	if err := noCoreDumps(o.Demo); err != nil {
		return nil, err
	}
	g := &Gateway{opt: o, host: o.Host, meters: newMeters(), cert: o.Certificate}
	var err error
	if g.url, err = url.Parse(o.Config.Site.URL); err != nil {
		return nil, fmt.Errorf("site address: %w", err)
	}
	if g.host == "" {
		g.host = hostPort(g.url)
	}
	for _, step := range []func(context.Context) error{g.openStore, g.openKeys, g.openIdentity, g.openSigner, g.openRecorder, g.openNotifications, g.openBroker, g.openSite} {
		if err := step(ctx); err != nil {
			g.close()
			return nil, err
		}
	}
	g.needs, g.providers = g.conditions(), newProviders(g.set, o.Log)
	return g, nil
}

func (g *Gateway) path(parts ...string) string {
	return filepath.Join(append([]string{g.opt.Config.Site.DataDir}, parts...)...)
}

func hostPort(u *url.URL) string {
	if u.Port() != "" {
		return u.Host
	}
	return net.JoinHostPort(u.Hostname(), map[string]string{"https": "443", "http": "80"}[u.Scheme])
}

func (g *Gateway) openStore(ctx context.Context) (err error) {
	if err := checkData(g.opt.Config.Site.DataDir, "[site] data_dir", g.opt.Demo); err != nil {
		return err
	}
	g.DB, err = sqlite.Open(ctx, g.path("gateway.db"), sqlite.Options{})
	return err
}

func (g *Gateway) openKeys(ctx context.Context) (err error) {
	if err := g.keysThere(ctx); err != nil {
		return err
	}
	if socket := g.opt.Config.Signer.Socket; socket != "" {
		g.apart = newApart(socket)
	}
	g.identity.noise, err = noiseKey(g.path("keys", "noise.key"))
	return err
}

func (g *Gateway) openSigner(ctx context.Context) (err error) {
	if g.apart != nil {
		g.Signer = signer.NewClient(g.apart.socket)
	} else {
		if err := notLost(g.opt.Config); err != nil {
			return err
		}
		if g.own, err = signer.New(SignerConfig(g.opt.Config, g.host, g.identity.noise.Public, g.set, g.opt.Log)); err != nil {
			return err
		}
		g.Signer = g.own
		files, err := PolicyFiles(g.opt.Config)
		if err != nil {
			return err
		}
		if err := g.own.Seed(ctx, files, nil); err != nil {
			return err
		}
		if err := g.own.Configure(ctx, mappings(g.opt.Config)); err != nil {
			return err
		}
	}
	g.audit = &audit.Log{Signer: g.Signer, Rows: g.DB}
	return g.checkLog(ctx)
}

// SignerConfig is the signer's part of a configuration.
func SignerConfig(c *config.Config, host string, noise wire.Hash, ids signer.Identities, log *slog.Logger) signer.Config {
	return signer.Config{Dir: SignerDir(c), Origin: c.Ledger.Origin, Hosts: agentHosts(host, c.Site.Hosts),
		NoiseKey:   noise,
		Identities: ids, SecondCopy: c.Ledger.SecondCopy, PassTime: sessionTime, SignInAge: signInAge, RetainFor: time.Duration(c.Recording.KeepAtLeast), Log: log}
}

// agentHosts gives each host:port that agents dial once: an operator may list the site's own name again.
func agentHosts(own string, more []string) []string {
	var out []string
	for _, h := range append([]string{own}, more...) {
		if h = strings.ToLower(h); !slices.Contains(out, h) {
			out = append(out, h)
		}
	}
	return out
}

func (g *Gateway) openRecorder(ctx context.Context) error {
	readers, unsealers, archive, err := recipients(g.opt.Config, g.path("keys", "archive.txt"))
	if err != nil {
		return err
	}
	g.identity.archive = archive
	if g.key, err = recordKey(g.path("keys", "record.key")); err != nil {
		return err
	}
	log, err := g.Signer.Keys(ctx) // a signer that is a process of its own has a configuration of its own
	if err != nil {
		return err
	}
	r := g.opt.Config.Recording
	node, cut, err := writer.OpenNode(ctx, writer.NodeConfig{Dir: g.path("recordings"), Key: g.key, LogOrigin: log.Origin, Readers: readers,
		Unsealers: unsealers, JournalBytes: int64(r.Journal), Most: int64(r.PerSession), Ballast: int64(r.Ballast), LowWater: int64(r.LowWater), Log: g.opt.Log,
		Committed: func(took time.Duration) { g.meters.commit.Observe(took.Seconds()) }})
	if err != nil {
		return err
	}
	g.record, g.identity.cut = node, cut
	return nil
}

func (g *Gateway) openBroker(ctx context.Context) error {
	office := &enroll.Office{Store: g.DB, Signer: g.Signer, Audit: g.audit, URL: g.joinURL(), Noise: g.identity.noise.Public, Log: g.opt.Log}
	g.identity.office = office
	g.lines = rendezvous.New(rendezvous.Config{NoiseKey: g.identity.noise, Signer: g.Signer, Store: g.DB, Office: office, Audit: g.audit, Node: nodeName, Host: g.host,
		Online: func(ctx context.Context, devices []wire.Hash) { g.desk.Online(ctx, devices) },
		NoTLS:  g.opt.NoTLS, ClientAddr: g.addr(), Log: g.opt.Log})
	if g.opt.Seed != nil {
		if err := g.opt.Seed(ctx, g); err != nil {
			return err
		}
	}
	if err := g.rules.Load(ctx, g.Signer); err != nil {
		return err
	}
	g.broker = gateway.New(gateway.Config{Signer: g.Signer, Rules: g.rules, Store: countedStore{g.DB, g.meters}, Lines: g.lines, Recorder: countedRecorder{g.record, g.meters},
		Key: g.key.Public().(ed25519.PublicKey), Audit: g.audit, Node: nodeName, Log: g.opt.Log,
		GrantUsed: func(ctx context.Context, session id.Session, grant string) { g.desk.Used(ctx, session, grant) },
		PerPerson: g.opt.Config.Sessions.PerPerson, PerDevice: g.opt.Config.Sessions.PerDevice})
	office.Lines = revoking{g.lines, g.broker}
	g.desk = requests.New(requests.Config{Rows: g.DB, Signer: g.Signer, Rules: g.rules, Broker: g.broker, Audit: g.audit, Notifications: g.notifications, Now: time.Now,
		Log: g.opt.Log})
	return g.broker.Recover(ctx, g.identity.cut, g.record.Settled)
}

// revoking ends a device's sessions before it cuts their lines. The first reason of an end counts, and a line that breaks
// would be all that technician and record are told.
type revoking struct {
	*rendezvous.Registry
	broker *gateway.Broker
}

func (r revoking) Cut(device wire.Hash, why string) {
	r.broker.EndAllOn(device)
	r.Registry.Cut(device, why)
}

const nodeName = "gateway"

// Seed makes a demo's tokens known to the signer of this process.
func (g *Gateway) Seed(ctx context.Context, tokens []signer.Token) error {
	if g.own == nil {
		return errors.New("only a signer in this process can be seeded")
	}
	return g.own.Seed(ctx, nil, tokens)
}

// SeedOwners adds the owners of the demo's site to the signer in this process.
func (g *Gateway) SeedOwners(ctx context.Context, site signer.Site) error {
	if g.own == nil {
		return errors.New("only a signer in this process can be seeded")
	}
	return g.own.SeedOwners(ctx, site)
}

// joinURL is what a join code names: agents dial a loopback literal, or https.
func (g *Gateway) joinURL() string {
	return map[string]string{"ws": "http", "wss": "https"}[wire.Scheme(g.host)] + "://" + g.host
}

func (g *Gateway) addr() func(*http.Request) netip.Addr {
	if g.opt.Config.TLS.Mode != "behind-proxy" || g.opt.Demo {
		return nil
	}
	return forwarded(g.opt.Config.TLS.Proxies)
}

func (g *Gateway) close() {
	end, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if g.record != nil {
		g.record.Close(end)
	}
	if g.own != nil {
		g.own.Close()
	}
	if g.DB != nil {
		g.DB.Close()
	}
}

// revalidated tells the broker that somebody's groups changed: what they have open is decided again with the new ones.
func (g *Gateway) revalidated(id.Principal) { go g.broker.Revalidate(context.Background()) }
