package node

import (
	"context"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/internal/config"
	"github.com/sallyport/sallyport/internal/idp"
	"github.com/sallyport/sallyport/internal/oidcauth"
	"github.com/sallyport/sallyport/internal/signer"
	"github.com/sallyport/sallyport/internal/wire"
	"github.com/sallyport/sallyport/recorder/archive"
	"github.com/sallyport/sallyport/web"
	"github.com/sallyport/sallyport/web/api"
	"github.com/sallyport/sallyport/web/apitype"
	"github.com/sallyport/sallyport/web/login"
	"github.com/sallyport/sallyport/web/records"
	"github.com/sallyport/sallyport/web/terminal"
)

const ownClient = "sallyport"

// signInAge is how old a sign-in may be as evidence.
const signInAge = 12 * time.Hour

// sessionTime is how long a session lasts at most: as long as its pass.
const sessionTime = 12 * time.Hour

// providerSet makes the configured providers; each completes one, before it is made. counts reports which mappings of
// groups are in force.
func providerSet(c *config.Config, counts func(signer.Mapping) bool, each func(config.Identity, *oidcauth.Config) error) (*oidcauth.Set, error) {
	var all []*oidcauth.Provider
	base := siteBase(c)
	for _, i := range c.Identity {
		p := oidcauth.Config{Name: i.Name, ShownAs: i.ShownAs, Issuer: i.Issuer, ClientID: i.ClientID, RedirectURL: base + "/callback/" + i.Name,
			GroupsClaim: i.GroupsClaim, Groups: i.Groups, AMR: i.SecondFactor.AMR, ACR: i.SecondFactor.ACR}
		if i.Builtin {
			p.Issuer, p.ClientID = base+"/idp", ownClient
		}
		p.Counts = func(from, to string) bool { return counts(signer.Mapping{Issuer: p.Issuer, From: from, To: to}) }
		if len(i.SecondFactor.AMR)+len(i.SecondFactor.ACR) > 0 { // it counts from auth_time, which must come back when this is asked
			p.MaxAge = signInAge
		}
		if err := howAsked(i, &p); err != nil {
			return nil, err
		}
		if err := each(i, &p); err != nil {
			return nil, err
		}
		made, err := oidcauth.New(p)
		if err != nil {
			return nil, err
		}
		all = append(all, made)
	}
	return oidcauth.NewSet(all...)
}

// mappings gives the mappings of groups in a configuration.
func mappings(c *config.Config) (out []signer.Mapping) {
	for _, i := range c.Identity {
		issuer := i.Issuer
		if i.Builtin {
			issuer = siteBase(c) + "/idp"
		}
		for from, to := range i.Groups {
			out = append(out, signer.Mapping{Issuer: issuer, From: from, To: to})
		}
	}
	return out
}

func siteBase(c *config.Config) string { return strings.TrimSuffix(c.Site.URL, "/") }

// openIdentity makes the providers. The built-in one runs in this process unless the signer is another.
func (g *Gateway) openIdentity(ctx context.Context) error {
	var met welcome
	if g.apart != nil {
		var err error
		if met, err = g.apart.meet(ctx, g.identity.noise.Public, g.opt.Log, g.opt.waiting()); err != nil {
			return err
		}
	}
	var err error
	g.rules = &gateway.Rules{}
	g.set, err = providerSet(g.opt.Config, g.rules.Counts, func(c config.Identity, p *oidcauth.Config) (err error) {
		p.Log = g.opt.Log
		switch {
		case c.SecretFile != "":
			if p.ClientSecret, err = readSecret(c.SecretFile); err != nil {
				return fmt.Errorf("[[identity]] %s: client_secret_file: %w", c.Name, err)
			}
		case c.Builtin && g.apart != nil:
			p.ClientSecret, p.Transport = met.Secret, g.apart
		case c.Builtin:
			return g.openBuiltin(p)
		}
		return nil
	})
	return err
}

func (g *Gateway) openBuiltin(p *oidcauth.Config) error {
	secret, err := secretFile(g.path("keys", "idp-client.key"), 32)
	if err != nil {
		return err
	}
	site := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { g.handler.ServeHTTP(w, r) }) // which is made later
	if g.idp, err = builtin(g.opt.Config, UsersDir(g.opt.Config), p, hex.EncodeToString(secret), g.addr(), oidcauth.Inside(site), g.opt.Log); err != nil {
		return err
	}
	g.Users, g.Issuer = g.idp.Users(), p.Issuer
	return nil
}

// builtin makes the built-in provider and completes how it is asked. Logout tokens go to logouts, never over the network:
// the site's own name may lead through a proxy, or show a certificate that only browsers were told to trust.
func builtin(c *config.Config, dir string, p *oidcauth.Config, secret string, addr func(*http.Request) netip.Addr, logouts http.RoundTripper, log *slog.Logger) (*idp.Provider, error) {
	base := siteBase(c)
	p.ClientSecret = secret
	made, err := idp.New(idp.Config{Issuer: p.Issuer, Dir: dir, Site: c.Site.Name, Addr: addr, Log: log, HTTP: &http.Client{Transport: logouts, Timeout: 3 * time.Second},
		Clients: []idp.Client{{ID: ownClient, Secret: secret, Redirects: []string{p.RedirectURL}, AfterLogout: []string{base + "/signin"}, BackChannel: base + "/backchannel/" + p.Name}}})
	if err != nil {
		return nil, err
	}
	p.Transport = oidcauth.Inside(made.Handler())
	return made, nil
}

