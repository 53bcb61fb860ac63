package e2e

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/sallyport/sallyport/internal/testenv"
	"github.com/sallyport/sallyport/internal/wire"
)

// beginner is a plant where everything goes wrong that usually does: a second machine is offline, a third one's owner
// allows nothing, and people come from a provider that was set up in haste.
type beginner struct {
	*plant
	elsewhere *elsewhere
	code      string // good for one use, of nobody yet
}

func newBeginner(t *testing.T) *beginner {
	b := &beginner{elsewhere: newElsewhere(t)}
	b.plant = newPlant(t, func(p *plant) {
		p.Write("[policy]", fmt.Sprintf("[[identity]]\nname = \"work\"\nshown_as = \"ACME staff\"\nissuer = %q\nclient_id = \"sallyport\"\n[policy]", b.elsewhere.URL))
	})
	b.AddUser("ola", "compliance")
	b.code = b.newCode("press-9")
	return b
}

func (b *beginner) newCode(name string, more ...string) string {
	b.t.Helper()
	return strings.TrimSpace(b.admin.Must(append([]string{"enroll-token", "create", "--name", name}, more...)...))
}

// elsewhereCode is the same invitation to another address.
func (b *beginner) elsewhereCode(t *testing.T, address string) string {
	t.Helper()
	c, err := wire.ParseJoinCode(b.code)
	if err != nil {
		t.Fatal(err)
	}
	c.URL = address
	return c.String()
}

func (b *beginner) enrol(t *testing.T, name, code string, more ...string) string {
	t.Helper()
	got := testenv.Finish(t, b.Agent(name, append([]string{"enroll", code, "--preset", "open", "--no-wait"}, more...)...))
	return fmt.Sprintf("%d %s", got.Status, got.Err)
}

func (b *beginner) shell(t *testing.T, p *testenv.Person, device string) string {
	t.Helper()
	got := p.Run("shell", device, "--", "true")
	return fmt.Sprintf("%d %s", got.Status, got.Err)
}

// page is what a person reads who signs in with the other provider.
func (b *beginner) page(t *testing.T, refuse url.Values, claims map[string]any) string {
	t.Helper()
	b.elsewhere.set(refuse, claims)
	w := testenv.NewBrowser(t)
	w.Client.Transport = b.Client().Transport
	w.Open(b.URL + "/login/work")
	text := regexp.MustCompile(`<[^>]*>`).ReplaceAllString(w.Body, " ")
	return fmt.Sprintf("%d %s", w.Status, strings.Join(strings.Fields(html.UnescapeString(text)), " "))
}

