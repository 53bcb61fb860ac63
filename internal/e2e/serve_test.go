package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/testenv"
)

// plant is a server with an administrator, a technician and one machine.
type plant struct {
	*testenv.Server
	t           *testing.T
	gateway     *testenv.Process
	agent       *testenv.Process
	admin, tess *testenv.Person
	lineSince   time.Time // of the agent
}

func newPlant(t *testing.T, prepare func(*plant), start ...func(*exec.Cmd)) *plant {
	p := &plant{Server: testenv.NewServer(t), t: t}
	prepare(p)
	p.AddUser("ada", "administrators")
	p.AddUser("tess", "technicians")
	p.gateway = p.Serve(start...)
	p.admin, p.tess = p.Person("ada"), p.Person("tess")
	p.agent = p.Join(p.admin, "press-1", "--ca", p.CA())
	return p
}

// works runs a command on the machine.
func (p *plant) works(t *testing.T) {
	t.Helper()
	if got := p.tess.Run("shell", "press-1", "--", "echo", "out"); got.Out != "out\n" || got.Status != 0 {
		t.Errorf("got %+v\n%s", got, p.gateway.Output())
	}
}

// shell is a session that runs beside the test.
type shell struct {
	cmd       *exec.Cmd
	out, errs screen
	done      chan struct{}
}

func (p *plant) shell(t *testing.T, script string) *shell {
	t.Helper()
	s := &shell{cmd: p.tess.Command(t.Context(), "shell", "-v", "press-1", "--", "sh", "-c", script), done: make(chan struct{})}
	s.cmd.Stdout, s.cmd.Stderr = &s.out, &s.errs
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { s.cmd.Wait(); close(s.done) }()
	return s
}

func (s *shell) end(t *testing.T) int {
	t.Helper()
	select {
	case <-s.done:
	case <-time.After(time.Minute):
		t.Fatalf("the session does not end: %s%s", s.out.text(), s.errs.text())
	}
	return s.cmd.ProcessState.ExitCode()
}

func TestARealServer(t *testing.T) {
	t.Parallel()
	manager := newManager(t)
	p := newPlant(t, func(p *plant) {
		os.WriteFile(p.Path("etc", "scrape"), []byte("0123456789abcdef0123\n"), 0o600)
		os.Mkdir(p.Path("copy"), 0o700)
		p.Write("[listen]", fmt.Sprintf("[listen]\nmetrics = %q\nmetrics_token_file = %q", testenv.FreePort(t), p.Path("etc", "scrape")), `"0s"`, `"4s"`)
		p.Text += fmt.Sprintf("[ledger]\nsecond_copy = %q\n[log]\nformat = \"json\"\n", p.Path("copy"))
		p.Write()
	}, manager.watch)
	manager.wait(t, "READY=1")
	manager.wait(t, "WATCHDOG=1")
	t.Run("a session by the command line with a token", p.byToken)
	t.Run("the tunnel is one TLS connection", func(t *testing.T) { p.tunnel(t, "tls") })
	t.Run("a Host that is not the gateway's is refused", p.wrongHost)
	t.Run("metrics answer on their own listener and to the token", p.metrics)
	t.Run("the log is JSON", p.jsonLog)
	t.Run("killed and started again it has everything", p.killed)
	t.Run("a copy of the log that falls behind shows", p.copyBehind)
	t.Run("a log that cannot be written shows", p.logFails)
	t.Run("SIGTERM drains while sessions run", func(t *testing.T) { p.drains(t, manager) })
	t.Run("a log that was rolled back does not go on", p.rolledBack)
}

func (p *plant) byToken(t *testing.T) {
	token := strings.TrimSpace(p.tess.Must("token", "create", "--scope", "session", "--ttl", "1h"))
	cmd := exec.Command(filepath.Join(testenv.Binaries(t), "sallyport"), "--ca", p.CA(), "shell", "press-1", "--", "sh", "-c", "echo out; echo err >&2; exit 7")
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir(), "SALLYPORT_GATEWAY="+p.URL, "SALLYPORT_TOKEN="+token)
	if got := testenv.Finish(t, cmd); got.Out != "out\n" || !strings.Contains(got.Err, "err\n") || got.Status != 7 {
		t.Errorf("got %+v", got)
	}
}

