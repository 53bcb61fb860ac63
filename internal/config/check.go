package config

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
	"time"
)

func (c *Config) defaults() {
	set := func(s *string, v string) {
		if *s == "" {
			*s = v
		}
	}
	set(&c.Site.Name, "Sallyport")
	set(&c.Site.Notice, "Sessions are recorded.")
	set(&c.Listen.HTTPS, ":443")
	c.Listen.PerPeer = cmp.Or(c.Listen.PerPeer, 1024)
	c.Listen.Total = cmp.Or(c.Listen.Total, max(8192, c.Listen.PerPeer))
	set(&c.Recording.Durability, "strict")
	set(&c.Log.Format, "text")
	set(&c.Log.Level, "info")
	if c.Signer.Socket != "" {
		set(&c.Signer.Dir, "/var/lib/sallyport-signer")
		set(&c.Signer.GatewayUser, "sallyport")
	}
	if c.Site.AsksPerMinute == 0 {
		c.Site.AsksPerMinute = 120
	}
	c.Sessions.PerPerson = cmp.Or(c.Sessions.PerPerson, 8)
	c.Sessions.PerDevice = cmp.Or(c.Sessions.PerDevice, 4)
	size := func(s *Size, v Size) {
		if *s == 0 {
			*s = v
		}
	}
	size(&c.Recording.LowWater, 2<<30)
	size(&c.Recording.Ballast, 64<<20)
	size(&c.Recording.Journal, 256<<20)
	size(&c.Recording.PerSession, 2<<30)
	if c.Recording.KeepAtLeast == 0 {
		c.Recording.KeepAtLeast = Duration(400 * 24 * time.Hour)
	}
	if len(c.TLS.Proxies) == 0 && c.TLS.Mode == "behind-proxy" {
		c.TLS.Proxies = Words{"127.0.0.0/8", "::1/128"}
	}
	if c.Mail.Server != "" {
		set(&c.Mail.Security, "starttls")
	}
	for i := range c.Webhook {
		set(&c.Webhook[i].Format, "json")
	}
	for i := range c.Identity {
		set(&c.Identity[i].GroupsClaim, "groups")
		set(&c.Identity[i].ShownAs, c.Identity[i].Name)
		if c.Identity[i].NoRefresh == 0 {
			c.Identity[i].NoRefresh = Duration(time.Hour)
		}
		if !c.Identity[i].Builtin {
			set(&c.Identity[i].Prompt, "auto")
			set(&c.Identity[i].Logout, "hint")
		}
	}
	if u, err := url.Parse(c.Site.URL); err == nil && c.Ledger.Origin == "" {
		c.Ledger.Origin = u.Host + "/log"
	}
}

func (c *Config) check() error {
	for _, f := range []func() error{c.checkSite, c.checkListen, c.checkTLS, c.checkIdentities, c.checkSessions, c.checkRecording, c.checkSigner, c.checkNotifications, c.checkLog} {
		if err := f(); err != nil {
			return err
		}
	}
	if len(c.Policy.Files) == 0 {
		return errors.New("[policy] files is missing: without a policy nobody may do anything; write files = [\"/etc/sallyport/policy/*.toml\"]")
	}
	return nil
}

func (c *Config) checkSite() error {
	u, err := url.Parse(c.Site.URL)
	switch {
	case c.Site.URL == "":
		return errors.New("[site] url is missing: the address people type, such as url = \"https://access.example\"")
	case err != nil || u.Host == "" || (u.Path != "" && u.Path != "/") || u.RawQuery != "" || u.User != nil:
		return fmt.Errorf("[site] url = %q: write scheme and host only, such as \"https://access.example\"", c.Site.URL)
	case u.Scheme != "https" && !loopback(u.Hostname()):
		return fmt.Errorf("[site] url = %q: only a loopback name may go without https", c.Site.URL)
	case c.Site.AsksPerMinute < 0 || c.Site.AsksPerMinute > 60_000:
		return fmt.Errorf("[site] asks_per_minute = %d: write 1 to 60000", c.Site.AsksPerMinute)
	case c.Site.DataDir == "" || !filepath.IsAbs(c.Site.DataDir):
		return fmt.Errorf("[site] data_dir = %q: write an absolute path, such as \"/var/lib/sallyport\"", c.Site.DataDir)
	}
	for _, h := range c.Site.Hosts {
		if _, _, err := net.SplitHostPort(h); err != nil {
			return fmt.Errorf("[site] hosts: %q is not host:port", h)
		}
	}
	return nil
}

