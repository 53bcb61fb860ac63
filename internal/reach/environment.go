package reach

import (
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
)

// proxyVariables are the variables for the proxy of https, in the order of curl. The first one that is set counts.
var proxyVariables = []string{"HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"}

// FromEnvironment returns the proxy that the environment names for a request, or nil, as http.ProxyFromEnvironment
// does. It differs in two ways. ALL_PROXY counts if HTTPS_PROXY is not set. An address that cannot be used is an
// error of kind errkind.Usage, while net/http would connect without the proxy. Only https goes through a proxy,
// because programs use plain http only for loopback addresses.
func FromEnvironment(r *http.Request) (*url.URL, error) {
	u, _, err := Environment(r)
	return u, err
}

// Environment does the same as FromEnvironment, and also returns the name of the variable.
func Environment(r *http.Request) (u *url.URL, variable string, err error) {
	variable, text := environment()
	if text == "" || r.URL.Scheme != "https" {
		return nil, "", nil
	}
	// net/http applies NO_PROXY.
	if through, err := http.ProxyFromEnvironment(r); err == nil && through == nil {
		return nil, "", nil
	}
	u, err = parseVariable(text, variable)
	return u, variable, err
}

// environment reads the variables once, as net/http does, and makes net/http read them at the same time. Meanwhile it
// sets HTTPS_PROXY to a valid address. Otherwise net/http would not apply NO_PROXY if HTTPS_PROXY cannot be parsed,
// or if only ALL_PROXY is set, which net/http does not read.
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

// parseVariable parses the value of a variable. It may lack http://, as with curl and net/http.
func parseVariable(text, variable string) (*url.URL, error) {
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	return ParseProxy(text, variable)
}