func (p *plant) tunnel(t *testing.T, want string) {
	var d struct{ Tunnel string }
	if err := json.Unmarshal([]byte(p.admin.Must("devices", "show", "press-1", "--json")), &d); err != nil || d.Tunnel != want {
		t.Errorf("got tunnel %q, %v; want %q", d.Tunnel, err, want)
	}
}

func (p *plant) wrongHost(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "evil.example", "localhost.evil.example:443", "localhost"} {
		req, _ := http.NewRequest(http.MethodGet, p.URL+"/api/v1/signin", nil)
		req.Host = host
		resp, err := p.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		var problem struct{ Detail, Hint string }
		err = json.NewDecoder(resp.Body).Decode(&problem)
		resp.Body.Close()
		if resp.StatusCode != http.StatusMisdirectedRequest || err != nil || problem.Detail != "this gateway does not answer to that name" || problem.Hint == "" {
			t.Errorf("%s: got %d %+v %v", host, resp.StatusCode, problem, err)
		}
	}
}

func (p *plant) metrics(t *testing.T) {
	_, addr, _ := strings.Cut(p.Text, `metrics = "`)
	addr, _, _ = strings.Cut(addr, `"`)
	get := func(url, bearer string) (int, string) {
		req, _ := http.NewRequest(http.MethodGet, url, nil)
		if bearer != "" {
			req.Header.Set("Authorization", "Bearer "+bearer)
		}
		resp, err := p.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var b bytes.Buffer
		b.ReadFrom(resp.Body)
		return resp.StatusCode, b.String()
	}
	status, text := get("http://"+addr+"/metrics", "")
	if status != http.StatusOK {
		t.Fatalf("got %d", status)
	}
	for _, want := range []string{"sallyport_devices_connected 1", `sallyport_sessions{state="live"} 0`, `sallyport_decisions_total{reason="A1",result="allowed"} 1`,
		"sallyport_session_start_seconds_count 1", `sallyport_agent_version{version="`,
		"sallyport_record_commit_seconds_bucket{le=", "sallyport_control_handshakes_total 1",
		"sallyport_control_reconnects_total 0", "sallyport_cert_reload_failed 0",
		"sallyport_record_pending_bytes 0", "sallyport_record_refused_total 0",
		"sallyport_journal_bytes 3.3554432e+07", "sallyport_disk_free_bytes ", "sallyport_ledger_size ", "sallyport_two_lines_one_key_total 0", "sallyport_cert_expiry_seconds ",
		`sallyport_idp_up{provider="guests"} 1`, `sallyport_sign_ins_without_refresh{provider="guests"} 0`,
		"sallyport_signer_up 1", "sallyport_policy_hash_info{sha256=", "sallyport_ledger_copy_behind 0"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s", want)
		}
	}
	for url, want := range map[string]int{"http://" + addr + "/healthz": 200, "http://" + addr + "/readyz": 200, p.URL + "/healthz": 200, p.URL + "/readyz": 200} {
		if status, text := get(url, ""); status != want {
			t.Errorf("%s: got %d %q", url, status, text)
		}
	}
	for bearer, want := range map[string]int{"": 404, "0123456789abcdef012": 404, "0123456789abcdef0123": 200} {
		if status, _ := get(p.URL+"/metrics", bearer); status != want {
			t.Errorf("token %q: got %d, want %d", bearer, status, want)
		}
	}
}

