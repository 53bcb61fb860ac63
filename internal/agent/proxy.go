package agent

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/sallyport/sallyport/internal/agent/state"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/reach"
	"github.com/sallyport/sallyport/internal/readfile"
	"github.com/sallyport/sallyport/internal/wire"
)

// Proxy is the proxy in force, and where it was set.
type Proxy struct {
	URL  string // with its password; empty: no proxy
	From string // where it was set, in words; empty: no proxy
}

// String gives the URL without its password, and where it was set; "none" if there is no proxy.
func (p Proxy) String() string {
	if p.URL == "" {
		return "none"
	}
	return fmt.Sprintf("%s (%s)", state.MaskProxy(p.URL), p.From)
}

// proxy gives the proxy for the next connection: from --proxy, --proxy-file or the state directory; an empty one leaves
// it to the environment. A file is read each time, so that a new password needs no restart.
func (c Config) proxy() (Proxy, error) {
	switch {
	case c.Proxy != "" && c.ProxyFile != "":
		return Proxy{}, errkind.New(errkind.Usage, "--proxy and --proxy-file cannot be used together").
			WithHint("Use one of them.")
	case c.Proxy != "":
		return checked(c.Proxy, "--proxy", "--proxy")
	case c.ProxyFile != "":
		raw, err := readfile.Regular(c.ProxyFile, readfile.Most)
		if err != nil {
			text := fmt.Sprintf("the file %s of --proxy-file cannot be read", c.ProxyFile)
			return Proxy{}, errkind.New(errkind.Usage, text).
				WithHint("The file must hold one line: http://[user:password@]host:port, or socks5://….").
				Because(err)
		}
		return checked(string(raw), c.ProxyFile, "--proxy-file "+c.ProxyFile)
	}
	kept, err := c.State.Proxy()
	if err != nil || kept == "" {
		return Proxy{}, err
	}
	return checked(kept, "kept in the state directory", "the state directory")
}

// checked parses the address of a proxy. from and setting say where it was set, for status and for errors.
func checked(text, from, setting string) (Proxy, error) {
	u, err := reach.ParseProxy(text, setting)
	if err != nil {
		return Proxy{}, err
	}
	return Proxy{URL: u.String(), From: from}, nil
}

// ProxyInForce gives the proxy for connections to host (host:port, of the trust bundle). Where none is set for the
// agent, it is that of HTTPS_PROXY or ALL_PROXY in this process's environment, unless NO_PROXY names the host. A
// setting that cannot be used is an error of kind errkind.Usage.
func (c Config) ProxyInForce(host string) (Proxy, error) {
	p, err := c.proxy()
	if err != nil || p.URL != "" {
		return p, err
	}
	u, variable, err := reach.Environment(&http.Request{URL: &url.URL{Scheme: "https", Host: host}})
	if err == nil && u != nil {
		p = Proxy{URL: u.String(), From: variable + " of this process"}
	}
	return p, err
}

// checkFixedProxy returns an error if the proxy on the command line or in the environment can never work, because these
// cannot change while this process runs. A file, and the proxy in the state directory, can be corrected meanwhile.
func (c Config) checkFixedProxy(host string) error {
	if kept, err := c.State.Proxy(); c.Proxy == "" && (c.ProxyFile != "" || kept != "" || err != nil) {
		return nil
	}
	_, err := c.ProxyInForce(host)
	return err
}

// shownProxy gives the proxy in force in words, or why it cannot be used; empty if there is none.
func (c Config) shownProxy(b *wire.Bundle) string {
	p, err := c.ProxyInForce(b.Hosts[0])
	switch {
	case err != nil:
		text, _, _ := errkind.ForPeople(err)
		return text
	case p.URL == "":
		return ""
	}
	return p.String()
}

// KeepProxy stores the URL of a proxy in the state directory d, for all connections from now on, and makes a running
// agent that is offline try it at once. Empty text removes the stored proxy. It fails if d holds no keys, if text is
// not the URL of a proxy (errkind.Usage), or if the file cannot be written.
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
