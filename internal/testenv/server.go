package testenv

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
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
)

// Server is a gateway as an operator runs it: `sallyport serve`, and `sallyport signer` if the configuration says so, with
// directories, keys, policy and a configuration of its own. Nothing runs before Serve.
type Server struct {
	URL    string // https://localhost:PORT
	Listen string // 127.0.0.1:PORT
	Dir    string
	Config string // file
	Text   string // what Write writes there
	Login  string // whose shells devices run

	t   testing.TB
	bin string
}

// Password of everybody whom AddUser makes.
const Password = "several words in a row"

const serverPolicy = `format = 1
name = "test"
contact = "the test"
groups = ["technicians", "compliance", "administrators"]
[duties]
administer = ["administrators"]
review = ["compliance"]
by_token = ["review", "export"]
[labels]
site = {}
[role.maintain]
why = "Repair."
shell = { as = ["LOGIN"] }
[[allow]]
id = "A1"
why = "Technicians repair."
who = ["technicians"]
role = "maintain"
devices = "all"
hours = "always"
[[request]]
id = "R1"
why = "Compliance may look, when a technician agrees."
who = ["compliance"]
role = "maintain"
devices = "all"
at_most = "1h"
ask_for = ["reason"]
agree = [{ from = "technicians", count = 1 }]
answer_within = "30m"
`

// NewServer prepares one with a certificate authority of its own.
func NewServer(t testing.TB) *Server {
	t.Helper()
	dir, err := os.MkdirTemp("", "sallyport-serve-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s := &Server{Dir: dir, Listen: FreePort(t), Config: filepath.Join(dir, "etc", "gateway.toml"), t: t, bin: Binaries(t), Login: "nobody"}
	_, port, _ := net.SplitHostPort(s.Listen)
	s.URL = "https://localhost:" + port
	if u, err := user.Current(); err == nil && u.Uid != "0" {
		s.Login = u.Username
	}
	os.Chmod(dir, 0o711) // shells and the gateway may run as other users below it
	for path, mode := range map[string]os.FileMode{"etc": 0o755, "data": 0o700, "officer": 0o700, "home": 0o777} {
		s.must(os.Mkdir(s.Path(path), mode))
		s.must(os.Chmod(s.Path(path), mode))
	}
	for _, who := range []string{"reader", "unsealer"} {
		k, err := age.GenerateX25519Identity()
		s.must(err)
		s.must(os.WriteFile(s.Path("officer", who+".txt"), []byte(k.String()+"\n"), 0o600))
		s.must(os.WriteFile(s.Path("etc", who+".age"), []byte(k.Recipient().String()+"\n"), 0o644))
	}
	s.must(os.WriteFile(s.Path("etc", "policy.toml"), []byte(strings.ReplaceAll(serverPolicy, "LOGIN", s.Login)), 0o644))
	s.Text = fmt.Sprintf(`[site]
name = "Test works"
url = %q
data_dir = %q
drain_at_most = "0s"
[listen]
https = %q
[tls]
mode = "self"
[[identity]]
name = "guests"
builtin = true
[identity.groups]
technicians = "technicians"
compliance = "compliance"
administrators = "administrators"
[policy]
files = [%q]
[recording]
readers_files = [%q]
unsealers_files = [%q]
journal = "32MiB"
ballast = "4MiB"
low_water = "16MiB"
`, s.URL, s.Path("data"), s.Listen, s.Path("etc", "policy.toml"), s.Path("etc", "reader.age"), s.Path("etc", "unsealer.age"))
	s.Write()
	return s
}

func (s *Server) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// Path gives a path below the server's directory.
func (s *Server) Path(parts ...string) string {
	return filepath.Join(append([]string{s.Dir}, parts...)...)
}

// Write writes the configuration, with pairs of old and new text replaced for good.
func (s *Server) Write(pairs ...string) {
	s.t.Helper()
	for i := 0; i+1 < len(pairs); i += 2 {
		if !strings.Contains(s.Text, pairs[i]) {
			s.t.Fatalf("the configuration has no %q", pairs[i])
		}
		s.Text = strings.Replace(s.Text, pairs[i], pairs[i+1], 1)
	}
	s.must(os.WriteFile(s.Config, []byte(s.Text), 0o644))
}

// CA is the authority's certificate, there once the server has run.
func (s *Server) CA() string { return s.Path("data", "tls", "ca.pem") }

// Serve starts `sallyport serve` and waits until it is ready.
func (s *Server) Serve(prepare ...func(*exec.Cmd)) *Process {
	s.t.Helper()
	p := s.Start("serve", "serve", prepare...)
	s.WaitReady(p)
	return p
}

// Start starts one of the programs' server commands with this configuration.
func (s *Server) Start(name, command string, prepare ...func(*exec.Cmd)) *Process {
	s.t.Helper()
	cmd := s.Command(command, "--config", s.Config)
	for _, f := range prepare {
		f(cmd)
	}
	return Launch(s.t, s.Path(name+".log"), cmd)
}

// Command prepares `sallyport args…` on the server's own machine.
func (s *Server) Command(args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(s.bin, "sallyport"), args...)
	cmd.Env = append(os.Environ(), "HOME="+s.Dir, "NO_COLOR=1")
	return cmd
}

// WaitReady waits until /readyz says so.
func (s *Server) WaitReady(p *Process) {
	s.t.Helper()
	s.Eventually("the server is ready", p, func() error {
		status, text, err := s.Ask("/readyz")
		if err == nil && status != http.StatusOK {
			err = fmt.Errorf("%d %s", status, text)
		}
		return err
	})
}

