package e2e

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/signer"
	"github.com/sallyport/sallyport/internal/testenv"
	"github.com/sallyport/sallyport/internal/wire"
)

// Users of the two processes, and of nobody's. As an ordinary user everything runs as that one.
const (
	gatewayUID  = 65534
	signerUID   = 64001
	strangerUID = 64002
)

// apart is a server whose signer is a process and, as root, a user of its own.
type apart struct {
	*testenv.Server
	t               *testing.T
	root            bool
	gateway, signer *testenv.Process
}

func newApart(t *testing.T) *apart {
	a := &apart{Server: testenv.NewServer(t), t: t, root: os.Getuid() == 0}
	uid := os.Getuid()
	if a.root {
		uid = gatewayUID
	}
	a.Text += fmt.Sprintf("[signer]\nsocket = %q\ndir = %q\ngateway_user = \"%d\"\n", a.socket(), a.Path("signer"), uid)
	a.Write()
	for dir, owner := range map[string]int{"signer": signerUID, "data": gatewayUID, "run": signerUID} {
		os.Mkdir(a.Path(dir), 0o700)
		if a.root {
			os.Chown(a.Path(dir), owner, owner)
		}
	}
	os.Chmod(a.Path("run"), 0o755)
	return a
}

func (a *apart) socket() string { return a.Path("run", "s") }

func (a *apart) as(uid uint32) func(*exec.Cmd) {
	if a.root {
		return testenv.As(uid)
	}
	return func(*exec.Cmd) {}
}

func (a *apart) startSigner() { a.signer = a.Start("signer", "signer", a.as(signerUID)) }

// call speaks to the socket as somebody.
func (a *apart) call(uid uint32, name string, in any) (status int, text string) {
	a.t.Helper()
	raw, err := json.Marshal(in)
	if err != nil {
		a.t.Fatal(err)
	}
	cmd := exec.Command("curl", "-sS", "--max-time", "10", "-w", "\n%{http_code}", "--unix-socket", a.socket(), "-d", string(raw), "http://signer/"+name)
	a.as(uid)(cmd)
	out := testenv.Finish(a.t, cmd).Out
	end := strings.LastIndexByte(out, '\n')
	status, _ = strconv.Atoi(out[end+1:])
	return status, out[:max(0, end)]
}

func TestTheSignerApart(t *testing.T) {
	t.Parallel()
	a := newApart(t)
	a.gateway = a.Start("serve", "serve", a.as(gatewayUID))
	t.Run("without its signer the gateway waits and says so", a.waits)
	a.startSigner()
	a.WaitReady(a.gateway)
	a.AddUser("ada", "administrators")
	a.AddUser("tess", "technicians")
	admin, tess := a.Person("ada"), a.Person("tess")
	agent := a.Join(admin, "press-1", "--ca", a.CA())
	works := func(t *testing.T) {
		t.Helper()
		if got := tess.Run("shell", "press-1", "--", "echo", "out"); got.Out != "out\n" || got.Status != 0 {
			t.Errorf("got %+v\n%s", got, a.gateway.Output())
		}
	}
	t.Run("a session starts", works)
	t.Run("a browser signs in and opens a terminal", a.browses)
	t.Run("no answer carries a header twice", func(t *testing.T) {
		headersOnce(t, a.Server, "/", "/signin", "/login/guests", "/idp/.well-known/openid-configuration",
			"/idp/authorize", "/idp/nothing", "/api/v1/me", "/readyz")
	})
	t.Run("the gateway's user reads no key of the signer's", a.readsNothing)
	t.Run("forged evidence gets no pass", a.forged)
	t.Run("a sign-out at the provider reaches the gateway", func(t *testing.T) { a.signsOut(t, a.Person("tess")) })
	t.Run("doctor says that it is apart", func(t *testing.T) {
		state, text := "ok", "the signer is apart, as user 64001; the gateway, as nobody, cannot read its keys"
		if !a.root {
			state, text = "weak", "of the gateway's user"
		}
		read(t, testenv.Finish(t, a.Command("doctor", "--config", a.Config, "--json"))).want(t, "promise 6", state, text)
	})
	t.Run("without its signer it refuses, with it it goes on", func(t *testing.T) {
		a.signer.End(syscall.SIGKILL)
		got := tess.Run("shell", "press-1", "--", "true")
		if got.Status != 255 || !strings.Contains(got.Err, "the signer does not answer, so nothing new can start") {
			t.Errorf("without signer: got %+v", got)
		}
		if status, text, err := a.Ask("/readyz"); status != http.StatusServiceUnavailable || !strings.Contains(text, "signer: the signer does not answer") {
			t.Errorf("readyz: got %d %q %v", status, text, err)
		}
		a.startSigner()
		a.WaitReady(a.gateway)
		works(t)
	})
	t.Run("a session's page does not wait for a signer that does not answer", func(t *testing.T) {
		syscall.Kill(a.signer.Process.Pid, syscall.SIGSTOP)
		defer syscall.Kill(a.signer.Process.Pid, syscall.SIGCONT)
		began := time.Now()
		got := tess.Run("sessions", "show", "last")
		if got.Status != 0 || !strings.HasPrefix(got.Out, "not compared") || !strings.Contains(got.Out, "did not answer") {
			t.Errorf("got %+v, want the session, and that it was not compared\n%s", got, a.gateway.Output())
		}
		if took := time.Since(began); took > 20*time.Second { // ten times what is promised
			t.Errorf("the page took %s", took)
		}
	})
	t.Run("a gateway that was killed meets it again", func(t *testing.T) {
		a.gateway.End(syscall.SIGKILL)
		a.gateway = a.Serve(a.as(gatewayUID))
		a.WaitOnline(admin, agent, "press-1")
		works(t)
	})
	t.Run("another gateway's key is refused", func(t *testing.T) {
		status, text := a.call(gatewayUID, "gateway", map[string]any{"noise": wire.Sum([]byte("another"))})
		if status != http.StatusForbidden || !strings.Contains(text, "is not the one that the signer knows") {
			t.Errorf("got %d %q", status, text)
		}
	})
}