// TestTheLikeliestMistakesAreExplained provokes each one for real. Every text says what, why and what to do.
func TestTheLikeliestMistakesAreExplained(t *testing.T) {
	t.Parallel()
	b := newBeginner(t)
	for _, m := range []struct {
		name    string
		provoke func(*testing.T) string
		want    []string
	}{
		{"1 wrong address: nothing listens there", func(t *testing.T) string {
			return b.enrol(t, "new", b.elsewhereCode(t, "http://"+testenv.FreePort(t)))
		}, []string{"1 ", "nothing listens at 127.0.0.1:",
			"Check the address and the port, and that the gateway runs."}},
		{"1 wrong address: the name is not known", func(t *testing.T) string {
			return b.enrol(t, "new", b.elsewhereCode(t, "https://gateway.invalid"))
		}, []string{"1 ", "the name gateway.invalid is not known in DNS",
			"Check the address for typing errors, and this machine's DNS settings."}},
		{"1 wrong address: something else answers", func(t *testing.T) string {
			return b.enrol(t, "new", b.elsewhereCode(t, b.elsewhere.URL))
		}, []string{"1 ", "answered 404 Not Found, which is not how a gateway answers", "Check the address"}},
		{"1 wrong address: the certificate is another's", func(t *testing.T) string {
			return b.enrol(t, "new", b.elsewhereCode(t, "https://access.example"), "--proxy", "http://"+plainProxy(t, b.Listen), "--ca", b.CA())
		}, []string{"1 ", "the certificate at access.example:443 is for other names (localhost)",
			"Check the address."}},
		{"1 wrong address: a person's", func(t *testing.T) string {
			got := b.tess.Run("login", "--gateway", b.elsewhere.URL, "--device")
			return fmt.Sprintf("%d %s", got.Status, got.Err)
		}, []string{"1 ", "answered 404 Not Found, which is not how a gateway answers", "Check the address"}},
		{"1 wrong address: not whole", func(t *testing.T) string { return b.enrol(t, "new", b.code[:40]) },
			[]string{"2 ", "this is not a whole join code", "copy it again"}},
		{"2 the clock stands at 1970", b.clock, []string{"0 ", "reach", "gateway key", "online, tunnel tls", "which does no harm here: the time that the gateway signs counts", "clock          20", " days behind"}},
		{"3 a proxy wants a password", func(t *testing.T) string {
			return b.enrol(t, "new", b.code, "--proxy", "http://"+passwordProxy(t), "--ca", b.CA())
		}, []string{"1 ", "wants a password", "Add it in HTTPS_PROXY", "http://[user:password@]host:port"}},
		{"3 a proxy wants a password: a person's", func(t *testing.T) string {
			cmd := b.tess.Command(t.Context(), "whoami", "--gateway", "https://access.invalid") // a loopback name would not go by it
			cmd.Env = append(cmd.Env, "SALLYPORT_TOKEN=spt_x", "HTTPS_PROXY=http://"+passwordProxy(t))
			got := testenv.Finish(t, cmd)
			return fmt.Sprintf("%d %s", got.Status, got.Err)
		}, []string{"1 ", "wants a password", "Add it in HTTPS_PROXY", "http://[user:password@]host:port"}},
		{"3 a proxy does not accept the password", func(t *testing.T) string {
			return b.enrol(t, "new", b.code, "--proxy", "http://plant:wrong@"+passwordProxy(t), "--ca", b.CA())
		}, []string{"1 ", "does not accept the user name and password that it was given", "Correct them"}},
		{"3 a proxy does not accept the password: a person's", func(t *testing.T) string {
			cmd := b.tess.Command(t.Context(), "whoami", "--gateway", "https://access.invalid")
			cmd.Env = append(cmd.Env, "SALLYPORT_TOKEN=spt_x", "HTTPS_PROXY=http://ada:wrong@"+passwordProxy(t))
			got := testenv.Finish(t, cmd)
			return fmt.Sprintf("%d %s", got.Status, got.Err)
		}, []string{"1 ", "does not accept the user name and password that it was given", "Correct them"}},
		{"3 a proxy opens TLS", func(t *testing.T) string {
			addr, _ := openingProxy(t, b.Listen)
			return b.enrol(t, "new", b.code, "--proxy", "http://"+addr, "--ca", b.CA())
		}, []string{"1 ", "is signed by an authority that this machine does not trust",
			"or a proxy here opens TLS, give that authority's certificate with --ca FILE."}},
		{"3 a proxy opens TLS and is trusted: shown", b.intercepted, []string{`"tunnel": "intercepted"`}},
		{"4 the code was used already", func(t *testing.T) string {
			code := b.newCode("press-4")
			if first := b.enrol(t, "press-4", code, "--ca", b.CA()); !strings.HasPrefix(first, "0 ") {
				t.Fatal(first)
			}
			return b.enrol(t, "another", code, "--ca", b.CA())
		}, []string{"77 ", "this join code has been used already: by press-4, key SHA256:", " from 127.0.0.1", "If that was not you, revoke that device. Make a new one with `sallyport enroll-token create`."}},
		{"5 the redirect URI is not registered", func(t *testing.T) string {
			return b.page(t, url.Values{"error": {"invalid_request"}, "error_description": {"redirect_uri did not match"}}, nil)
		}, []string{"503 ", "ACME staff does not take this gateway's redirect URI", "Register exactly " + b.URL + "/callback/work at the provider"}},
		{"5 the redirect URI: before anybody tries", func(t *testing.T) string {
			return testenv.Finish(t, b.Command("doctor", "--config", b.Config)).Out
		}, []string{"registered there must be exactly " + b.URL + "/callback/work"}},
		{"6 no groups claim", func(t *testing.T) string { return b.page(t, nil, nil) },
			[]string{"403 ", `ACME staff sent no list of groups (claim "groups")`,
				"to send this claim in the id token or at its userinfo endpoint"}},
		{"6 too many groups", func(t *testing.T) string {
			return b.page(t, nil, map[string]any{"_claim_names": map[string]string{"groups": "src1"}, "_claim_sources": map[string]any{"src1": map[string]string{"endpoint": "https://graph.example/groups"}}})
		}, []string{"403 ", "did not send your groups because there are too many of them", "only the groups that are assigned to this application"}},
		{"7 the device is offline", b.offline,
			[]string{"255 ", "press-2 is offline since 20", "UTC, so no session can start.",
				"Other devices at its site are online, so the fault is this device, its cable or its network."}},
		{"8 no grant", func(t *testing.T) string { return b.shell(t, b.admin, "press-1") },
			[]string{"77 ", "No machine of the name press-1 is visible to you", "`sallyport devices list` shows what you can reach and what you can ask for. The duties administer, review and own open no session."}},
		{"8 no grant, and a way in", func(t *testing.T) string { return b.shell(t, b.Person("ola"), "press-1") }, []string{"77 ", "You may not open a shell", "R1 lets you ask for it"}},
		{"9 the owner refuses", b.locked, []string{"77 ", "the machine refused: the owner's rules of this machine deny shell", "The owner of the machine decides this", "ask them"}},
		{"9 nobody answers for the owner", b.unanswered, []string{"77 ", "the machine refused: the owner's rules of this machine want a person at the machine to be asked", "ask them"}},
		{"10 the disk is low", b.diskLow, []string{"255 ", "free", "900 TiB", "The gateway's operator must free space"}},
	} {
		t.Run(m.name, func(t *testing.T) {
			got := m.provoke(t)
			for _, want := range m.want {
				if !strings.Contains(got, want) {
					t.Errorf("got %s\nwant …%s…\n%s", got, want, lastLine(b.gateway.Output()))
				}
			}
		})
	}
}

