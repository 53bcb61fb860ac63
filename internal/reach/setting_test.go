package reach

import (
	"strings"
	"testing"

	"github.com/sallyport/sallyport/internal/errkind"
)

func TestAddressesOfProxiesAreRead(t *testing.T) {
	for text, want := range map[string][3]string{ // host:port, user, password
		"http://10.0.0.1:3128":                          {"10.0.0.1:3128"},
		" HTTP://proxy.example:3128/\n":                 {"proxy.example:3128"},
		"https://proxy.example:443":                     {"proxy.example:443"},
		"socks5h://[2001:db8::1]:1080":                  {"[2001:db8::1]:1080"},
		"socks5://plant:s3cret@10.0.0.1:1080":           {"10.0.0.1:1080", "plant", "s3cret"},
		"http://plant:s3:cr@t@10.0.0.1:3128":            {"10.0.0.1:3128", "plant", "s3:cr@t"},
		"http://plant:%40%3A%2F%25%23%3F@10.0.0.1:1":    {"10.0.0.1:1", "plant", "@:/%#?"},
		"http://plant:gr%C3%BC%C3%9Fe+x@10.0.0.1:1":     {"10.0.0.1:1", "plant", "grüße+x"},
		"http://plänt:grüße 漢 &<>\"'@10.0.0.1:1":        {"10.0.0.1:1", "plänt", "grüße 漢 &<>\"'"},
		"http://plant@10.0.0.1:1":                       {"10.0.0.1:1", "plant"},
		"http://plant:@10.0.0.1:1":                      {"10.0.0.1:1", "plant"},
		"http://:only@10.0.0.1:1":                       {"10.0.0.1:1", "", "only"},
		"http://a:" + strings.Repeat("p", 300) + "@h:1": {"h:1", "a", strings.Repeat("p", 300)},
	} {
		u, err := ParseProxy(text, "--proxy")
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		again, err := ParseProxy(u.String(), "") // as it is kept in a file
		password, _ := u.User.Password()
		if got := [3]string{u.Host, u.User.Username(), password}; got != want || err != nil ||
			again.String() != u.String() {
			t.Errorf("%q: got %q, and read again %v, %v", text, got, again, err)
		}
	}
}

func TestAddressesOfProxiesThatCanNeverWorkAreNamed(t *testing.T) {
	for text, want := range map[string]string{ // the proxy as it is shown, and what is wrong; or that alone
		"":                                   "|it does not begin with http:// or socks5://",
		"10.0.0.1:3128":                      "10.0.0.1:3128|it does not begin with",
		"plant:s3cret@10.0.0.1:3128":         "10.0.0.1:3128|it does not begin with",
		"ftp://plant:s3cret@10.0.0.1:21":     "10.0.0.1:21|it begins with neither http://",
		"socks4://10.0.0.1:1080":             "it begins with neither http:// nor socks5://",
		"http://":                            "it names no host",
		"http://plant:s3cret@":               "it names no host",
		"http://:3128":                       "it names no host",
		"http://plant:s3cret@10.0.0.1":       "10.0.0.1|its port is missing",
		"http://10.0.0.1:":                   "its port is missing",
		"http://2001:db8::1":                 "2001:db8::1|its IPv6 address is not in brackets",
		"http://[2001:db8::1]":               "its port is missing",
		"http://plant:s3cret":                "plant|its port is not a number from 1 to 65535",
		"http://plant:s3cret:more":           "plant|its port is missing",
		"http://10.0.0.1:0":                  "its port is not a number",
		"http://10.0.0.1:65536":              "10.0.0.1|its port is not a number",
		"http://10.0.0.1:http":               "its port is not a number",
		"http://10.0.0.1:3128/s3cret":        "10.0.0.1:3128|there is more after its host and port",
		"http://10.0.0.1:3128?s3cret":        "there is more after its host and port",
		"http://plant:s3cret@10.0.0.1:1#x":   "there is more after its host and port",
		"http://two words:3128":              "two|its host is neither a name nor an IP address",
		"http://plant:s3/cret@10.0.0.1:3128": "10.0.0.1:3128|its user name or password has / ? or #",
		"http://plant:s3#cret@10.0.0.1:3128": "has / ? or #, which must be percent-encoded",
		"http://plant:s3?cret@10.0.0.1:3128": "has / ? or #, which must be percent-encoded",
		"http://plant:s3cret%@10.0.0.1:3128": "has a % that two hexadecimal digits do not follow",
		"http://pl%zznt:s3cret@10.0.0.1:1":   "has a % that two hexadecimal digits do not follow",
		"http://plant:s3cret%0A@10.0.0.1:1":  "has a control character",
		"http://pl%3Ant:s3cret@10.0.0.1:1":   "its user name has a colon, which Basic authentication does not allow",
		"socks5://:s3cret@10.0.0.1:1":        "SOCKS5 takes a user name of 1 to 255 bytes",
		"socks5://plant:" + strings.Repeat("s3cret", 43) + "@10.0.0.1:1": "and a password of at most 255",
	} {
		_, err := ParseProxy(text, "--proxy")
		said, hint, _ := errkind.ForPeople(err)
		if shown, why, both := strings.Cut(want, "|"); both {
			want = strings.ReplaceAll("the proxy "+shown+" of --proxy cannot be used: "+why, "  ", " ")
		}
		if errkind.KindOf(err) != errkind.Usage || !strings.Contains(said, want) {
			t.Errorf("%q: got %q, want …%s…", text, said, want)
		}
		if strings.Contains(err.Error()+hint, "cret") {
			t.Errorf("%q: the password is in %q", text, err)
		}
		if !strings.Contains(hint, "http://[user:password@]host:port or socks5://[user:password@]host:port") {
			t.Errorf("%q: the hint %q does not give the form", text, hint)
		}
		if cause, _ := Of(err); cause != ProxyAddress {
			t.Errorf("%q: got cause %d", text, cause)
		}
	}
}
