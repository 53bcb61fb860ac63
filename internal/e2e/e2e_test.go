// Package e2e drives the real programs: a demo's gateway, agents and shells, the command line, the verifier.
package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"

	"github.com/sallyport/sallyport/internal/testenv"
)

func TestMain(m *testing.M) {
	// Under nohup this process ignores SIGHUP, and so would each program that a test starts, by inheritance. A signal that
	// is caught is not ignored in them.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP)
	status := m.Run()
	testenv.Cleanup()
	os.Exit(status)
}

// demo has a machine that may be opened and one that must be asked for.
func demo(t *testing.T) *testenv.Demo {
	t.Helper()
	return testenv.Start(t, "--devices", "2")
}

func TestOneTechniciansSession(t *testing.T) {
	d := demo(t)
	t.Run("both streams come apart and the status is the command's", func(t *testing.T) {
		got := d.Run(t, "technician", "shell", "press-1", "--", "sh", "-c", "echo out; echo err >&2; exit 7")
		if got.Out != "out\n" || !strings.Contains(got.Err, "err\n") || got.Status != 7 {
			t.Errorf("got %+v", got)
		}
	})
	t.Run("a notice is told where a person reads it, or asked for", func(t *testing.T) {
		quiet := d.Run(t, "technician", "shell", "press-1", "--", "sh", "-c", "echo err >&2")
		loud := d.Run(t, "technician", "shell", "-v", "press-1", "--", "sh", "-c", "echo err >&2")
		if quiet.Err != "err\n" || !strings.Contains(loud.Err, "recorded") || !strings.HasSuffix(loud.Err, "err\n") {
			t.Errorf("got %q and with -v %q, want the command's own and the notice before it", quiet.Err, loud.Err)
		}
	})
	t.Run("a signal ends with 128 and its number", func(t *testing.T) {
		if got := d.Run(t, "technician", "shell", "press-1", "--", "sh", "-c", "kill -TERM $$"); got.Status != 143 {
			t.Errorf("got %+v, want 143", got)
		}
	})
	t.Run("signals to the client reach the command", func(t *testing.T) { signalsReachIt(t, d) })
	t.Run("signals to the client end a command that does nothing about them", func(t *testing.T) { signalsEndIt(t, d) })
	t.Run("signals to the client of a terminal end the session", func(t *testing.T) { signalsEndATerminal(t, d) })
	t.Run("a signal that is ignored stays so", func(t *testing.T) { ignoredStaysIgnored(t, d) })
	t.Run("arguments arrive as they were", func(t *testing.T) {
		got := d.Run(t, "technician", "shell", "press-1", "--", "printf", "%s|", "a b", "$HOME", "it's", "")
		if got.Out != "a b|$HOME|it's||" {
			t.Errorf("got %q", got.Out)
		}
	})
	t.Run("input reaches the command and its end too", func(t *testing.T) {
		cmd := d.Command(t.Context(), "technician", "shell", "press-1", "--", "cat")
		cmd.Stdin = strings.NewReader("typed in\n")
		if got := testenv.Finish(t, cmd); got.Out != "typed in\n" || got.Status != 0 {
			t.Errorf("got %+v", got)
		}
	})
	t.Run("without a right there are the reason, the nearest way in and 77", func(t *testing.T) {
		got := d.Run(t, "technician", "shell", "press-2", "--", "true")
		if got.Status != 77 || !strings.Contains(got.Err, "You may not open a shell") || !strings.Contains(got.Err, "R1 lets you ask for it") {
			t.Errorf("got %+v", got)
		}
	})
	t.Run("the last record is not that of what was refused", func(t *testing.T) {
		if got := d.Run(t, "technician", "sessions", "replay", "last"); got.Status != 0 || got.Out != "typed in\n" {
			t.Errorf("got %+v", got)
		}
	})
	t.Run("sessions are found by what their person is called", func(t *testing.T) {
		for user, found := range map[string]bool{"technician": true, "tess": true, "Tess Technician": true, "TECH": true, "officer": false, "essa": false} {
			got := d.Run(t, "officer", "sessions", "list", "--json", "--user", user)
			if got.Status != 0 || strings.Contains(got.Out, `"user": "Tess Technician"`) != found || !found && got.Out != "[]\n" {
				t.Errorf("%s: got %.200s %s, want sessions: %v", user, got.Out, got.Err, found)
			}
		}
	})
	t.Run("what is not there reads as what is not visible", func(t *testing.T) {
		got := d.Run(t, "technician", "shell", "press-9", "--", "true")
		if got.Status != 77 || !strings.Contains(got.Err, "No machine of the name press-9 is visible to you") {
			t.Errorf("got %+v", got)
		}
	})
	t.Run("a duty opens no session, and the device says so", func(t *testing.T) {
		got, shown := d.Run(t, "admin", "shell", "press-1", "--", "true"), d.Run(t, "admin", "devices", "show", "press-1")
		if got.Status != 77 || !strings.Contains(got.Err, "administer, review and own open no session") {
			t.Errorf("shell: got %+v", got)
		}
		if !strings.Contains(shown.Out, "nothing: no rule of the policy gives you a session here") {
			t.Errorf("devices show: got %+v", shown)
		}
	})
	t.Run("what an administrator mistypes makes nothing", func(t *testing.T) { wronglyAsked(t, d) })
	t.Run("twenty at once do not mix", twentyAtOnce)
	t.Run("50 MB arrive whole", func(t *testing.T) { fiftyMegabytes(t, d) })
	t.Run("a terminal has its size, is resized and reports its status", func(t *testing.T) { terminal(t, d) })
	t.Run("a password at a hidden prompt is sealed", func(t *testing.T) { hiddenPassword(t, d) })
	t.Run("a flipped byte of the evidence is found", func(t *testing.T) { flippedByte(t, d) })
	t.Run("a replay of a damaged record says that it ends early", func(t *testing.T) { damagedReplay(t, d) })
	t.Run("the log's copy and the recordings are complete", func(t *testing.T) { census(t, d) })
	t.Run("a revoked device is cut at once", func(t *testing.T) { revoked(t, d) })
}