// scraped is what the listener of [listen] metrics gives.
func (p *plant) scraped(t *testing.T) string {
	t.Helper()
	_, addr, _ := strings.Cut(p.Text, `metrics = "`)
	addr, _, _ = strings.Cut(addr, `"`)
	resp, err := http.Get("http://" + addr + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var b bytes.Buffer
	if _, err := b.ReadFrom(resp.Body); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// copyBehind takes the second copy's directory away for a while.
func (p *plant) copyBehind(t *testing.T) {
	away := p.Path("copy.away")
	if err := os.Rename(p.Path("copy"), away); err != nil {
		t.Fatal(err)
	}
	behind := func(want string) func() error {
		return func() error {
			p.tess.Run("shell", "press-1", "--", "true") // which the log must have
			text := p.scraped(t)
			_, now, _ := strings.Cut(text, "\nsallyport_ledger_copy_behind ")
			if !strings.HasPrefix(now, want) {
				return fmt.Errorf("got %.1s, want %s", now, want)
			}
			return nil
		}
	}
	p.Eventually("the copy is behind", p.gateway, behind("1"))
	if err := os.Rename(away, p.Path("copy")); err != nil {
		t.Fatal(err)
	}
	p.Eventually("the copy has everything again", p.gateway, behind("0"))
}

// logFails lets the disk refuse an entry of the log. Until a restart it is unknown which entries were lost.
func (p *plant) logFails(t *testing.T) {
	eio := testenv.Attach(t, p.gateway.Process.Pid, "-e", "trace=fdatasync", "-e", "inject=fdatasync:error=EIO", "-P",
		p.Path("data", "signer", "log", "log.data"))
	p.tess.Run("shell", "press-1", "--", "true")
	eio.Stop()
	if status, text, _ := p.Ask("/readyz"); status != http.StatusServiceUnavailable || !hasLine(text, "log: ", "") {
		t.Errorf("readyz: got %d %q", status, text)
	}
}

func (p *plant) jsonLog(t *testing.T) {
	for line := range strings.Lines(p.gateway.Output()) {
		var entry struct{ Msg, Level string }
		if err := json.Unmarshal([]byte(line), &entry); err != nil || entry.Msg == "" || entry.Level == "" {
			t.Errorf("got %q", line)
		}
	}
}

func (p *plant) killed(t *testing.T) {
	checkpoint := filepath.Join(t.TempDir(), "checkpoint")
	os.WriteFile(checkpoint, []byte(p.admin.Must("log", "checkpoint")), 0o600)
	s := p.shell(t, "echo begun; sleep 100")
	s.out.wait(t, "begun")
	p.gateway.End(syscall.SIGKILL)
	p.gateway = p.Serve()
	if status := s.end(t); status != 255 || !strings.Contains(s.errs.text(), "restart") ||
		!strings.Contains(s.errs.text(), ", which ended the session") {
		t.Errorf("the session's own failure: got status %d, want 255 and that the gateway restarted\n%s", status,
			s.errs.text())
	}
	p.WaitOnline(p.admin, p.agent, "press-1")
	p.works(t)
	if got := p.admin.Must("log", "consistency", checkpoint); !strings.Contains(got, "holds everything of your checkpoint") {
		t.Errorf("got %q", got)
	}
	var rows []struct{ State, Reason string }
	if err := json.Unmarshal([]byte(p.tess.Must("sessions", "list", "--json")), &rows); err != nil || len(rows) != 3 {
		t.Fatalf("got %d sessions, %v; want 3", len(rows), err)
	}
	if rows[1].State != "closed" || rows[1].Reason != "gateway crashed" {
		t.Errorf("the session that was cut: got %+v", rows[1])
	}
}

func (p *plant) drains(t *testing.T, manager *manager) {
	p.gateway.End(syscall.SIGKILL)
	manager.forget()
	p.gateway = p.Serve(manager.watch)
	p.WaitOnline(p.admin, p.agent, "press-1")
	short, long := p.shell(t, "echo begun; sleep 2; echo done; exit 3"), p.shell(t, "echo begun; sleep 100")
	short.out.wait(t, "begun")
	long.out.wait(t, "begun")
	began := time.Now()
	p.gateway.Process.Signal(syscall.SIGTERM)
	short.errs.wait(t, "the gateway restarts in 4s")
	manager.wait(t, "STOPPING=1")
	if status, text, _ := p.Ask("/readyz"); status != http.StatusServiceUnavailable || !strings.Contains(text, "gateway: it is about to stop") {
		t.Errorf("readyz: got %d %q", status, text)
	}
	if got := p.tess.Run("shell", "press-1", "--", "true"); got.Status != 255 || !strings.Contains(got.Err, "is about to restart and starts no new sessions") {
		t.Errorf("a new session: got %+v", got)
	}
	if status := short.end(t); status != 3 || short.out.text() != "begun\ndone\n" {
		t.Errorf("the session that finishes: got %d %q", status, short.out.text())
	}
	if status := long.end(t); status != 255 || !strings.Contains(long.errs.text(), "the gateway restarts") {
		t.Errorf("the session that does not: got %d %q", status, long.errs.text())
	}
	if status := p.gateway.Wait(); status != 0 {
		t.Errorf("got exit status %d\n%s", status, p.gateway.Output())
	}
	t.Logf("drained in %s; at most 4 s were given", time.Since(began))
	p.gateway = p.Serve()
	var rows []struct{ State, Reason string }
	if err := json.Unmarshal([]byte(p.tess.Must("sessions", "list", "--json")), &rows); err != nil {
		t.Fatal(err)
	}
	reasons := map[string]bool{rows[0].Reason: true, rows[1].Reason: true, rows[2].Reason: true}
	if !reasons["exit"] || !reasons["drain"] || !reasons["the gateway is about to restart and starts no new sessions"] {
		t.Errorf("got %+v", rows[:3])
	}
	p.WaitOnline(p.admin, p.agent, "press-1")
	p.works(t)
}

// rolledBack restores an old log beside a copy that knows better, and then beside a database that does.
func (p *plant) rolledBack(t *testing.T) {
	p.gateway.End(syscall.SIGTERM)
	old := filepath.Join(t.TempDir(), "log")
	if err := os.CopyFS(old, os.DirFS(p.Path("data", "signer", "log"))); err != nil {
		t.Fatal(err)
	}
	p.gateway = p.Serve()
	p.Person("tess") // a sign-in, which is a leaf that the old log has not
	p.gateway.End(syscall.SIGTERM)
	if err := os.RemoveAll(p.Path("data", "signer", "log")); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(p.Path("data", "signer", "log"), os.DirFS(old)); err != nil {
		t.Fatal(err)
	}
	again := p.Start("again", "serve")
	if status := again.Wait(); status != 1 ||
		!strings.Contains(again.Output(), "the log was rolled back, perhaps by restoring a backup") {
		t.Errorf("got %d %s", status, again.Output())
	}
	os.RemoveAll(p.Path("copy"))
	os.Mkdir(p.Path("copy"), 0o700)
	alone := p.Start("alone", "serve")
	if status := alone.Wait(); status != 1 || !strings.Contains(alone.Output(), "the log was rolled back, or it is another one, so the gateway does not serve") {
		t.Errorf("without a copy: got %d %s", status, alone.Output())
	}
}

// manager is the service manager's end of sd_notify.
type manager struct {
	path string
	mu   sync.Mutex // guards said
	said []string
}

func newManager(t *testing.T) *manager {
	m := &manager{path: filepath.Join(t.TempDir(), "n")}
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: m.path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := c.Read(buf)
			if err != nil {
				return
			}
			m.mu.Lock()
			m.said = append(m.said, strings.Split(string(buf[:n]), "\n")...)
			m.mu.Unlock()
		}
	}()
	return m
}

func (m *manager) watch(cmd *exec.Cmd) {
	cmd.Env = append(cmd.Env, "NOTIFY_SOCKET="+m.path, "WATCHDOG_USEC=600000")
}

func (m *manager) forget() { m.mu.Lock(); defer m.mu.Unlock(); m.said = nil }

func (m *manager) wait(t *testing.T, want string) {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		m.mu.Lock()
		said := strings.Join(m.said, "\n")
		m.mu.Unlock()
		if strings.Contains(said, want) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("the service manager was not told %s, but %q", want, said)
		}
	}
}
