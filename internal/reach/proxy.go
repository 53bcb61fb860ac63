package reach

import (
	"net/http"
	"strings"
)

// ProxyError says why a proxy did not open a tunnel.
type ProxyError struct {
	Proxy       string   // host:port
	Dial        bool     // the proxy could not be reached
	Status      int      // HTTP status of its answer, or the one for a SOCKS5 reply; 0: not the answer of a proxy
	Credentials bool     // the request had a user name
	Schemes     []string // the answer's Proxy-Authenticate headers
	Socks       bool     // it is a SOCKS5 proxy
	Err         error    // never nil; without the password
}

// Error names the proxy and the cause.
func (e *ProxyError) Error() string { return "proxy " + e.Proxy + ": " + e.Err.Error() }

// Unwrap gives the cause.
func (e *ProxyError) Unwrap() error { return e.Err }

func (e *ProxyError) classify(host string) (Cause, string, string) {
	proxy := "the proxy " + e.Proxy
	switch {
	case e.Dial:
		_, text, _ := classify(e.Proxy, e.Err)
		return ProxyUnreachable, proxy + " cannot be reached: " + text,
			"Check that the proxy runs, and its address in " + proxySetting
	case e.Status == 0 && timeout(e.Err):
		return ProxyTarget, proxy + " does not answer when asked for " + host,
			"The proxy does not reach " + host + ", or another kind of server listens at its address."
	case e.Status == 0:
		return NotProxy, e.Proxy + " does not answer as a proxy does",
			"Check the proxy's address in " + proxySetting
	case e.Status == http.StatusProxyAuthRequired,
		e.Status == http.StatusUnauthorized: // tinyproxy's answer to a wrong password
		return e.password(proxy)
	case e.Status == http.StatusMethodNotAllowed || e.Status == http.StatusNotFound ||
		e.Status == http.StatusNotImplemented || e.Status == http.StatusBadRequest:
		return NotProxy, e.Proxy + " does not answer as a proxy does" + e.answer(),
			"Another kind of web server listens there. Check the proxy's address in " + proxySetting
	case e.Status == http.StatusForbidden:
		return ProxyForbids, proxy + " does not allow a connection to " + host + e.answer(),
			"The proxy's administrator must allow CONNECT to " + host + "."
	case e.Status >= 500:
		return ProxyTarget, proxy + " cannot reach " + host + e.answer(),
			"Check the address. If it is right, the proxy's administrator must check its DNS and its network."
	}
	return ProxyForbids, proxy + " refuses to connect to " + host + e.answer(),
		"Ask the proxy's administrator why. The proxy must allow CONNECT to " + host + "."
}

// password distinguishes a missing password, a wrong one, and a kind of sign-in that this program does not support.
func (e *ProxyError) password(proxy string) (Cause, string, string) {
	if !e.Socks && len(e.Schemes) > 0 && !e.offers("basic") {
		return ProxyScheme, proxy + " asks for a kind of sign-in that this program does not support",
			"It must accept a user name and a password (Basic), or let this machine connect without one."
	}
	if e.Credentials {
		return ProxyWrongPassword, proxy + " does not accept the user name and password that it was given",
			"Correct them in " + proxySetting + " " + percentForm
	}
	return ProxyPassword, proxy + " wants a password", "Add it in " + proxySetting
}

// offers reports whether the proxy's challenges (RFC 9110 section 11.6.1) name a scheme. One header line may hold
// several.
func (e *ProxyError) offers(scheme string) bool {
	for challenge := range strings.SplitSeq(strings.Join(e.Schemes, ","), ",") {
		if first, _, _ := strings.Cut(strings.TrimSpace(challenge), " "); strings.EqualFold(first, scheme) {
			return true
		}
	}
	return false
}

// answer formats the status of an HTTP proxy; people do not know the codes of SOCKS5.
func (e *ProxyError) answer() string {
	if e.Socks {
		return ""
	}
	return " (" + status(e.Status) + ")"
}