// browses does what a technician does, in a real Chromium: it enforces the policies that come with the sign-in page.
func (a *apart) browses(t *testing.T) {
	known := map[string]any{
		"url":     a.URL,
		"users":   []map[string]string{{"name": "tess", "password": testenv.Password}},
		"devices": []map[string]string{{"name": "press-1", "login": a.Login}},
	}
	cmd := inChromium(t, "signin.mjs", known)
	if got := testenv.Finish(t, cmd); got.Status != 0 || !strings.Contains(got.Out, "in42out") {
		t.Errorf("got %d %s%s\n%s", got.Status, got.Out, got.Err, a.gateway.Output())
	}
}

// headersOnce asks for pages and wants each header once. Redirects are answers too.
func headersOnce(t *testing.T, s *testenv.Server, paths ...string) {
	t.Helper()
	for _, path := range paths {
		req, err := http.NewRequest(http.MethodGet, s.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := s.Client().Transport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		for name, values := range resp.Header {
			if len(values) != 1 && name != "Set-Cookie" {
				t.Errorf("%s (%d): %s is sent %d times: %q", path, resp.StatusCode, name, len(values), values)
			}
		}
	}
}

func (a *apart) waits(t *testing.T) {
	a.Eventually("it says what it waits for", a.gateway, func() error {
		status, text, err := a.Ask("/readyz")
		if err != nil || status != http.StatusServiceUnavailable || !strings.Contains(text, "the signer does not answer at "+a.socket()) {
			return fmt.Errorf("got %d %q %v", status, text, err)
		}
		return nil
	})
	if status, _, err := a.Ask("/healthz"); status != http.StatusOK {
		t.Errorf("healthz: got %d %v", status, err)
	}
	if status, text, _ := a.Ask("/api/v1/signin"); status != http.StatusServiceUnavailable || !strings.Contains(text, "the gateway is starting") {
		t.Errorf("got %d %q", status, text)
	}
}

// readsNothing tries every file, as the gateway's user and in the gateway's own descriptors.
func (a *apart) readsNothing(t *testing.T) {
	files := 0
	err := filepath.WalkDir(a.Path("signer"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files++
		info, err := d.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 && strings.Contains(path, "/keys/") {
			t.Errorf("%s has mode %o", path, info.Mode().Perm())
		}
		if !a.root {
			return err
		}
		cmd := exec.Command("cat", path)
		testenv.As(gatewayUID)(cmd)
		if out, err := cmd.Output(); err == nil || len(out) > 0 {
			t.Errorf("the gateway's user reads %s", path)
		}
		return err
	})
	if err != nil || files < 8 {
		t.Fatalf("%d files, %v: is this the signer's directory?", files, err)
	}
	for _, key := range []string{"root.key", "session-ca.key", "log.key", "site.key", "idp-client.key"} {
		if _, err := os.Stat(a.Path("signer", "keys", key)); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(a.Path("data", "signer")); err == nil {
			t.Error("the gateway made a signer of its own")
		}
	}
	open, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", a.gateway.Process.Pid))
	for _, fd := range open {
		if to, _ := os.Readlink(fd); strings.HasPrefix(to, a.Path("signer")) {
			t.Errorf("the gateway holds %s open", to)
		}
	}
	if !a.root {
		t.Log("as an ordinary user both processes are the same user, and only the modes are shown")
	}
}

// forged brings what a taken data plane could make up.
func (a *apart) forged(t *testing.T) {
	part := func(v any) string {
		raw, _ := json.Marshal(v)
		return base64.RawURLEncoding.EncodeToString(raw)
	}
	now := time.Now().Unix()
	claims := part(map[string]any{"iss": a.URL + "/idp", "sub": "somebody", "aud": "sallyport", "iat": now, "exp": now + 600, "auth_time": now, "groups": []string{"administrators", "technicians"}})
	key, _ := wire.NewNoiseKey()
	sid := id.NewSession()
	before := a.logSize(t)
	for what, e := range map[string]signer.Evidence{
		"a token without signature":     {IDToken: part(map[string]string{"alg": "none"}) + "." + claims + "."},
		"a token with a made-up one":    {IDToken: part(map[string]string{"alg": "ES256", "kid": "k"}) + "." + claims + "." + base64.RawURLEncoding.EncodeToString(make([]byte, 64))},
		"a token of HMAC with a secret": {IDToken: part(map[string]string{"alg": "HS256"}) + "." + claims + "." + base64.RawURLEncoding.EncodeToString(make([]byte, 32))},
		"an API token that nobody gave": {APIToken: "spt_0123456789abcdef0123456789"},
		"nothing":                       {},
	} {
		r := signer.OpenRequest{Evidence: e, Session: sid, Device: "press-1", Login: a.Login, H0: wire.Sum([]byte("h0")), RecordKey: make([]byte, 32), SessionKey: key.Public[:]}
		if status, text := a.call(gatewayUID, "open", r); status != http.StatusUnauthorized || strings.Contains(text, `"pass"`) {
			t.Errorf("%s: got %d %s", what, status, text)
		}
		if status, text := a.call(gatewayUID, "policy", map[string]any{"by": e, "files": []any{}, "reason": "x"}); status != http.StatusUnauthorized {
			t.Errorf("%s, for another policy: got %d %s", what, status, text)
		}
	}
	if after := a.logSize(t); after != before {
		t.Errorf("the log grew from %q to %q by forged evidence", before, after)
	}
	if a.root {
		if status, text := a.call(strangerUID, "head", map[string]any{}); status != 0 {
			t.Errorf("a stranger is answered: %d %s", status, text)
		}
	}
}

func (a *apart) logSize(t *testing.T) string {
	status, text := a.call(gatewayUID, "head", map[string]any{})
	var note []byte
	if err := json.Unmarshal([]byte(text), &note); status != http.StatusOK || err != nil {
		t.Fatalf("head: %d %s %v", status, text, err)
	}
	return strings.Split(string(note), "\n")[1]
}

// signsOut leaves at the provider, which tells the gateway; then the command line's sign-in is over too.
func (a *apart) signsOut(t *testing.T, p *testenv.Person) {
	p.Must("whoami")
	began := time.Now()
	p.Browser.Open(a.URL + "/idp/logout").Submit()
	for p.Run("whoami").Status == 0 {
		if time.Since(began) > 50*time.Second {
			t.Fatalf("still signed in %s after signing out at the provider\n%s", time.Since(began), a.gateway.Output())
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Logf("signed out after %s; promised are 5 s", time.Since(began))
}