func lastLine(text string) string { return text[strings.LastIndexByte(text, '\n')+1:] }

// clock enrols and runs an agent whose clock stands where a dead battery leaves it.
func (b *beginner) clock(t *testing.T) string {
	agent := filepath.Join(t.TempDir(), "agent")
	build := exec.Command("go", "build", "-tags", "testclock", "-o", agent, "./cmd/sallyport-agent")
	build.Dir, build.Env = testenv.Root(), append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	prepare := func(args ...string) *exec.Cmd {
		cmd := b.Agent("press-3", args...)
		cmd.Path, cmd.Env = agent, append(os.Environ(), "SALLYPORT_TEST_WALL=0")
		return cmd
	}
	got := testenv.Finish(t, prepare("enroll", b.newCode("press-3"), "--preset", "open", "--no-wait", "--ca", b.CA()))
	if got.Status != 0 {
		return fmt.Sprintf("%d %s%s", got.Status, got.Out, got.Err)
	}
	b.admin.Must("devices", "admit", "press-3")
	p := testenv.Launch(t, b.Path("press-3.log"), prepare("run"))
	defer p.End(syscall.SIGTERM)
	b.WaitOnline(b.admin, p, "press-3")
	return fmt.Sprintf("%d %s%s", got.Status, got.Out, testenv.Finish(t, prepare("doctor")).Out+b.admin.Must("devices", "show", "press-3"))
}

// intercepted enrols through a proxy that opens TLS, whose authority the machine was told to trust.
func (b *beginner) intercepted(t *testing.T) string {
	addr, ca := openingProxy(t, b.Listen)
	if got := b.enrol(t, "press-5", b.newCode("press-5"), "--proxy", "http://"+addr, "--ca", ca); !strings.HasPrefix(got, "0 ") {
		return got
	}
	b.admin.Must("devices", "admit", "press-5")
	p := testenv.Launch(t, b.Path("press-5.log"), b.Agent("press-5", "run", "--proxy", "http://"+addr))
	defer p.End(syscall.SIGTERM)
	b.WaitOnline(b.admin, p, "press-5")
	return b.admin.Must("devices", "show", "press-5", "--json")
}