func (c *Config) checkListen() error {
	l := c.Listen
	for key, n := range map[string]int{"unauthenticated_per_peer": l.PerPeer, "unauthenticated": l.Total} {
		if n < 1 || n > 1_000_000 {
			return fmt.Errorf("[listen] %s = %d: write 1 to 1000000", key, n)
		}
	}
	if l.Total < l.PerPeer {
		return fmt.Errorf("[listen] unauthenticated = %d: write at least unauthenticated_per_peer, which is %d",
			l.Total, l.PerPeer)
	}
	return nil
}

func (c *Config) checkSessions() error {
	for key, n := range map[string]int{"per_person": c.Sessions.PerPerson, "per_device": c.Sessions.PerDevice} {
		if n < 1 || n > 10_000 {
			return fmt.Errorf("[sessions] %s = %d: write 1 to 10000", key, n)
		}
	}
	return nil
}

func (c *Config) checkTLS() error {
	switch c.TLS.Mode {
	case "files":
		if c.TLS.Cert == "" || c.TLS.Key == "" {
			return errors.New("[tls] mode = \"files\" needs cert and key")
		}
	case "self":
	case "behind-proxy":
		host, _, err := net.SplitHostPort(c.Listen.HTTPS)
		if err != nil || !loopback(host) {
			return fmt.Errorf("[listen] https = %q: behind a proxy listen on loopback only, such as \"127.0.0.1:8080\"", c.Listen.HTTPS)
		}
	case "acme":
		return errors.New("[tls] mode = \"acme\" is not known yet: " + noACME)
	case "":
		return errors.New("[tls] mode is missing: write \"files\", \"self\" or \"behind-proxy\"")
	default:
		return fmt.Errorf("[tls] mode = %q: the modes are \"files\", \"self\" and \"behind-proxy\"", c.TLS.Mode)
	}
	for _, p := range c.TLS.Proxies {
		if _, err := netip.ParsePrefix(p); err != nil {
			return fmt.Errorf("[tls] trusted_proxies: %q is not a network such as \"127.0.0.0/8\"", p)
		}
	}
	return nil
}

func (c *Config) checkSigner() error {
	s := c.Signer
	switch {
	case s.Socket == "" && (s.Dir != "" || s.GatewayUser != ""):
		return errors.New("[signer] dir and gateway_user belong to a signer of its own process: write socket as well, or leave them out")
	case s.Socket == "":
		return nil
	case !filepath.IsAbs(s.Socket) || len(s.Socket) > 107:
		return fmt.Errorf("[signer] socket = %q: write an absolute path of at most 107 characters, such as \"/run/sallyport/signer.sock\"", s.Socket)
	case !filepath.IsAbs(s.Dir):
		return fmt.Errorf("[signer] dir = %q: write an absolute path, such as \"/var/lib/sallyport-signer\"", s.Dir)
	case within(s.Dir, c.Site.DataDir) || within(c.Site.DataDir, s.Dir):
		return fmt.Errorf("[signer] dir = %q: the signer's directory and data_dir belong to two users, so neither may lie in the other", s.Dir)
	}
	return nil
}

// within says whether path is dir or lies in it.
func within(path, dir string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, "../")
}

func (c *Config) checkLog() error {
	if c.Log.Format != "text" && c.Log.Format != "json" {
		return fmt.Errorf("[log] format = %q: write \"text\" or \"json\"", c.Log.Format)
	}
	var l slog.Level
	if err := l.UnmarshalText([]byte(c.Log.Level)); err != nil {
		return fmt.Errorf("[log] level = %q: write \"debug\", \"info\", \"warn\" or \"error\"", c.Log.Level)
	}
	return nil
}

// Logger writes to w as the file says. The file has been checked.
func (c *Config) Logger(w io.Writer) *slog.Logger {
	o := &slog.HandlerOptions{}
	var l slog.Level
	if l.UnmarshalText([]byte(c.Log.Level)) == nil {
		o.Level = l
	}
	if c.Log.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}

func (c *Config) checkRecording() error {
	switch {
	case c.Recording.Durability != "strict":
		return fmt.Errorf("[recording] durability = %q: write \"strict\"", c.Recording.Durability)
	case len(c.Recording.ReadersFiles) == 0:
		return errors.New("[recording] readers_files is missing: without a reader every recording would be lost; `age-keygen` makes a key, its public half goes here")
	case len(c.Recording.UnsealersFiles) == 0:
		return errors.New("[recording] unsealers_files is missing: somebody must be able to open hidden input; give a key that the archive does not have")
	}
	return nil
}

func loopback(host string) bool {
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
