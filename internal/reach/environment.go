package reach

import (
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
)

// proxyVariables hold the proxy for https, the first one that is set. curl reads them in the same order.
var proxyVariables = []string{"HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"}

// FromEnvironment gives the proxy that the environment names for a request, as http.ProxyFromEnvironment does. It
// differs in two ways. ALL_PROXY counts where HTTPS_PROXY is not set. An address that cannot be used is an error of
// kind errkind.Usage; net/http would connect without the proxy. Only https goes through a proxy: programs speak plain
// http to loopback addresses alone.
func FromEnvironment(r *http.Request) (*url.URL, error) {
	u, _, err := Environment(r)
	return u, err
}

// Environment is FromEnvironment, and names the variable.
func Environment(r *http.Request) (u *url.URL, variable string, err error) {
	variable, text := environment()
	if text == "" || r.URL.Scheme != "https" {
		return nil, "", nil
	}
	// net/http knows what NO_PROXY means.
	if through, err := http.ProxyFromEnvironment(r); err == nil && through == nil {
		return nil, "", nil
	}
	u, err = parseVariable(text, variable)
	return u, variable, err
}

// environment reads the variables once, as net/http does, and makes net/http read them now. While it does, HTTPS_PROXY
// holds an address in any case: net/http ignores one that it cannot parse, does not know ALL_PROXY, and then would not
// say whether NO_PROXY excepts a host.
var environment = sync.OnceValues(func() (variable, text string) {
	for _, variable = range proxyVariables {
		if text = strings.TrimSpace(os.Getenv(variable)); text != "" {
			break
		}
	}
	if text == "" {
		return "", ""
	}
	address := "http://proxy.invalid:1"
	if u, err := parseVariable(text, variable); err == nil {
		address = u.String()
	}
	old, was := os.LookupEnv("HTTPS_PROXY")
	os.Setenv("HTTPS_PROXY", address)
	_, _ = http.ProxyFromEnvironment(&http.Request{URL: &url.URL{Scheme: "https", Host: "proxy.invalid"}})
	if os.Unsetenv("HTTPS_PROXY"); was {
		os.Setenv("HTTPS_PROXY", old)
	}
	return variable, text
})

// parseVariable reads a variable, which may lack http:// as with curl and net/http.
func parseVariable(text, variable string) (*url.URL, error) {
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	return ParseProxy(text, variable)
}
