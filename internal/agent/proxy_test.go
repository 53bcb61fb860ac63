package agent_test

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/wire"
)

// tinyproxy is the real one, with BasicAuth.
type tinyproxy struct {
	t    *testing.T
	addr string
	log  string
}

const proxyUser = "plant"

func newTinyproxy(t *testing.T, ip, password string) *tinyproxy {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(ip, "0"))
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	dir := t.TempDir()
	p := &tinyproxy{t: t, addr: net.JoinHostPort(ip, strconv.Itoa(port)), log: filepath.Join(dir, "log")}
	config := filepath.Join(dir, "tinyproxy.conf")
	text := fmt.Sprintf("Port %d\nListen %s\nTimeout 600\nMaxClients 50\nLogFile %q\nLogLevel Connect\n"+
		"BasicAuth %s %s\n", port, ip, p.log, proxyUser, password)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("tinyproxy", "-d", "-c", config)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		if c, err := net.Dial("tcp", p.addr); err == nil {
			c.Close()
			return p
		}
		if time.Now().After(end) {
			t.Fatal("tinyproxy does not listen")
		}
	}
}

func (p *tinyproxy) url(password string) string {
	return fmt.Sprintf("http://%s:%s@%s", proxyUser, password, p.addr)
}

// asked counts the requests to the proxy for connections to a host.
func (p *tinyproxy) asked(host string) int {
	raw, _ := os.ReadFile(p.log)
	return strings.Count(string(raw), "CONNECT "+host+" ")
}

// shown names the processes of this device whose arguments hold a text.
func shown(t *testing.T, text string) (found []string) {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil || len(files) < 2 {
		t.Fatalf("cannot read /proc: %v", err)
	}
	for _, f := range files {
		if raw, err := os.ReadFile(f); err == nil && bytes.Contains(raw, []byte(text)) {
			found = append(found, strings.ReplaceAll(string(raw), "\x00", " "))
		}
	}
	return found
}

func (d *device) children() (n int) {
	threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", d.cmd.Process.Pid))
	for _, f := range threads {
		raw, _ := os.ReadFile(f)
		n += len(strings.Fields(string(raw)))
	}
	return n
}

// The whole life of a device behind a proxy with a password: named once when it is enrolled, then never again, and no
// process shows it: not the one that enrols, nor the agent, nor a supervisor.
func TestProxyIsKeptAtEnrolmentAndItsPasswordIsShownNowhere(t *testing.T) {
	t.Parallel()
	const password = "tiny-Secret-4711"
	g := newGate(t)
	p := newTinyproxy(t, "127.0.0.1", password)
	g.mu.Lock()
	g.state = wire.StateWaiting
	g.mu.Unlock()
	d := newDevice(t)
	enrol := d.command("enroll", g.code.String(), "--preset", "open", "--ephemeral", "--state", d.dir,
		"--proxy", p.url(password))
	var out syncBuffer
	enrol.Stdout, enrol.Stderr = &out, &out
	if err := enrol.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the enrolment waits", func() bool { return strings.Contains(out.String(), "waiting ") })
	if found := shown(t, password); len(found) > 0 {
		t.Errorf("the password is in the arguments of %q while the device enrols", found)
	}
	g.mu.Lock()
	g.state = wire.StateOK
	g.mu.Unlock()
	if err := enrol.Wait(); err != nil {
		t.Fatalf("%v: %s", err, out.String())
	}
	eventually(t, "the enrolment's line is gone", func() bool { return g.reading.Load() == 0 })
	if st, err := os.Stat(filepath.Join(d.dir, "proxy")); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("got %v, %v; want the proxy in a file of mode 0600", st, err)
	}
	before := p.asked(g.host)
	d.start()
	g.online()
	prog := g.start(wish{}).channel()
	prog.exec("echo in; env; read -r line")
	prog.expect(t, "in\n")
	if n := p.asked(g.host) - before; n != 2 {
		t.Errorf("%d connections passed the proxy, want the control line and the session line", n)
	}
	if d.children() == 0 {
		t.Error("the session has no supervisor to look at")
	}
	if found := shown(t, password); len(found) > 0 {
		t.Errorf("the password is in the arguments of %q", found)
	}
	prog.ch.Write([]byte("\n"))
	env, _ := prog.finish(t)
	texts := map[string]string{"enroll": out.String(), "the session's environment": env,
		"the agent's log": d.log.String()}
	for _, args := range []string{"status", "status --json", "doctor", "doctor --json", "proxy", "sessions --json"} {
		texts[args], _ = d.run(strings.Fields(args)...)
	}
	for where, text := range texts {
		if strings.Contains(text, password) {
			t.Errorf("%s shows the password:\n%s", where, text)
		}
	}
	for _, where := range []string{"enroll", "status", "doctor", "proxy"} {
		if want := fmt.Sprintf("http://%s:xxxxx@%s", proxyUser, p.addr); !strings.Contains(texts[where], want) {
			t.Errorf("%s does not name the proxy as %s:\n%s", where, want, texts[where])
		}
	}
}

