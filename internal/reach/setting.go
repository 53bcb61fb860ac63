package reach

import (
	"errors"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/sallyport/sallyport/internal/errkind"
)

// Parts of hints about the address of a proxy.
const (
	proxyForm   = "http://[user:password@]host:port or socks5://[user:password@]host:port"
	percentForm = "In user name and password, write characters such as @ : / % # ? as %40 %3A %2F %25 %23 %3F."
)

var proxySchemes = []string{"http", "https", "socks5", "socks5h"}

// ParseProxy parses the address of a proxy. setting says in errors where it was set: --proxy, HTTPS_PROXY, the name
// of a file, or empty. An error is of kind errkind.Usage, because such a setting can never work. The error names the
// proxy's host and port and repeats no other part of the text, which may hold a password. Errors of net/url repeat
// all of it.
func ParseProxy(text, setting string) (*url.URL, error) {
	scheme, rest, found := strings.Cut(strings.TrimSpace(text), "://")
	if !found {
		scheme, rest = "", scheme
	}
	scheme = strings.ToLower(scheme)
	at := strings.LastIndexByte(rest, '@') // a password may hold an @ that was not encoded
	host := strings.TrimSuffix(rest[at+1:], "/")
	why := wrongAddress(scheme, host)
	u := &url.URL{}
	if why == "" {
		var err error
		if u, err = url.Parse(scheme + "://" + host); err != nil || u.Hostname() == "" {
			why = "its host is neither a name nor an IP address"
		}
	}
	if why == "" && at > 0 {
		u.User, why = credentials(rest[:at], strings.HasPrefix(scheme, "socks5"))
	}
	if why != "" {
		return nil, unusable(setting, shownProxy(host), why)
	}
	return u, nil
}

// unusable returns the error for an address that can never work.
func unusable(setting, proxy, why string) error {
	text := "the proxy"
	if proxy != "" {
		text += " " + proxy
	}
	if setting != "" {
		text += " of " + setting
	}
	return errkind.New(errkind.Usage, text+" cannot be used: "+why).
		WithHint("Write it as " + proxyForm + ". " + percentForm).
		Because(&Failure{ProxyAddress, errSetting})
}

var errSetting = errors.New("wrong setting") // the text says what is wrong; the cause must not hold a password

// wrongAddress returns what is wrong with the scheme or with host:port, or an empty text.
func wrongAddress(scheme, host string) string {
	name, port, err := net.SplitHostPort(host)
	switch {
	case scheme == "":
		return "it does not begin with http:// or socks5://"
	case !slices.Contains(proxySchemes, scheme):
		return "it begins with neither http:// nor socks5://"
	case host == "" || err == nil && name == "":
		return "it names no host"
	case strings.ContainsAny(host, `/?#\`):
		return "there is more after its host and port"
	case err != nil && unbracketed(host):
		return "its IPv6 address is not in brackets"
	case err != nil || port == "":
		return "its port is missing"
	case !validPort(port):
		return "its port is not a number from 1 to 65535"
	}
	return ""
}

// unbracketed reports whether host is an IPv6 address as it is written outside of URLs.
func unbracketed(host string) bool {
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Is6()
}

func validPort(text string) bool {
	n, err := strconv.ParseUint(text, 10, 16)
	return err == nil && n > 0
}

// credentials parses user:password, each of which may be percent-encoded. Otherwise it returns the reason why they
// cannot be sent to a proxy.
func credentials(text string, socks bool) (*url.Userinfo, string) {
	if strings.ContainsAny(text, "/?#") {
		return nil, "its user name or password has / ? or #, which must be percent-encoded"
	}
	first, second, has := strings.Cut(text, ":")
	user, err := url.PathUnescape(first)
	password, err2 := url.PathUnescape(second)
	switch {
	case err != nil || err2 != nil:
		return nil, "its user name or password has a % that two hexadecimal digits do not follow"
	case strings.ContainsFunc(user+password, unicode.IsControl): // RFC 7617 section 2
		return nil, "its user name or password has a control character"
	case !socks && strings.Contains(user, ":"): // RFC 7617 section 2
		return nil, "its user name has a colon, which Basic authentication does not allow"
	case socks && (user == "" || len(user) > 255 || len(password) > 255): // RFC 1929 section 2
		return nil, "SOCKS5 takes a user name of 1 to 255 bytes and a password of at most 255"
	case !has:
		return url.User(user), ""
	}
	return url.UserPassword(user, password), ""
}

// shownProxy returns host:port for an error, or only the host if the port is not a port. It may be a password: in
// user:password without an @, the password is in the place of the port.
func shownProxy(host string) string {
	if i := strings.IndexAny(host, "/?#\\ \t"); i >= 0 {
		host = host[:i]
	}
	name, port, err := net.SplitHostPort(host)
	switch {
	case err == nil && validPort(port), unbracketed(host):
		return printable(host)
	case err == nil:
		return printable(name)
	}
	name, _, _ = strings.Cut(host, ":")
	return printable(name)
}
