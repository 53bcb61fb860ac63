package oidc

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/sallyport/sallyport/internal/testenv"
)

const policyText = `format = 1
name   = "A company with providers of its own"
groups = ["technicians", "administrators"]

[duties]
administer = ["administrators"]

[labels]
kind = { one_of = ["press"] }

[role.maintain]
why   = "Repair a press."
shell = { as = ["LOGIN"] }

[[allow]]
id      = "A1"
why     = "Technicians look after the presses."
who     = ["technicians"]
role    = "maintain"
devices = { kind = "press" }
hours   = "always"
`

// site is `sallyport serve` with the providers of a test, and one machine.
type site struct {
	t   *testing.T
	url string
	dir string
	bin string

	socket string // of a signer of its own
}

// newSite chooses the address; providers must know it before they start, and the gateway must know them.
func newSite(t *testing.T) *site {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dir, err := os.MkdirTemp("", "sallyport-oidc-")
	if err != nil {
		t.Fatal(err)
	}
	os.Chmod(dir, 0o711) // shells run as another user below it
	t.Cleanup(func() { os.RemoveAll(dir) })
	return &site{t: t, url: "http://" + l.Addr().String(), dir: dir, bin: testenv.Binaries(t)}
}

func (s *site) path(name string) string { return filepath.Join(s.dir, name) }

func (s *site) write(name, text string) string {
	s.t.Helper()
	if err := os.WriteFile(s.path(name), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return s.path(name)
}

// provider starts a foreign provider that knows this gateway as a client, and gives its part of the configuration, with
// more keys and the map of groups.
func (s *site) provider(name string, f foreign, more, groups string) (run *program, issuer, config string) {
	s.t.Helper()
	f.Client, f.Secret = name, clientSecret
	f.Redirect, f.AfterLogout, f.BackChannel = s.url+"/callback/"+name, s.url+"/signin", s.url+"/backchannel/"+name
	run, issuer = f.start(s.t)
	return run, issuer, fmt.Sprintf("[[identity]]\nname = %q\nissuer = %q\nclient_id = %q\nclient_secret_file = %q\n%s\n[identity.groups]\n%s\n",
		name, issuer, name, s.path("secret"), more, groups)
}

// serve runs the gateway until the test ends.
func (s *site) serve(identities string) {
	s.t.Helper()
	key, err := age.GenerateX25519Identity()
	if err != nil {
		s.t.Fatal(err)
	}
	s.write("secret", clientSecret+"\n")
	recipients := s.write("reader.pub", key.Recipient().String()+"\n")
	policy := s.write("policy.toml", strings.ReplaceAll(policyText, "LOGIN", account(s.t)))
	config := fmt.Sprintf("[site]\nurl = %q\ndata_dir = %q\n[listen]\nhttps = %q\nmetrics_token_file = %q\n"+
		"[tls]\nmode = \"behind-proxy\"\n[policy]\nfiles = [%q]\n"+
		"[recording]\nreaders_files = [%q]\nunsealers_files = [%q]\n"+
		"journal = \"64MiB\"\nballast = \"16MiB\"\nlow_water = \"256MiB\"\n%s",
		s.url, s.path("data"), strings.TrimPrefix(s.url, "http://"), s.path("secret"), policy, recipients,
		recipients, identities)
	file := s.write("gateway.toml", config)
	if s.socket != "" {
		s.program("sallyport", "signer", "--config", file)
	}
	s.program("sallyport", "serve", "--config", file)
	eventually(s.t, "the gateway is ready", func() bool {
		res, err := http.Get(s.url + "/readyz")
		if err == nil {
			res.Body.Close()
		}
		return err == nil && res.StatusCode == http.StatusOK
	})
}

// machine enrols press-1, as an administrator does it, and waits until it is online.
func (s *site) machine(admin *testenv.Person) {
	s.t.Helper()
	var token struct{ Code string }
	if err := json.Unmarshal([]byte(admin.Must("enroll-token", "create", "--name", "press-1", "--label", "kind=press", "--json")), &token); err != nil {
		s.t.Fatal(err)
	}
	state := s.path("press-1")
	enrol := exec.Command(filepath.Join(s.bin, "sallyport-agent"), "enroll", token.Code, "--preset", "open", "--state", state, "--ephemeral", "--no-wait")
	if out, err := enrol.CombinedOutput(); err != nil {
		s.t.Fatalf("enrol: %v\n%s", err, out)
	}
	s.program("sallyport-agent", "run", "--state", state, "--ephemeral", "--shell", "/bin/bash", "--home", "/")
	admin.Must("devices", "admit", "press-1")
	eventually(s.t, "press-1 is online", func() bool {
		var d struct{ Online bool }
		return json.Unmarshal([]byte(admin.Must("devices", "show", "press-1", "--json")), &d) == nil && d.Online
	})
}

// program runs one of ours until the test ends.
func (s *site) program(name string, args ...string) {
	s.t.Helper()
	log, err := os.Create(s.path(name + "-" + args[0] + ".log"))
	if err != nil {
		s.t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(s.bin, name), args...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		late := time.AfterFunc(20*time.Second, func() { cmd.Process.Kill() })
		cmd.Wait()
		late.Stop()
		if raw, _ := os.ReadFile(log.Name()); s.t.Failed() {
			s.t.Logf("%s said:\n%s", name, raw)
		}
		log.Close()
	})
}

// account is whose shells the machine runs: nobody where we are root, or else ourselves.
func account(t *testing.T) string {
	if os.Getuid() == 0 {
		return "nobody"
	}
	u, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	return u.Username
}

// eventually asks again until it holds, for 30 s at most.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !holds(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within 30 s: %s", what)
		}
	}
}