// The proxy's password changes: the running agent uses the new one without a restart, and no error contains either.
func TestProxyIsChangedWhileTheAgentRuns(t *testing.T) {
	t.Parallel()
	const wrong, right = "wrong-Secret-0815", "right-Secret-4711"
	g := newGate(t)
	p := newTinyproxy(t, "127.0.0.1", right)
	d := newDevice(t)
	if out, code := d.run("enroll", g.code.String(), "--preset", "open", "--ephemeral", "--no-wait"); code != 0 {
		t.Fatal(out)
	}
	d.set(p.url(wrong))
	d.start()
	eventually(t, "the agent says why it is offline", func() bool {
		st := d.status()
		return st.Line != nil && !st.Line.Online && st.Line.Why != ""
	})
	if p.asked(g.host) == 0 {
		t.Error("the proxy was not asked")
	}
	d.set(p.url(right))
	g.online()
	eventually(t, "it says that it is online",
		func() bool { st := d.status(); return st.Line != nil && st.Line.Online })
	texts := d.log.String()
	for _, args := range []string{"status", "status --json", "doctor", "proxy show"} {
		out, _ := d.run(strings.Fields(args)...)
		texts += out
	}
	for _, password := range []string{wrong, right} {
		if strings.Contains(texts, password) {
			t.Errorf("a password is shown:\n%s", texts)
		}
	}
	if out, code := d.run("proxy", "off"); code != 0 {
		t.Errorf("proxy off: exit %d: %s", code, out)
	}
	if out, _ := d.run("proxy"); out != "none\n" {
		t.Errorf("got %q, want none", out)
	}
}

// set keeps a proxy that is given on standard input.
func (d *device) set(url string) {
	d.t.Helper()
	cmd := d.command("proxy", "set", "--state", d.dir)
	cmd.Stdin = strings.NewReader(url + "\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		d.t.Fatalf("%v: %s", err, out)
	}
}

func TestProxyIsReadFromAFileForEachConnection(t *testing.T) {
	t.Parallel()
	const password = "file-Secret-4711"
	g := newGate(t)
	p := newTinyproxy(t, "127.0.0.1", password)
	file := filepath.Join(t.TempDir(), "proxy")
	write := func(text string, mode os.FileMode) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	write(p.url(password)+"\n", 0o600)
	d := newDevice(t)
	d.args = []string{"--proxy-file", file}
	d.enrol(g, "open")
	if p.asked(g.host) == 0 {
		t.Error("the proxy of the file was not used")
	}
	before := p.asked(g.host)
	write("http://"+proxyUser+":other@"+p.addr, 0o600)
	g.cut()
	eventually(t, "the line is lost by the file's new password", func() bool {
		st := d.status()
		return st.Line != nil && !st.Line.Online
	})
	eventually(t, "the proxy gets the file's new password", func() bool { return p.asked(g.host) > before })
	write(p.url(password), 0o600)
	g.online()
	if n := p.asked(g.host) - before; n != 2 {
		t.Errorf("the proxy was asked %d times, want once with each password", n)
	}
	os.Chmod(file, 0o644)
	out, code := d.run("doctor", "--proxy-file", file)
	if code != 1 || !strings.Contains(out, "can be read by other users") || strings.Contains(out, password) {
		t.Errorf("doctor: exit %d: %s", code, out)
	}
	for _, pattern := range []string{"ftp://plant:%s@x:1", "plant:%s@x:1", "http://plant:%s@x:port"} {
		text := fmt.Sprintf(pattern, password)
		write(text, 0o600)
		for _, c := range []struct {
			status int
			args   []string
		}{
			{1, []string{"doctor", "--proxy-file", file}},
			{1, []string{"doctor", "--proxy", text}},
			{2, []string{"proxy", "set", "--proxy-file", file}},
			{2, []string{"proxy", "set", text}},
		} {
			out, code := d.run(c.args...)
			if code != c.status || strings.Contains(out, password) || !strings.Contains(out, "the proxy x") ||
				!strings.Contains(out, "cannot be used: ") {
				t.Errorf("%s: exit %d, want %d: %s", c.args, code, c.status, out)
			}
		}
	}
}

