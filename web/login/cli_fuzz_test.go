package login

import (
	"net"
	"net/url"
	"strings"
	"testing"
)

// The answer to a command line goes to a loopback address, however the address is written.
func FuzzCLIStart(f *testing.F) {
	pad := strings.Repeat("a", 43)
	for _, redirect := range []string{"http://127.0.0.1:8000/", "http://[::1]:1/x", "http://localhost:1", "http://127.0.0.1@evil.example:80/", "http://127.0.0.1:80#x", "//x"} {
		f.Add(pad, pad, redirect)
	}
	f.Fuzz(func(t *testing.T, challenge, state, redirect string) {
		c, err := readCLIStart(url.Values{"challenge": {challenge}, "state": {state}, "redirect": {redirect}})
		if err != nil {
			return
		}
		u, err := url.Parse(c.Redirect)
		if err != nil || u.Scheme != "http" || u.User != nil || !net.ParseIP(u.Hostname()).IsLoopback() {
			t.Errorf("would send the code to %q", c.Redirect)
		}
	})
}
