package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"

	"github.com/sallyport/sallyport/internal/testenv"
	"github.com/sallyport/sallyport/web/apitype"
)

// cutWithin bounds a cut at ten times the promise; how long it took is logged.
const cutWithin = 10 * time.Second

// worker is somebody at work: a terminal with a shell on a device.
type worker struct {
	cmd *exec.Cmd
	out *screen
	pid int // of the shell
	tty io.Writer
}

func atWork(t *testing.T, d *testenv.Demo, device string) *worker {
	t.Helper()
	w := &worker{cmd: d.Command(context.Background(), "technician", "shell", "-t", device), out: &screen{}}
	w.cmd.Env = append(w.cmd.Env, "TERM=xterm")
	tty, err := pty.Start(w.cmd)
	if err != nil {
		t.Fatal(err)
	}
	w.tty = tty
	go io.Copy(w.out, tty)
	t.Cleanup(func() { tty.Close(); w.cmd.Process.Kill() })
	io.WriteString(tty, "echo shell''=$$=\n")
	w.out.wait(t, "shell=")
	found := regexp.MustCompile(`shell=(\d+)=`).FindStringSubmatch(w.out.text())
	if found == nil {
		t.Fatalf("the terminal shows no process id: %q", w.out.text())
	}
	w.pid, _ = strconv.Atoi(found[1])
	return w
}