// A device whose only way out is a proxy in its environment.
func TestProxyOfTheEnvironmentIsUsed(t *testing.T) {
	t.Parallel()
	const password = "env-Secret-4711"
	s := newSite(t)
	p := newTinyproxy(t, s.gateway, password)
	g, ca := newTLSGate(t, s.gateway, s.gateway, time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
	d := newDevice(t)
	d.wrap = []string{"nsenter", "--net=/run/netns/" + s.ns}
	d.env = []string{"HTTPS_PROXY=" + p.url(password)}
	out, code := d.run("enroll", g.code.String(), "--preset", "open", "--ephemeral", "--ca", ca, "--no-wait")
	if code != 0 || !strings.Contains(out, "HTTPS_PROXY of this process") || !strings.Contains(out, "not kept") ||
		strings.Contains(out, password) {
		t.Fatalf("exit %d: %s", code, out)
	}
	before := p.asked(g.host)
	d.start()
	g.online()
	prog := g.start(wish{}).channel()
	prog.exec("env")
	env, _ := prog.finish(t)
	if n := p.asked(g.host) - before; n != 2 {
		t.Errorf("the proxy was asked for %d connections, want the control line and the session line", n)
	}
	out, _ = d.run("status")
	doctor, _ := d.run("doctor")
	if strings.Contains(env+out+doctor+d.log.String(), password) || !strings.Contains(out, "plant:xxxxx@") {
		t.Errorf("got %s\n%s\nwant the proxy without its password", out, doctor)
	}
}

// A proxy of the command line or of the environment stays as long as the agent runs. One that can never work ends the
// agent, where it would only look offline. The proxy that is kept can be corrected meanwhile.
func TestAgentEndsIfItsProxyCanNeverWork(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	d := newDevice(t)
	if out, code := d.run("enroll", g.code.String(), "--preset", "open", "--ephemeral", "--no-wait"); code != 0 {
		t.Fatal(out)
	}
	other := filepath.Join(t.TempDir(), "proxy")
	if err := os.WriteFile(other, []byte("http://proxy.example:3128"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"--proxy", "http://plant:run-Secret@proxy.example"},
		{"--proxy", "ftp://plant:run-Secret@proxy.example:21"},
		{"--proxy", "http://proxy.example:3128", "--proxy-file", other},
	} {
		cmd := d.command(append([]string{"run", "--state", d.dir, "--ephemeral"}, args...)...)
		late := time.AfterFunc(time.Minute, func() { cmd.Process.Kill() })
		out, _ := cmd.CombinedOutput()
		late.Stop()
		if got := cmd.ProcessState.ExitCode(); got != 2 || strings.Contains(string(out), "run-Secret") ||
			!strings.Contains(string(out), "proxy") {
			t.Errorf("%q: got exit %d and %s, want 2", args, got, out)
		}
	}
	if err := os.WriteFile(filepath.Join(d.dir, "proxy"), []byte("http://proxy.example\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	d.start()
	eventually(t, "the agent says what is wrong with the proxy that it keeps", func() bool {
		st := d.status()
		return st.Line != nil &&
			strings.Contains(st.Line.Why, "the proxy proxy.example of the state directory cannot be used")
	})
	if out, code := d.run("proxy", "off"); code != 0 {
		t.Fatal(out)
	}
	g.online()
}