// notice is the four lines before every session. The third is true of strict recording, which is the only kind here.
func (g *Gateway) notice() []string {
	return []string{
		g.opt.Config.Site.Notice,
		"What you type, what is shown and what runs goes into a record that " + g.opt.Config.Site.Name + " keeps and its compliance officers read.",
		"Every byte is safe on disk before it reaches the machine or your screen.",
		"What you type while the machine hides it, as a password, is sealed: only unsealing officers can open it.",
	}
}

func (g *Gateway) revokeToken(ctx context.Context, tokenID string) error {
	leaf, err := g.Signer.RevokeToken(ctx, tokenID, "its person was removed or disabled at the provider")
	if err != nil {
		return err
	}
	return g.audit.Index(ctx, leaf.Index, "token", "", tokenID)
}

func (g *Gateway) openSite(ctx context.Context) error {
	arch, err := archive.Open(archive.Config{Dir: g.path("recordings"), Identity: g.identity.archive})
	if err != nil {
		return err
	}
	site := api.Site{Name: g.opt.Config.Site.Name, Notice: g.notice(), Demo: g.opt.Demo, URL: g.joinURL()}
	for _, p := range g.set.All() {
		site.Providers = append(site.Providers, apitype.Provider{Name: p.Name(), ShownAs: p.ShownAs(), Start: "/login/" + p.Name()})
	}
	g.login, err = login.New(login.Config{URL: g.opt.Config.Site.URL, Site: site.Name, Providers: g.set, Store: g.DB, Audit: g.audit, Addr: g.addr(),
		OnSignedOut: func(key, why string) { go g.broker.EndAllOf(key, why) }, OnChanged: g.revalidated,
		InUse: g.broker.InUse, RevokeToken: g.revokeToken,
		Identify: g.Signer.Identify, SignOut: g.Signer.SignOut, Log: g.opt.Log})
	if err != nil {
		return err
	}
	tickets := terminal.NewTickets(nil)
	hosts := []string{g.host}
	g.door = terminal.New(terminal.Config{Broker: timedBroker{terminal.Through(g.broker), g.meters}, Tickets: tickets, Who: web.Caller(g.login),
		Origins: web.Origins(strings.TrimSuffix(g.opt.Config.Site.URL, "/"), nil), Log: g.opt.Log})
	a := api.New(api.Config{Site: site, Who: web.Asker(g.login), Rules: g.rules, Broker: g.broker, Tickets: tickets, Store: g.DB, Office: g.identity.office, Desk: g.desk, Notifications: g.notifications,
		Records: &records.Records{Archive: arch, Evidence: &evidence{g, g.identity.archive}}, Signer: g.Signer, Audit: g.audit,
		SignOut: g.login.SignOutAll, SessionTime: sessionTime, AsksPerMinute: g.opt.Config.Site.AsksPerMinute,
		Log: g.opt.Log})
	a.AnnounceConfigured(ctx)
	more := map[string]http.Handler{"GET /healthz": http.HandlerFunc(healthy), "GET /readyz": http.HandlerFunc(g.ready)}
	if g.opt.Config.Listen.MetricsToken != "" {
		if more["GET /metrics"], err = g.metricsByToken(); err != nil {
			return err
		}
	}
	switch {
	case g.apart != nil:
		more["/idp/"] = g.apart.provider(g.addr(), g.opt.Log)
	case g.idp != nil:
		more["/idp/"] = g.idp.Handler()
	}
	site2, err := web.New(web.Config{URL: g.opt.Config.Site.URL, Hosts: hosts, API: a, Terminal: g.door, Login: g.login, More: more, Addr: g.addr(), Log: g.opt.Log})
	if err != nil {
		return err
	}
	mux := http.NewServeMux() // agents know no cookies, and may come by names that are not the site's
	mux.HandleFunc(wire.ControlPath, g.lines.Control)
	mux.HandleFunc(wire.SessionPath, g.lines.Session)
	mux.Handle("/", site2)
	g.handler = mux
	return nil
}

// forwarded reads X-Forwarded-For from the right, as far as trusted proxies wrote it.
func forwarded(proxies []string) func(*http.Request) netip.Addr {
	known := trusted(proxies)
	return func(r *http.Request) netip.Addr {
		ap, _ := netip.ParseAddrPort(r.RemoteAddr)
		from := ap.Addr().Unmap()
		hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
		for i := len(hops) - 1; i >= 0 && known(from); i-- {
			a, ok := hop(strings.TrimSpace(hops[i]))
			if !ok {
				break
			}
			from = a.Unmap()
		}
		return from
	}
}

// trusted tells the addresses of proxies, whose networks the configuration's check has read once.
func trusted(proxies []string) func(netip.Addr) bool {
	var nets []netip.Prefix
	for _, t := range proxies {
		if p, err := netip.ParsePrefix(t); err == nil {
			nets = append(nets, p)
		}
	}
	return func(a netip.Addr) bool {
		return slices.ContainsFunc(nets, func(n netip.Prefix) bool { return n.Contains(a) })
	}
}

// hop reads one address of X-Forwarded-For. Some proxies write a port behind it, and an IPv6 address in brackets (RFC 7239,
// section 6).
func hop(text string) (netip.Addr, bool) {
	if ap, err := netip.ParseAddrPort(text); err == nil {
		return ap.Addr(), true
	}
	if bare, ok := strings.CutPrefix(text, "["); ok {
		text = strings.TrimSuffix(bare, "]")
	}
	a, err := netip.ParseAddr(text)
	return a, err == nil
}
