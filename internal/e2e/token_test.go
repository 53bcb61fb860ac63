package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/idp"
	"github.com/sallyport/sallyport/internal/testenv"
)

func TestAPITokensOnTheCommandLine(t *testing.T) {
	t.Parallel()
	d := testenv.Start(t, "--devices", "1")
	tess := testenv.NewPerson(t, d.URL)
	if got := tess.Login(signInAs(t, d, "technician"), "allow"); got.Status != 0 {
		t.Fatalf("login: got %+v", got)
	}
	job := newToken(t, tess, "--name", "nightly job")
	t.Run("it opens sessions and is listed with its last use", func(t *testing.T) { usedAndListed(t, tess, job) })
	t.Run("line breaks around it are cut off, and one in it is named", func(t *testing.T) { brokenLines(t, job) })
	t.Run("it makes no other and no more than its scopes say", func(t *testing.T) {
		for _, args := range [][]string{{"token", "create", "--scope", "session", "--ttl", "1h"}, {"sessions", "export", "last", "-o", filepath.Join(t.TempDir(), "e")}} {
			if got := job.run(t, args...); got.Status != 77 {
				t.Errorf("%v: got %+v, want 77", args, got)
			}
		}
		for _, args := range [][]string{{"--scope", "session", "--ttl", "2161h"}, {"--scope", "unseal", "--ttl", "1h"}} {
			if got := tess.Run(append([]string{"token", "create"}, args...)...); got.Status != 2 {
				t.Errorf("token create %v: got %+v, want 2", args, got)
			}
		}
	})
	t.Run("the making of it is among the events, on paper too", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "events")
		if got := d.Run(t, "officer", "audit", "export", "--type", "token", "-o", file); got.Status != 0 {
			t.Fatalf("got %+v", got)
		}
		raw, err := os.ReadFile(file)
		if err != nil || !strings.Contains(string(raw), `"type":"token"`) {
			t.Errorf("got %s, %v", raw, err)
		}
		if got := d.Run(t, "officer", "audit", "export", "-o", file); got.Status != 2 {
			t.Errorf("over a file that is there: got %+v, want 2", got)
		}
	})
	t.Run("it is good from its network", func(t *testing.T) {
		here, there := newToken(t, tess, "--network", "127.0.0.0/8"), newToken(t, tess, "--network", "192.0.2.0/24")
		if got := here.run(t, "shell", "press-1", "--", "true"); got.Status != 0 {
			t.Errorf("from its network: got %+v", got)
		}
		if got := there.run(t, "shell", "press-1", "--", "true"); got.Status == 0 || !strings.Contains(got.Err, "not good from 127.0.0.1") {
			t.Errorf("from elsewhere: got %+v", got)
		}
	})
	t.Run("revoked, it is worth nothing and its shell ends", func(t *testing.T) {
		cut(t, job, func() { tess.Must("token", "revoke", job.id) }, "revoked")
	})
	t.Run("it dies with its user", func(t *testing.T) {
		users, err := idp.OpenUsers(filepath.Join(d.DataDir, "idp"))
		if err != nil {
			t.Fatal(err)
		}
		cut(t, newToken(t, tess), func() {
			if err := users.Remove("technician"); err != nil {
				t.Fatal(err)
			}
		}, "removed or disabled")
	})
}

// token is one that was made, and whoever uses it.
type token struct {
	id, text string
	by       *testenv.Person
}

func newToken(t *testing.T, p *testenv.Person, args ...string) token {
	t.Helper()
	var made struct{ ID, Text string }
	if err := json.Unmarshal([]byte(p.Must(append([]string{"token", "create", "--scope", "session", "--ttl", "1h", "--json"}, args...)...)), &made); err != nil {
		t.Fatal(err)
	}
	return token{made.ID, made.Text, p}
}

func (k token) run(t *testing.T, args ...string) testenv.Result {
	t.Helper()
	cmd := k.by.Command(t.Context(), args...)
	cmd.Env = append(cmd.Env, "SALLYPORT_TOKEN="+k.text)
	return testenv.Finish(t, cmd)
}

// brokenLines reads a token as scripts get it: from a file, with the line break at its end, or wrapped in two lines.
func brokenLines(t *testing.T, k token) {
	for _, text := range []string{k.text + "\n", "\r\n " + k.text + "\t\r\n"} {
		got := (token{text: text, by: k.by}).run(t, "shell", "press-1", "--", "echo", "by a job")
		if got.Out != "by a job\n" {
			t.Errorf("%q: got %+v", text, got)
		}
	}
	const named = "SALLYPORT_TOKEN does not hold an API token: a token begins with spt_ and has no spaces or line breaks"
	for _, text := range []string{k.text[:10] + "\n" + k.text[10:], k.text + "\n" + k.text, k.text + "\x07", k.id} {
		for _, args := range [][]string{{"whoami"}, {"shell", "press-1", "--", "true"}, {"sessions", "list"}} {
			got := (token{text: text, by: k.by}).run(t, args...)
			if got.Status != 2 || got.Out != "" || !strings.Contains(got.Err, named) ||
				strings.Contains(got.Err, k.text[10:]) {
				t.Errorf("%q: %v: got %+v, want 2 and what is wrong", text, args, got)
			}
		}
	}
}

func usedAndListed(t *testing.T, p *testenv.Person, k token) {
	if got := k.run(t, "shell", "press-1", "--", "echo", "by a job"); got.Out != "by a job\n" {
		t.Fatalf("got %+v", got)
	}
	out := p.Must("token", "list", "--json")
	type row struct {
		ID, Name string
		LastUsed *time.Time `json:"last_used"`
	}
	var rows []row
	if err := json.Unmarshal([]byte(out), &rows); err != nil {
		t.Fatal(err)
	}
	at := slices.IndexFunc(rows, func(r row) bool { return r.ID == k.id })
	if at < 0 || rows[at].Name != "nightly job" || rows[at].LastUsed == nil || strings.Contains(out, k.text) {
		t.Errorf("got %s", out)
	}
}

// cut opens a shell with a token, takes the token away, and wants both to be over.
func cut(t *testing.T, k token, take func(), why string) {
	t.Helper()
	cmd := k.by.Command(t.Context(), "shell", "press-1", "--", "sh", "-c", "echo rea''dy; sleep 100")
	cmd.Env = append(cmd.Env, "SALLYPORT_TOKEN="+k.text)
	var out, errs screen
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	late := time.AfterFunc(90*time.Second, func() { cmd.Process.Kill() })
	defer late.Stop()
	out.wait(t, "ready")
	began := time.Now()
	take()
	cmd.Wait()
	t.Logf("the shell ended after %s", time.Since(began).Round(time.Millisecond))
	if cmd.ProcessState.ExitCode() != 255 || !strings.Contains(errs.text(), why) {
		t.Errorf("the shell: status %d, %s", cmd.ProcessState.ExitCode(), errs.text())
	}
	if got := k.run(t, "whoami"); got.Status != 1 {
		t.Errorf("the token after: got %+v", got)
	}
}