// Eventually asks for up to a minute.
func (s *Server) Eventually(what string, p *Process, f func() error) {
	s.t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		err := f()
		if err == nil {
			return
		}
		if p.Ended() || time.Now().After(end) {
			s.t.Fatalf("%s: not so: %v\n%s", what, err, p.Output())
		}
	}
}

// Client trusts the server's authority.
func (s *Server) Client() *http.Client {
	pool := x509.NewCertPool()
	raw, _ := os.ReadFile(s.CA())
	pool.AppendCertsFromPEM(raw)
	return &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, DisableKeepAlives: true}}
}

// Ask gets a page of the server.
func (s *Server) Ask(path string) (status int, text string, err error) {
	resp, err := s.Client().Get(s.URL + path)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(raw), err
}

// AddUser adds a user by `sallyport users add`, with more arguments as given.
func (s *Server) AddUser(name, group string, more ...string) {
	s.t.Helper()
	args := append([]string{"users", "add", name, "--group", group, "--password-stdin", "--config", s.Config}, more...)
	cmd := s.Command(args...)
	cmd.Stdin = strings.NewReader(Password + "\n")
	if got := Finish(s.t, cmd); got.Status != 0 {
		s.t.Fatalf("users add: %+v", got)
	}
}

// Person signs somebody in by `sallyport login` and a browser.
func (s *Server) Person(name string) *Person {
	s.t.Helper()
	p := NewPerson(s.t, s.URL)
	p.Browser.Client.Transport = s.Client().Transport
	got := p.Login(func(b *Browser) { b.Submit("username", name, "password", Password) }, "allow", "--provider", "guests", "--ca", s.CA())
	if got.Status != 0 {
		s.t.Fatalf("login as %s: %+v at %s\n%s", name, got, p.Browser.At, p.Browser.Body)
	}
	return p
}

// Agent prepares `sallyport-agent args…` with a state directory of its own.
func (s *Server) Agent(name string, args ...string) *exec.Cmd {
	args = append(args, "--state", s.Path("devices", name))
	if args[0] == "enroll" || args[0] == "run" {
		args = append(args, "--ephemeral")
	}
	if args[0] == "run" && s.Login == "nobody" {
		args = append(args, "--shell", "/bin/bash", "--home", s.Path("home"))
	}
	return exec.Command(filepath.Join(s.bin, "sallyport-agent"), args...)
}

// Join makes a device known and admits it, as admin, and runs its agent.
func (s *Server) Join(admin *Person, name string, more ...string) *Process {
	s.t.Helper()
	code := strings.TrimSpace(admin.Must("enroll-token", "create", "--name", name))
	enrol := append([]string{"enroll", code, "--preset", "open", "--no-wait"}, more...)
	if got := Finish(s.t, s.Agent(name, enrol...)); got.Status != 0 {
		s.t.Fatalf("enroll: %+v", got)
	}
	admin.Must("devices", "admit", name)
	p := Launch(s.t, s.Path(name+".log"), s.Agent(name, "run"))
	s.WaitOnline(admin, p, name)
	return p
}

// WaitOnline waits until a device can be reached.
func (s *Server) WaitOnline(admin *Person, p *Process, name string) {
	s.t.Helper()
	s.Eventually(name+" is online", p, func() error {
		if got := admin.Run("devices", "show", name, "--json"); !strings.Contains(got.Out, `"online": true`) {
			return fmt.Errorf("%+v", got)
		}
		return nil
	})
}

// As runs a command as another user; only root can.
func As(uid uint32) func(*exec.Cmd) {
	return func(c *exec.Cmd) {
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	}
}

// Process is a program that runs until the test ends.
type Process struct {
	*exec.Cmd
	t    testing.TB
	log  string
	done chan struct{}
}

// Launch starts a program whose output goes to a file.
func Launch(t testing.TB, log string, cmd *exec.Cmd) *Process {
	t.Helper()
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &Process{Cmd: cmd, t: t, log: log, done: make(chan struct{})}
	go func() { cmd.Wait(); close(p.done) }()
	t.Cleanup(func() { p.End(syscall.SIGKILL) })
	return p
}

// End sends a signal and waits; it gives the exit status, -1 when a signal ended it.
func (p *Process) End(sig syscall.Signal) int {
	p.t.Helper()
	p.Process.Signal(sig)
	return p.Wait()
}

// Wait waits for the end, for a minute at most.
func (p *Process) Wait() int {
	p.t.Helper()
	select {
	case <-p.done:
	case <-time.After(time.Minute):
		p.t.Errorf("%v does not end\n%s", p.Args, p.Output())
		p.Process.Kill()
		<-p.done
	}
	return p.ProcessState.ExitCode()
}

// Ended says whether it has.
func (p *Process) Ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// Output is what it has said.
func (p *Process) Output() string {
	raw, err := os.ReadFile(p.log)
	return string(bytes.TrimSpace(raw)) + map[bool]string{true: "\n(no log)"}[errors.Is(err, os.ErrNotExist)]
}

// FreePort gives a loopback address that nobody listens at now. It lies below the ports that the system gives to outgoing
// connections, one of which could otherwise sit there while a server starts again.
func FreePort(t testing.TB) string {
	t.Helper()
	for range 100 {
		addr := fmt.Sprintf("127.0.0.1:%d", 10_000+rand.IntN(20_000))
		if l, err := net.Listen("tcp", addr); err == nil {
			l.Close()
			return addr
		}
	}
	t.Fatal("no port is free")
	return ""
}
