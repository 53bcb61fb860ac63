package node

import (
	"context"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"strings"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/idp"
	"github.com/sallyport/sallyport/internal/oidcauth"
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

// openIdentity makes the providers, the built-in one among them.
func (g *Gateway) openIdentity(context.Context) error {
	var all []*oidcauth.Provider
	base := strings.TrimSuffix(g.opt.Config.Site.URL, "/")
	for _, c := range g.opt.Config.Identity {
		p := oidcauth.Config{Name: c.Name, ShownAs: c.ShownAs, Issuer: c.Issuer, ClientID: c.ClientID, RedirectURL: base + "/callback/" + c.Name,
			GroupsClaim: c.GroupsClaim, Groups: c.Groups, AMR: c.SecondFactor.AMR, ACR: c.SecondFactor.ACR}
		if c.SecretFile != "" {
			text, err := os.ReadFile(c.SecretFile)
			if err != nil {
				return fmt.Errorf("[[identity]] %s: %w", c.Name, err)
			}
			p.ClientSecret = strings.TrimSpace(string(text))
		}
		if c.Builtin {
			if err := g.openBuiltin(base, &p); err != nil {
				return err
			}
		}
		made, err := oidcauth.New(p)
		if err != nil {
			return err
		}
		all = append(all, made)
	}
	var err error
	g.set, err = oidcauth.NewSet(all...)
	return err
}

func (g *Gateway) openBuiltin(base string, p *oidcauth.Config) error {
	secret, err := secretFile(g.path("keys", "idp-client.key"), 32)
	if err != nil {
		return err
	}
	p.Issuer, p.ClientID, p.ClientSecret = base+"/idp", ownClient, hex.EncodeToString(secret)
	g.idp, err = idp.New(idp.Config{Issuer: p.Issuer, Dir: g.path("idp"), Site: g.opt.Config.Site.Name, Addr: g.addr(), Log: g.opt.Log,
		Clients: []idp.Client{{ID: ownClient, Secret: p.ClientSecret, Redirects: []string{p.RedirectURL}, AfterLogout: []string{base + "/signin"}, BackChannel: base + "/backchannel/" + p.Name}}})
	if err != nil {
		return err
	}
	g.Users, g.Issuer = g.idp.Users(), p.Issuer
	p.Transport = oidcauth.Inside(g.idp.Handler())
	return nil
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

func (g *Gateway) openSite(context.Context) error {
	arch, err := archive.Open(archive.Config{Dir: g.path("recordings"), Identity: g.identity.archive})
	if err != nil {
		return err
	}
	site := api.Site{Name: g.opt.Config.Site.Name, Notice: g.notice(), Demo: g.opt.Demo, URL: g.joinURL()}
	for _, p := range g.set.All() {
		site.Providers = append(site.Providers, apitype.Provider{Name: p.Name(), ShownAs: p.ShownAs(), Start: "/login/" + p.Name()})
	}
	g.login, err = login.New(login.Config{URL: g.opt.Config.Site.URL, Site: site.Name, Providers: g.set, Store: g.DB, Audit: g.audit, Addr: g.addr(),
		OnSignedOut: func(key, why string) { go g.broker.EndAllOf(key, why) }, OnChanged: g.revalidated, InUse: g.broker.InUse, Log: g.opt.Log})
	if err != nil {
		return err
	}
	tickets := terminal.NewTickets(nil)
	hosts := []string{g.host}
	g.door = terminal.New(terminal.Config{Broker: terminal.Through(g.broker), Tickets: tickets, Who: web.Caller(g.login),
		Origins: web.Origins(strings.TrimSuffix(g.opt.Config.Site.URL, "/"), nil), Log: g.opt.Log})
	a := api.New(api.Config{Site: site, Who: web.Asker(g.login), Rules: g.rules, Broker: g.broker, Tickets: tickets, Store: g.DB, Office: g.identity.office,
		Records: &records.Records{Archive: arch, Log: g.Signer, Bundler: &bundler{g}}, Signer: g.Signer, Audit: g.audit, Log: g.opt.Log})
	more := map[string]http.Handler{"GET /healthz": http.HandlerFunc(healthy), "GET /readyz": http.HandlerFunc(g.ready)}
	if g.idp != nil {
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

func healthy(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") }

// ready says whether new sessions can start.
func (g *Gateway) ready(w http.ResponseWriter, r *http.Request) {
	err := g.record.Ready()
	if err == nil {
		err = g.DB.Ping(r.Context())
	}
	if err == nil {
		_, err = g.Signer.Head(r.Context())
	}
	if err != nil {
		text, _, _ := errkind.ForPeople(err)
		http.Error(w, text, http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "ready")
}

// forwarded reads X-Forwarded-For from the right, as far as trusted proxies wrote it.
func forwarded(trusted []string) func(*http.Request) netip.Addr {
	var nets []netip.Prefix
	for _, t := range trusted {
		if p, err := netip.ParsePrefix(t); err == nil {
			nets = append(nets, p)
		}
	}
	known := func(a netip.Addr) bool {
		for _, n := range nets {
			if n.Contains(a) {
				return true
			}
		}
		return false
	}
	return func(r *http.Request) netip.Addr {
		ap, _ := netip.ParseAddrPort(r.RemoteAddr)
		from := ap.Addr().Unmap()
		hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
		for i := len(hops) - 1; i >= 0 && known(from); i-- {
			a, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
			if err != nil {
				break
			}
			from = a.Unmap()
		}
		return from
	}
}