func twentyAtOnce(t *testing.T) {
	d := sized(t, map[string]int64{"per_person": 20, "per_device": 20}, nil)
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			word := fmt.Sprintf("session-%02d", i)
			got := testenv.Finish(t, d.Command(t.Context(), "technician", "shell", "press-1", "--", "sh", "-c", "for i in 1 2 3; do echo "+word+"; done; exit "+fmt.Sprint(i)))
			if got.Out != strings.Repeat(word+"\n", 3) || got.Status != i {
				t.Errorf("%s: got %+v", word, got)
			}
		})
	}
	all.Wait()
}

func fiftyMegabytes(t *testing.T, d *testenv.Demo) {
	cmd := d.Command(t.Context(), "technician", "shell", "press-1", "--", "sh", "-c", "head -c 50000000 /dev/zero | tr '\\0' x")
	out, err := cmd.Output()
	if err != nil || len(out) != 50_000_000 || strings.Trim(string(out), "x") != "" {
		t.Errorf("got %d bytes, %v", len(out), err)
	}
}

// screen reads a terminal and waits for what should show there.
type screen struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.Write(p)
}

func (s *screen) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.String()
}

func (s *screen) wait(t *testing.T, want string) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !strings.Contains(s.text(), want); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the terminal does not show %q; it shows %q", want, s.text())
		}
	}
}

// open starts `sallyport shell -t` on a real terminal.
func open(t *testing.T, d *testenv.Demo, args ...string) (*exec.Cmd, *os.File, *screen) {
	t.Helper()
	cmd := d.Command(context.Background(), "technician", append([]string{"shell", "-t", "press-1"}, args...)...)
	cmd.Env = append(cmd.Env, "TERM=xterm")
	tty, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 24, Cols: 80})
	if err != nil {
		t.Fatal(err)
	}
	out := &screen{}
	go io.Copy(out, tty)
	t.Cleanup(func() { tty.Close(); cmd.Process.Kill() })
	return cmd, tty, out
}

func terminal(t *testing.T, d *testenv.Demo) {
	cmd, tty, out := open(t, d)
	io.WriteString(tty, "stty size; echo rea''dy\n")
	out.wait(t, "24 80")
	out.wait(t, "ready")
	if err := pty.Setsize(tty, &pty.Winsize{Rows: 40, Cols: 120}); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		io.WriteString(tty, "stty size\n")
		time.Sleep(50 * time.Millisecond)
		if strings.Contains(out.text(), "40 120") {
			break
		}
	}
	out.wait(t, "40 120")
	io.WriteString(tty, "exit 5\n")
	cmd.Wait()
	if got := cmd.ProcessState.ExitCode(); got != 5 {
		t.Errorf("got status %d, want 5", got)
	}
}

const password = "Xyzzy-hunter2-Plugh"

