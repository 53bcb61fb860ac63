package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/internal/testenv"
	"github.com/sallyport/sallyport/internal/wire"
)

// proxied runs a program that has to go through a proxy. No gateway is needed: none of the proxies opens a tunnel. The
// gateway's name is not a loopback name, which no proxy of the environment is used for.
type proxied struct {
	t   *testing.T
	bin string
}

const proxiedGateway = "https://access.invalid"

// person runs `sallyport args…`.
func (p proxied) person(env []string, args ...string) testenv.Result {
	return p.run("sallyport", append(env, "SALLYPORT_GATEWAY="+proxiedGateway, "SALLYPORT_TOKEN=spt_x"), args...)
}

// device runs `sallyport-agent enroll`.
func (p proxied) device(env []string, args ...string) testenv.Result {
	code := wire.JoinCode{URL: proxiedGateway}.String()
	args = append([]string{"enroll", code, "--preset", "open", "--no-wait", "--ephemeral", "--state",
		filepath.Join(p.t.TempDir(), "state")}, args...)
	return p.run("sallyport-agent", env, args...)
}

func (p proxied) run(program string, env []string, args ...string) testenv.Result {
	p.t.Helper()
	cmd := exec.CommandContext(p.t.Context(), filepath.Join(p.bin, program), args...)
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		return strings.HasSuffix(strings.ToUpper(name), "_PROXY") || strings.HasPrefix(name, "SALLYPORT_")
	})
	cmd.Env = append(append(cmd.Env, "HOME="+p.t.TempDir(), "NO_COLOR=1"), env...)
	return testenv.Finish(p.t, cmd)
}

const proxyForm = "http://[user:password@]host:port or socks5://[user:password@]host:port"

// TestAProxyThatCanNeverWorkIsAUsageError: malformed, of an unknown scheme, without a port, or with credentials that
// cannot be sent. The programs name the proxy and the form of its address, and never its password.
func TestAProxyThatCanNeverWorkIsAUsageError(t *testing.T) {
	t.Parallel()
	p, long := proxied{t, testenv.Binaries(t)}, strings.Repeat("x", 250)
	for proxy, c := range map[string]struct{ shown, why string }{
		"http://ada:s3cret@proxy.example":            {"proxy.example", "its port is missing"},
		"ftp://ada:s3cret@proxy.example:21":          {"proxy.example:21", "it begins with neither"},
		"http://ada:s3cret@proxy.example:http":       {"proxy.example", "its port is not a number"},
		"http://ada:s3cret@:3128":                    {":3128", "it names no host"},
		"http://ada:s3cret/@proxy.example:3128":      {"proxy.example:3128", "its user name or password has /"},
		"http://ada:s3cret%@proxy.example:3128":      {"proxy.example:3128", "its user name or password has a %"},
		"http://a%3Ada:s3cret@proxy.example:3128":    {"proxy.example:3128", "its user name has a colon"},
		"socks5://ada:s3cret" + long + "@[::1]:1080": {"[::1]:1080", "SOCKS5 takes"},
	} {
		type ran struct {
			setting string
			testenv.Result
		}
		for what, got := range map[string]ran{
			"whoami":              {"HTTPS_PROXY", p.person([]string{"HTTPS_PROXY=" + proxy}, "whoami")},
			"shell":               {"ALL_PROXY", p.person([]string{"ALL_PROXY=" + proxy}, "shell", "press-1", "--", "true")},
			"enroll":              {"https_proxy", p.device([]string{"ALL_PROXY=http://h:1", "https_proxy=" + proxy})},
			"enroll with --proxy": {"--proxy", p.device(nil, "--proxy", proxy)},
		} {
			want := fmt.Sprintf("the proxy %s of %s cannot be used: %s", c.shown, got.setting, c.why)
			if got.Status != 2 || !strings.Contains(got.Err, want) || !strings.Contains(got.Err, proxyForm) {
				t.Errorf("%s through %s: got status %d and %q, want 2 and %q", what, proxy, got.Status, got.Err, want)
			}
			if strings.Contains(got.Out+got.Err, "s3cret") {
				t.Errorf("%s through %s: the password is in %q", what, proxy, got.Out+got.Err)
			}
		}
	}
	t.Run("a host that NO_PROXY names does not need it", func(t *testing.T) {
		env := []string{"HTTPS_PROXY=http://proxy.example", "NO_PROXY=.invalid"}
		for what, got := range map[string]testenv.Result{"whoami": p.person(env, "whoami"), "enroll": p.device(env)} {
			if got.Status != 1 || !strings.Contains(got.Err, "access.invalid") || strings.Contains(got.Err, "proxy.example") {
				t.Errorf("%s: got %+v, want that the gateway's name is not known", what, got)
			}
		}
	})
}

