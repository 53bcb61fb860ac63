package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"reflect"
	"regexp"
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
	set(&c.Recording.Durability, "strict")
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
	if len(c.TLS.Proxies) == 0 {
		c.TLS.Proxies = Words{"127.0.0.0/8", "::1/128"}
	}
	for i := range c.Identity {
		set(&c.Identity[i].GroupsClaim, "groups")
		set(&c.Identity[i].ShownAs, c.Identity[i].Name)
	}
	if u, err := url.Parse(c.Site.URL); err == nil && c.Ledger.Origin == "" {
		c.Ledger.Origin = u.Host + "/log"
	}
}

func (c *Config) check() error {
	for _, f := range []func() error{c.checkSite, c.checkTLS, c.checkIdentities, c.checkRecording} {
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

var shortName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,30}$`)

func (c *Config) checkIdentities() error {
	if len(c.Identity) == 0 {
		return errors.New("[[identity]] is missing: nobody could sign in")
	}
	seen, builtin := map[string]bool{}, 0
	for _, p := range c.Identity {
		switch {
		case !shortName.MatchString(p.Name):
			return fmt.Errorf("[[identity]] name = %q: write 1 to 31 characters of a-z, 0-9 and -", p.Name)
		case seen[p.Name]:
			return fmt.Errorf("[[identity]] name = %q occurs twice", p.Name)
		case p.Builtin && (p.Issuer != "" || p.ClientID != "" || p.SecretFile != ""):
			return fmt.Errorf("[[identity]] %s: builtin has neither issuer nor client", p.Name)
		case !p.Builtin && (p.Issuer == "" || p.ClientID == ""):
			return fmt.Errorf("[[identity]] %s: issuer and client_id are missing; or write builtin = true", p.Name)
		}
		seen[p.Name] = true
		if p.Builtin {
			builtin++
		}
	}
	if builtin > 1 {
		return errors.New("[[identity]] builtin = true stands twice; there is one built-in provider")
	}
	return nil
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

// nearestKey finds the known key that a misspelt one is closest to.
func nearestKey(key string) string {
	best, at := "", 3
	for _, k := range keys(reflect.TypeFor[Config](), "") {
		if d := distance(key, k); d < at {
			best, at = k, d
		}
	}
	return best
}

func keys(t reflect.Type, prefix string) []string {
	var out []string
	for i := range t.NumField() {
		f := t.Field(i)
		name := f.Tag.Get("toml")
		if name == "" {
			continue
		}
		ft := f.Type
		if ft.Kind() == reflect.Slice && ft.Elem().Kind() == reflect.Struct {
			ft = ft.Elem()
		}
		out = append(out, prefix+name)
		if ft.Kind() == reflect.Struct {
			out = append(out, keys(ft, prefix+name+".")...)
		}
	}
	return out
}

// distance is Levenshtein's.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		before := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := before
			if a[i-1] != b[j-1] {
				cost++
			}
			before = row[j]
			row[j] = min(row[j]+1, row[j-1]+1, cost)
		}
	}
	return row[len(b)]
}