func hiddenPassword(t *testing.T, d *testenv.Demo) {
	cmd, tty, out := open(t, d)
	io.WriteString(tty, "echo begin''ning; read -s -p 'Pass''word: ' P; echo; echo length=${#P}\n")
	out.wait(t, "Password: ")
	io.WriteString(tty, password+"\n")
	out.wait(t, fmt.Sprintf("length=%d", len(password)))
	io.WriteString(tty, "exit\n")
	cmd.Wait()
	sid := last(t, d)
	for _, form := range [][]string{{"sessions", "replay", sid}, {"sessions", "show", sid, "--json"}} {
		got := d.Run(t, "officer", form...)
		if got.Status != 0 || strings.Contains(got.Out, password) {
			t.Errorf("%v: status %d, or the password is in it", form, got.Status)
		}
	}
	for _, form := range []string{"transcript", "input", "timeline", "cast", "replay/index.json", "replay/0.json"} {
		raw := get(t, d, "officer", "/api/v1/sessions/"+sid+"/"+form)
		if strings.Contains(raw, password) {
			t.Errorf("%s holds the password", form)
		}
		if form == "input" && (!strings.Contains(raw, "[hidden]") || !strings.Contains(raw, "echo begin''ning")) {
			t.Errorf("input: got %q, want what was typed in the open and [hidden]", raw)
		}
	}
	grep := exec.Command("grep", "-rl", password, d.Dir)
	if found, _ := grep.Output(); len(found) != 0 {
		t.Errorf("the password lies in the clear in %s", found)
	}
	file := filepath.Join(t.TempDir(), "e.slyb")
	if got := d.Run(t, "officer", "sessions", "export", sid, "-o", file); got.Status != 0 {
		t.Fatalf("export: %+v", got)
	}
	got := d.Verify(t, "--log-key", d.LogKey, "--identity", d.Identities["reader"], "--identity", d.Identities["unsealer"], file)
	if got.Status != 0 || !strings.Contains(got.Out, "hidden") {
		t.Errorf("verify with the unsealer's key: %+v", got)
	}
}

func last(t *testing.T, d *testenv.Demo) string {
	t.Helper()
	var rows []struct{ ID, State string }
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		got := d.Run(t, "officer", "sessions", "list", "--json")
		if err := json.Unmarshal([]byte(got.Out), &rows); err != nil || len(rows) == 0 {
			t.Fatalf("sessions list: %v %+v", err, got)
		}
		if rows[0].State == "closed" {
			return rows[0].ID
		}
		if time.Now().After(end) {
			t.Fatalf("the newest session is %s, not closed", rows[0].State)
		}
	}
}

func get(t *testing.T, d *testenv.Demo, role, path string) string {
	t.Helper()
	out, err := exec.Command("curl", "-sS", "-f", "-H", "Authorization: Bearer "+d.Token(role), d.URL+path).CombinedOutput()
	if err != nil {
		t.Fatalf("GET %s: %v %s", path, err, out)
	}
	return string(out)
}