func (b *beginner) offline(t *testing.T) string {
	for _, name := range []string{"press-6", "press-2"} {
		if got := b.enrol(t, name, b.newCode(name, "--site", "ulm"), "--ca", b.CA()); !strings.HasPrefix(got, "0 ") {
			t.Fatal(got)
		}
		b.admin.Must("devices", "admit", name)
		p := testenv.Launch(t, b.Path(name+".log"), b.Agent(name, "run"))
		b.WaitOnline(b.admin, p, name)
		if name == "press-2" {
			p.End(syscall.SIGKILL)
		}
	}
	b.Eventually("press-2 is offline", b.gateway, func() error {
		if got := b.admin.Must("devices", "show", "press-2", "--json"); strings.Contains(got, `"online": true`) {
			return fmt.Errorf("%s", got)
		}
		return nil
	})
	return b.shell(t, b.tess, "press-2")
}

// withPreset joins a machine whose owner says something.
func (b *beginner) withPreset(t *testing.T, name, preset string) string {
	cmd := b.Agent(name, "enroll", b.newCode(name), "--preset", preset, "--no-wait", "--ca", b.CA())
	if got := testenv.Finish(t, cmd); got.Status != 0 {
		t.Fatalf("%+v", got)
	}
	b.admin.Must("devices", "admit", name)
	p := testenv.Launch(t, b.Path(name+".log"), b.Agent(name, "run"))
	defer p.End(syscall.SIGTERM)
	b.WaitOnline(b.admin, p, name)
	return b.shell(t, b.tess, name)
}

func (b *beginner) locked(t *testing.T) string     { return b.withPreset(t, "press-7", "locked") }
func (b *beginner) unanswered(t *testing.T) string { return b.withPreset(t, "press-8", "ask") }

// diskLow starts the gateway again with more free space wanted than there is.
func (b *beginner) diskLow(t *testing.T) string {
	b.gateway.End(syscall.SIGTERM)
	b.Write(`low_water = "16MiB"`, `low_water = "900TiB"`)
	b.gateway = b.Start("serve", "serve")
	b.Eventually("readyz names the disk", b.gateway, func() error {
		status, text, err := b.Ask("/readyz")
		if err != nil || status != http.StatusServiceUnavailable || !strings.Contains(text, "recorder: ") {
			return fmt.Errorf("%d %s %v", status, text, err)
		}
		return nil
	})
	return b.shell(t, b.tess, "press-1")
}

// passwordProxy answers every request with 407.
func passwordProxy(t *testing.T) string {
	return testenv.Listen(t, func(c net.Conn) {
		http.ReadRequest(bufio.NewReader(c))
		io.WriteString(c, "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"plant\"\r\n"+
			"Content-Length: 0\r\n\r\n")
	})
}

// plainProxy opens a tunnel to the gateway for every target.
func plainProxy(t *testing.T, gateway string) string {
	return testenv.Listen(t, func(c net.Conn) {
		http.ReadRequest(bufio.NewReader(c))
		io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n")
		out, err := net.Dial("tcp", gateway)
		if err != nil {
			return
		}
		defer out.Close()
		go io.Copy(out, c)
		io.Copy(c, out)
	})
}

// openingProxy opens TLS with an authority of its own, as inspecting proxies do. ca is the file of that authority.
func openingProxy(t *testing.T, gateway string) (addr, ca string) {
	ca = filepath.Join(t.TempDir(), "proxy", "ca.pem")
	conf := &tls.Config{Certificates: []tls.Certificate{certificate(t, ca)}}
	return testenv.Listen(t, func(c net.Conn) {
		http.ReadRequest(bufio.NewReader(c))
		io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n")
		in := tls.Server(c, conf)
		out, err := tls.Dial("tcp", gateway, &tls.Config{InsecureSkipVerify: true})
		if err != nil || in.Handshake() != nil {
			return
		}
		defer out.Close()
		go io.Copy(out, in)
		io.Copy(in, out)
	}), ca
}