// gone waits until the technician's program has ended and the shell on the device with it.
func (w *worker) gone(t *testing.T, began time.Time, what, why string) {
	t.Helper()
	ended := make(chan struct{})
	go func() { w.cmd.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(time.Until(began.Add(cutWithin))):
		t.Fatalf("%s: the session lives %s after it; promised is a second", what, time.Since(began))
	}
	client := time.Since(began)
	for alive(w.pid) {
		if time.Since(began) > cutWithin {
			t.Fatalf("%s: the shell on the device outlives its session", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
	t.Logf("%s: terminal closed after %s, shell on the device gone after %s, the command included", what, client.Round(time.Millisecond), time.Since(began).Round(time.Millisecond))
	w.out.wait(t, why)
}

// done runs a command that must succeed and gives what it printed.
func done(t *testing.T, d *testenv.Demo, role string, args ...string) string {
	t.Helper()
	got := d.Run(t, role, args...)
	if got.Status != 0 {
		t.Fatalf("%v: got %+v", args, got)
	}
	return got.Out
}

func TestWhatTakesARightAwayCutsTheSession(t *testing.T) {
	d := demo(t)
	t.Run("a policy without the right", func(t *testing.T) { policyCuts(t, d) })
	t.Run("a needed label that is removed", func(t *testing.T) { labelCuts(t, d) })
	t.Run("a label that leads the rule elsewhere", func(t *testing.T) { otherLabelCuts(t, d) })
	t.Run("a device that is revoked", func(t *testing.T) { revocationCuts(t, d) })
	t.Run("an API token that is revoked", func(t *testing.T) { tokenCuts(t, d) })
}

// policyFile writes the stored policy, changed, to a file.
func policyFile(t *testing.T, d *testenv.Demo, old, new string) string {
	t.Helper()
	var p apitype.Policy
	if err := json.Unmarshal([]byte(get(t, d, "officer", "/api/v1/policy")), &p); err != nil || len(p.Files) != 1 {
		t.Fatalf("the stored policy: %v, %d files", err, len(p.Files))
	}
	text := strings.Replace(p.Files[0].Text, old, new, 1)
	if text == p.Files[0].Text {
		t.Fatalf("the policy does not hold %q", old)
	}
	file := filepath.Join(t.TempDir(), "policy.toml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func policyCuts(t *testing.T, d *testenv.Demo) {
	file := policyFile(t, d, `devices = { hall = "1" }`, `devices = { hall = "2" }`)
	want := "- allow A1: Members of technicians may use the role maintain on devices whose hall is 1 without asking, at any time.\n" +
		"+ allow A1: Members of technicians may use the role maintain on devices whose hall is 2 without asking, at any time.\n"
	if got := done(t, d, "officer", "policy", "diff", file); got != want {
		t.Errorf("diff: got %q, want %q", got, want)
	}
	if got := d.Run(t, "technician", "policy", "apply", file); got.Status != 77 {
		t.Errorf("apply by a technician: got %+v, want 77", got)
	}
	w := atWork(t, d, "press-1")
	began := time.Now()
	if got := done(t, d, "admin", "policy", "apply", file, "--reason", "hall 2 now"); !strings.HasPrefix(got, want+"Version 2 is in force.") {
		t.Errorf("apply: got %q", got)
	}
	w.gone(t, began, "policy apply", "during the session. You may not open a shell")
	got := d.Run(t, "technician", "policy", "explain", "--device", "press-1", "--action", "shell:"+d.Devices[0].Login)
	if got.Status != 77 || !strings.Contains(got.Out, "Nearest: R1 lets you ask for it: reason, one shift lead, up to 4 h.") {
		t.Errorf("explain: got %+v, want 77 and R1", got)
	}
	if alone := d.Run(t, "technician", "policy", "explain", "--device", "press-1", "--action", "shell"); alone != got {
		t.Errorf("explain without a login: got %+v, want as with the only one: %+v", alone, got)
	}
	done(t, d, "admin", "policy", "rollback", "1")
	if got := done(t, d, "officer", "policy", "history"); !strings.Contains(got, "back to version 1") || !strings.Contains(got, "hall 2 now") || strings.Count(got, "\n") != 4 {
		t.Errorf("history: got\n%s\nwant three versions", got)
	}
	done(t, d, "technician", "shell", "press-1", "--", "true")
}

func labelCuts(t *testing.T, d *testenv.Demo) {
	w := atWork(t, d, "press-1")
	began := time.Now()
	done(t, d, "admin", "devices", "label", "press-1", "hall=")
	w.gone(t, began, "devices label", `the label "hall" is missing`)
	got := d.Run(t, "technician", "shell", "press-1", "--", "true")
	if got.Status != 77 || !strings.Contains(got.Err, "press-1") {
		t.Errorf("a device without a needed label: got %+v, want 77", got)
	}
	got = d.Run(t, "admin", "policy", "who-can", "press-1")
	if rows := strings.Split(strings.TrimSpace(got.Out), "\n"); len(rows) != 2 || !strings.Contains(rows[1], "[duties] own") {
		t.Errorf("who can: got %+v, want the owner of the site alone", got)
	}
	done(t, d, "admin", "devices", "label", "press-1", "hall=1")
}

func otherLabelCuts(t *testing.T, d *testenv.Demo) {
	w := atWork(t, d, "press-1")
	began := time.Now()
	done(t, d, "admin", "devices", "label", "press-1", "hall=2")
	w.gone(t, began, "devices label", "during the session. You may not open a shell")
	done(t, d, "admin", "devices", "label", "press-1", "hall=1")
}

func revocationCuts(t *testing.T, d *testenv.Demo) {
	w := atWork(t, d, "press-1")
	began := time.Now()
	done(t, d, "admin", "devices", "revoke", "press-1", "--reason", "stolen")
	w.gone(t, began, "devices revoke", "press-1")
}

func tokenCuts(t *testing.T, d *testenv.Demo) {
	done(t, d, "admin", "devices", "label", "press-2", "hall=1")
	w := atWork(t, d, "press-2")
	var rows []apitype.Token
	if err := json.Unmarshal([]byte(done(t, d, "technician", "token", "list", "--json")), &rows); err != nil || len(rows) != 1 {
		t.Fatalf("token list: %v, %+v", err, rows)
	}
	began := time.Now()
	done(t, d, "admin", "token", "revoke", rows[0].ID)
	w.gone(t, began, "token revoke", "your sign-in has ended")
	if got := d.Run(t, "technician", "whoami"); got.Status == 0 {
		t.Errorf("a revoked token: got %+v", got)
	}
}

// TestWordsAndMatrixOfTheStoredPolicy: what auditors sign is what is in force, to the byte.
func TestWordsAndMatrixOfTheStoredPolicy(t *testing.T) {
	t.Parallel()
	d := testenv.Start(t, "--devices", "1")
	stored := done(t, d, "officer", "policy", "words", "stored")
	var p apitype.Policy
	if err := json.Unmarshal([]byte(get(t, d, "officer", "/api/v1/policy")), &p); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "policy.toml")
	if err := os.WriteFile(file, []byte(p.Files[0].Text), 0o600); err != nil {
		t.Fatal(err)
	}
	if own := done(t, d, "", "policy", "words", file); stored != fmt.Sprintf("version 1, %s", own) || !strings.Contains(own, "hash "+p.SHA256) {
		t.Errorf("stored:\n%s\nof the file:\n%s", stored, own)
	}
	if stored, own := done(t, d, "officer", "policy", "matrix", "--csv"), done(t, d, "", "policy", "matrix", file, "--csv"); stored != own {
		t.Errorf("matrix stored:\n%s\nof the file:\n%s", stored, own)
	}
	for _, c := range [][]string{{"words"}, {"matrix"}, {"diff", file}, {"history"}, {"who-can", "press-1"}, {"explain", "--who", "officer", "--device", "press-1", "--action", "shell:x"}} {
		if got := d.Run(t, "technician", append([]string{"policy"}, c...)...); got.Status != 77 {
			t.Errorf("policy %v as a technician: got %+v, want 77", c, got)
		}
	}
	login := d.Devices[0].Login
	if got := d.Run(t, "officer", "policy", "explain", "--who", "technician", "--device", "press-1", "--action", "shell:"+login); got.Status != 0 ||
		got.Out != "Tess Technician would be told now: You may open a shell as "+login+" on press-1 (rule A1).\n" {
		t.Errorf("explain of somebody else: got %+v", got)
	}
	who := done(t, d, "admin", "policy", "who-can", "press-1")
	if !regexp.MustCompile(`(?m)^Tess Technician +technicians +shell:`+login+` +now +A1 +-$`).MatchString(who) || !strings.Contains(who, "may ask: reason, one shift lead, up to 4 h") {
		t.Errorf("who can: got\n%s", who)
	}
}