func flippedByte(t *testing.T, d *testenv.Demo) {
	d.Run(t, "technician", "shell", "press-1", "--", "echo", "evidence")
	sid := last(t, d)
	file := filepath.Join(t.TempDir(), "e.slyb")
	if got := d.Run(t, "officer", "sessions", "export", sid, "-o", file); got.Status != 0 {
		t.Fatalf("export: %+v", got)
	}
	if got := d.Verify(t, "--log-key", d.LogKey, file); got.Status != 0 {
		t.Fatalf("verify: %+v", got)
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for at := 0; at < len(raw); at += len(raw) / 40 {
		raw[at] ^= 1
		bad := filepath.Join(t.TempDir(), "bad.slyb")
		if err := os.WriteFile(bad, raw, 0o600); err != nil {
			t.Fatal(err)
		}
		if got := d.Verify(t, "--log-key", d.LogKey, bad); got.Status != 1 {
			t.Errorf("byte %d flipped: status %d", at, got.Status)
		}
		raw[at] ^= 1
	}
}

// damagedReplay expects every form of a recording as text to name the damage: the text itself looks complete.
func damagedReplay(t *testing.T, d *testenv.Demo) {
	d.Run(t, "technician", "shell", "press-1", "--", "echo", "evidence")
	sid := last(t, d)
	found, err := filepath.Glob(filepath.Join(d.DataDir, "recordings", "*", "*", "*", sid+".srec"))
	if err != nil || len(found) != 1 {
		t.Fatalf("the recording of %s: %v %v", sid, found, err)
	}
	whole, err := os.ReadFile(found[0])
	if err != nil {
		t.Fatal(err)
	}
	damaged := bytes.Clone(whole)
	damaged[len(damaged)/2] ^= 1
	file := filepath.Join(t.TempDir(), "saved")
	forms := [][]string{{"replay", sid}, {"replay", "--input", sid}, {"replay", "--raw", sid},
		{"export", "--transcript", "-o", file, sid}, {"export", "--cast", "-o", "-", sid}}
	for _, c := range []struct {
		content []byte
		status  int
	}{{damaged, 1}, {whole, 0}} {
		if err := os.WriteFile(found[0], c.content, 0o600); err != nil {
			t.Fatal(err)
		}
		for _, form := range forms {
			got := d.Run(t, "officer", append([]string{"sessions"}, form...)...)
			if got.Status != c.status || strings.Contains(got.Err, "the record ends early") != (c.status == 1) {
				t.Errorf("%v: got %+v, want status %d", form, got, c.status)
			}
		}
	}
}

func census(t *testing.T, d *testenv.Demo) {
	log, rec := filepath.Join(d.DataDir, "signer", "log"), filepath.Join(d.DataDir, "recordings")
	if got := d.Verify(t, "--log-key", d.LogKey, "--log", log, "--recordings", rec); got.Status != 0 {
		t.Fatalf("got %+v", got)
	}
	copied := t.TempDir()
	if err := os.CopyFS(copied, os.DirFS(rec)); err != nil {
		t.Fatal(err)
	}
	files, err := testenv.Recordings(copied)
	if err != nil {
		t.Fatal(err)
	}
	os.Remove(files[0])
	if got := d.Verify(t, "--log-key", d.LogKey, "--log", log, "--recordings", copied); got.Status != 1 {
		t.Errorf("a removed recording: got %+v, want status 1", got)
	}
}

func revoked(t *testing.T, d *testenv.Demo) {
	cmd, tty, out := open(t, d)
	io.WriteString(tty, "echo rea''dy\n")
	out.wait(t, "ready")
	began := time.Now()
	if got := d.Run(t, "admin", "devices", "revoke", "press-1"); got.Status != 0 {
		t.Fatalf("got %+v", got)
	}
	cmd.Wait()
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("the session lived %s after the device was revoked; promised is a second", took)
	} else {
		t.Logf("cut after %s, the command included", took)
	}
	out.wait(t, "press-1 is revoked")
	if got := d.Run(t, "officer", "sessions", "list", "--device", "press-1", "--json"); !strings.Contains(got.Out, `"reason": "locked"`) {
		t.Errorf("the session that the revocation ended: got %+v, want the reason locked", got)
	}
	if got := d.Run(t, "technician", "shell", "press-1", "--", "true"); got.Status != 77 {
		t.Errorf("a revoked device: got %+v, want 77", got)
	}
	for args, want := range map[string]string{"--state revoked": "press-1", "": "press-2", "--state ok": "press-2"} {
		got := d.Run(t, "admin", append([]string{"devices", "list", "--json"}, strings.Fields(args)...)...)
		if strings.Count(got.Out, `"name"`) != 1 || !strings.Contains(got.Out, `"name": "`+want+`"`) {
			t.Errorf("devices list %s: got %+v, want %s alone", args, got, want)
		}
	}
}

// wronglyAsked is what an administrator mistypes: it is refused as a mistake, and makes nothing.
func wronglyAsked(t *testing.T, d *testenv.Demo) {
	for args, words := range map[string]string{
		"enroll-token create --ttl 31d":             "a minute to 30 days",
		"enroll-token create --uses 10001":          "1 to 10000 uses",
		"enroll-token create --label nosuchlabel=1": `the label "nosuchlabel" is not declared; the policy declares "site", "kind", "hall"`,
		"devices label press-1 hall=9":              `the label "hall" has the value "9"`,
		"login --provider nope --no-browser":        "It has: ",
	} {
		if got := d.Run(t, "admin", strings.Fields(args)...); got.Status != 2 || !strings.Contains(got.Err, words) {
			t.Errorf("%s: got %+v, want 2 and %s", args, got, words)
		}
	}
	if got := d.Run(t, "admin", "enroll-token", "list", "--json"); strings.Contains(got.Out, "nosuchlabel") {
		t.Errorf("got %s, want no code of these", got.Out)
	}
}