// TestAProxyThatDoesNotAnswerOrRefusesIsNamed: that may change, so the status says that the command failed.
func TestAProxyThatDoesNotAnswerOrRefusesIsNamed(t *testing.T) {
	t.Parallel()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	refusing := testenv.Listen(t, func(c net.Conn) {
		http.ReadRequest(bufio.NewReader(c))
		io.WriteString(c, "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
	})
	silent := testenv.Listen(t, func(c net.Conn) { io.Copy(io.Discard, c) })
	for name, c := range map[string]struct {
		addr, want string
		form       bool // the address may be wrong, so the hint has its form
	}{
		"nothing listens":     {closed.Addr().String(), "the proxy %s cannot be reached: nothing listens at", true},
		"it wants a password": {passwordProxy(t), "the proxy %s does not accept the user name and password", true},
		"it refuses":          {refusing, "the proxy %s does not allow a connection to access.invalid", false},
		"it is silent":        {silent, "the proxy %s does not answer when asked for access.invalid", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := proxied{t, testenv.Binaries(t)}
			proxy := "http://ada:s3cret@" + c.addr
			want := fmt.Sprintf(c.want, c.addr)
			for status, got := range map[int][]testenv.Result{
				1:   {p.person([]string{"ALL_PROXY=" + proxy}, "whoami"), p.device(nil, "--proxy", proxy)},
				255: {p.person([]string{"HTTPS_PROXY=" + proxy}, "shell", "press-1", "--", "true")},
			} {
				for _, r := range got {
					if r.Status != status || !strings.Contains(r.Err, want) || strings.Contains(r.Out+r.Err, "s3cret") ||
						c.form && !strings.Contains(r.Err, proxyForm) {
						t.Errorf("got %+v, want status %d and %q", r, status, want)
					}
				}
			}
		})
	}
}

// TestAProxyGetsAPasswordOfSpecialCharacters, percent-encoded as the hints say.
func TestAProxyGetsAPasswordOfSpecialCharacters(t *testing.T) {
	t.Parallel()
	const password = `p@:/%#?ä 漢&+"`
	got := make(chan string, 10)
	addr := testenv.Listen(t, func(c net.Conn) {
		if r, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
			r.Header.Set("Authorization", r.Header.Get("Proxy-Authorization"))
			user, sent, _ := r.BasicAuth()
			got <- user + " " + sent
		}
		io.WriteString(c, "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
	})
	p := proxied{t, testenv.Binaries(t)}
	proxy := "http://ada:p%40%3A%2F%25%23%3F%C3%A4%20%E6%BC%A2&+%22@" + addr
	for what, r := range map[string]testenv.Result{
		"whoami":              p.person([]string{"HTTPS_PROXY=" + proxy}, "whoami"),
		"enroll":              p.device([]string{"ALL_PROXY=" + proxy}),
		"enroll with --proxy": p.device(nil, "--proxy", proxy),
	} {
		select {
		case sent := <-got:
			if sent != "ada "+password {
				t.Errorf("%s: the proxy got %q, want %q", what, sent, "ada "+password)
			}
		default:
			t.Errorf("%s: the proxy was not asked: %+v", what, r)
		}
	}
}
