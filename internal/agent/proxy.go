package agent

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/sallyport/sallyport/internal/agent/state"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/wire"
)

// Proxy is the proxy in force, and where it was set.
type Proxy struct {
	URL  string // with its password; empty: the environment's, or none
	From string // for people; empty: there is none
}

// String gives both for people, without the password.
func (p Proxy) String() string {
	if p.URL == "" {
		return "none"
	}
	return fmt.Sprintf("%s (%s)", state.MaskProxy(p.URL), p.From)
}

// proxy finds the proxy of the next connection: that of the command line, of its file, of the state directory. A file
// is read each time, so that a new password needs no restart.
func (c Config) proxy() (Proxy, error) {
	switch {
	case c.Proxy != "" && c.ProxyFile != "":
		return Proxy{}, errkind.New(errkind.Usage, "--proxy and --proxy-file exclude each other").
			WithHint("Leave one of them out.")
	case c.Proxy != "":
		return checked(c.Proxy, "--proxy")
	case c.ProxyFile != "":
		raw, err := os.ReadFile(c.ProxyFile)
		if err != nil {
			text := fmt.Sprintf("the file %s of --proxy-file cannot be read", c.ProxyFile)
			return Proxy{}, errkind.New(errkind.Usage, text).
				WithHint("The file must hold one line: http://user:password@host:port.").
				Because(err)
		}
		return checked(string(raw), c.ProxyFile)
	}
	kept, err := c.State.Proxy()
	if err != nil || kept == "" {
		return Proxy{}, err
	}
	return checked(kept, "kept in the state directory")
}

func checked(text, from string) (Proxy, error) {
	u, err := state.ParseProxy(text)
	if err != nil {
		return Proxy{}, err
	}
	return Proxy{URL: u.String(), From: from}, nil
}

// ProxyInForce also looks at HTTPS_PROXY and NO_PROXY of this process, for a host of the trust bundle.
func (c Config) ProxyInForce(host string) (Proxy, error) {
	p, err := c.proxy()
	if err != nil || p.URL != "" {
		return p, err
	}
	u, err := http.ProxyFromEnvironment(&http.Request{URL: &url.URL{Scheme: "https", Host: host}})
	if err != nil {
		return p, errkind.New(errkind.Usage, "HTTPS_PROXY is not a URL that can be used").
			WithHint("Write http://user:password@host:port.")
	}
	if u != nil {
		p = Proxy{URL: u.String(), From: "HTTPS_PROXY of this process"}
	}
	return p, nil
}

// shownProxy is the proxy in force for people; empty where there is none.
func (c Config) shownProxy(b *wire.Bundle) string {
	p, err := c.ProxyInForce(b.Hosts[0])
	switch {
	case err != nil:
		return err.Error()
	case p.URL == "":
		return ""
	}
	return p.String()
}

// KeepProxy stores a proxy for the connections from now on, and has a running agent that is offline try it at once.
// Empty text removes the one that is kept.
func KeepProxy(d state.Dir, text string) error {
	if _, err := d.Keys(); err != nil {
		return err
	}
	if err := d.KeepProxy(strings.TrimSpace(text)); err != nil {
		return err
	}
	var ok bool
	d.Call(state.AgentSocket, state.Ask{Op: "network"}, &ok) // the agent may not be running
	return nil
}

// readableByOthers reports whether other users can read a file that holds a password.
func readableByOthers(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().Perm()&0o044 != 0
}
