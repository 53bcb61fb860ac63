package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/testenv"
	"github.com/sallyport/sallyport/web/apitype"
)

// TestCommandsThatScriptsUse: each by its own name and flags, against a gateway.
func TestCommandsThatScriptsUse(t *testing.T) {
	t.Parallel()
	d := testenv.Start(t, "--devices", "1")
	t.Run("an empty list says so", func(t *testing.T) { emptyLists(t, d) })
	t.Run("mistakes are named as they were made", func(t *testing.T) { namedAsMade(t, d) })
	t.Run("sessions end, and kill for it", func(t *testing.T) { endedByName(t, d) })
	t.Run("sessions list, show, verify and export", func(t *testing.T) { lookedAt(t, d) })
	t.Run("a code that was revoked, and one for another machine", func(t *testing.T) { codes(t, d) })
}

// emptyLists comes first: no session was asked for yet.
func emptyLists(t *testing.T, d *testenv.Demo) {
	for want, args := range map[string][]string{
		"No session that you may see matches.": {"sessions", "list"},
		"No device that you may see matches.":  {"devices", "list", "--text", "nowhere"},
		"No event matches.":                    {"audit", "tail", "--subject", "nowhere"},
	} {
		if got := d.Run(t, "officer", args...); got.Status != 0 || got.Out != "" || !strings.HasPrefix(got.Err, want) {
			t.Errorf("%v: got %+v, want %q", args, got, want)
		}
		if got := done(t, d, "officer", append(args, "--json")...); got != "[]\n" {
			t.Errorf("%v --json: got %q, want an empty list", args, got)
		}
	}
}

func namedAsMade(t *testing.T, d *testenv.Demo) {
	for want, args := range map[string][]string{
		"--size is less than 1":                  {"sessions", "list", "--page", "1", "--size", "0"},
		"--text is longer than 200 characters":   {"sessions", "list", "--text", strings.Repeat("x", 201)},
		"<device> is longer than 63 characters":  {"policy", "who-can", strings.Repeat("x", 64)},
		"Run `sallyport sessions list --help`":   {"sessions", "list", "--page", "1", "--size", "501"},
		"--ticket is longer than 500 characters": {"shell", "--ticket", strings.Repeat("x", 501), "press-1"},
	} {
		if got := d.Run(t, "officer", args...); got.Status == 0 || !strings.Contains(got.Err, want) {
			t.Errorf("%.80v: got %+v, want %q", args, got, want)
		}
	}
	cmd := d.Command(t.Context(), "officer", "sessions", "list")
	cmd.Env = append(cmd.Env, "SALLYPORT_TOKEN=spt_unknown")
	got := testenv.Finish(t, cmd)
	if got.Status != 1 || !strings.Contains(got.Err, "SALLYPORT_TOKEN: this API token is unknown") ||
		!strings.Contains(got.Err, "Unset SALLYPORT_TOKEN") {
		t.Errorf("a token that the gateway does not know: got %+v", got)
	}
}

func endedByName(t *testing.T, d *testenv.Demo) {
	for _, end := range []string{"end", "kill"} {
		cmd := d.Command(t.Context(), "technician", "shell", "-v", "press-1", "--", "sh", "-c", "echo ready; sleep 100")
		var out, errs screen
		cmd.Stdout, cmd.Stderr = &out, &errs
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		out.wait(t, "ready")
		done(t, d, "approver", "sessions", end, "last", "--reason", "enough for today")
		began := time.Now()
		cmd.Wait()
		t.Logf("%s: the command line was back after %s", end, time.Since(began))
		if got := cmd.ProcessState.ExitCode(); got != 255 || !strings.Contains(errs.text(), "the session was ended by Alex Approver: enough for today") {
			t.Errorf("%s: got %d, %s, want 255 and by whom and why", end, got, errs.text())
		}
		if got := d.Run(t, "approver", "sessions", end, last(t, d)); got.Status != 1 || !strings.Contains(got.Err, "is no longer running") {
			t.Errorf("%s once more: got %+v", end, got)
		}
	}
}

func lookedAt(t *testing.T, d *testenv.Demo) {
	list := func(role string, args ...string) (rows []apitype.Session) {
		if err := json.Unmarshal([]byte(done(t, d, role, append([]string{"sessions", "list", "--json"}, args...)...)), &rows); err != nil {
			t.Fatal(err)
		}
		return rows
	}
	done(t, d, "technician", "shell", "press-1", "--", "echo", "looked at")
	sid := last(t, d)
	all := list("officer")
	for i := range all[1:] {
		if all[i].Asked.Before(all[i+1].Asked) {
			t.Errorf("the list is not newest first: %s before %s", all[i].Asked, all[i+1].Asked)
		}
	}
	if one := list("officer", "--page", "2", "--size", "1"); len(one) != 1 || one[0].ID != all[1].ID {
		t.Errorf("the second page of one: got %+v, want %s", one, all[1].ID)
	}
	if got := d.Run(t, "officer", "sessions", "list", "--page", "99"); got.Status != 0 || got.Out != "" ||
		!strings.Contains(got.Err, "Page 99 is past the end: ") || !strings.Contains(got.Err, " on 1 page.") {
		t.Errorf("a page past the end: got %+v", got)
	}
	if n := len(list("officer", "--mine")); n != 0 || len(list("technician", "--mine", "--since", "1h", "--device", "press-1")) != len(all) {
		t.Errorf("got %d sessions of the officer's own, want none, and all of the technician's", n)
	}
	if n := len(list("officer", "--since", "2099-01-01")); n != 0 {
		t.Errorf("got %d sessions since 2099", n)
	}
	if got := done(t, d, "officer", "sessions", "show", sid[:8]); !strings.Contains(got, sid) {
		t.Errorf("by the beginning of its id: got %s", got)
	}
	var v apitype.Verdict
	if err := json.Unmarshal([]byte(done(t, d, "officer", "sessions", "verify", "last", "--json")), &v); err != nil || !v.OK || len(v.Checks) == 0 {
		t.Errorf("verify: %v, %+v", err, v)
	}
	var kept apitype.Retention
	if err := json.Unmarshal([]byte(done(t, d, "officer", "retention", "report", "--json", "--by", "class")),
		&kept); err != nil || len(kept.Groups) == 0 ||
		kept.Groups[0].Class != "routine" || kept.Groups[0].First.Before(time.Now().AddDate(0, 0, 399)) ||
		kept.Groups[0].Due != 0 {
		t.Errorf("retention: %v, %+v, want recordings that are kept for 400 days", err, kept)
	}
	if got := d.Run(t, "officer", "retention", "report"); !strings.Contains(got.Out, "routine") ||
		!strings.Contains(got.Out, "all") || !strings.Contains(got.Err, "From the database of the gateway") {
		t.Errorf("retention: got %+v, want the rows, and where they are from", got)
	}
	if got := done(t, d, "officer", "sessions", "export", sid, "--transcript", "-o", "-"); got != "looked at\n" {
		t.Errorf("transcript: got %q", got)
	}
	cast, _, _ := strings.Cut(done(t, d, "officer", "sessions", "export", sid, "--cast", "-o", "-"), "\n")
	if head := map[string]any{}; json.Unmarshal([]byte(cast), &head) != nil || head["version"] == nil {
		t.Errorf("cast: it begins with %q", cast)
	}
	file := filepath.Join(t.TempDir(), "piped.slyb")
	if err := os.WriteFile(file, []byte(done(t, d, "officer", "sessions", "export", sid, "-o", "-")), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := d.Verify(t, "--log-key", d.LogKey, file); got.Status != 0 {
		t.Errorf("the evidence through a pipe: got %+v", got)
	}
}

func codes(t *testing.T, d *testenv.Demo) {
	create := func(args ...string) (c apitype.EnrollToken) {
		raw := done(t, d, "admin", append([]string{"enroll-token", "create", "--json", "--site", "plant-north", "--label", "kind=press", "--label", "hall=1"}, args...)...)
		if err := json.Unmarshal([]byte(raw), &c); err != nil {
			t.Fatal(err)
		}
		return c
	}
	enrol := func(state, code string, more ...string) testenv.Result {
		args := append([]string{"enroll", code, "--state", filepath.Join(d.Dir, state), "--ephemeral", "--no-wait"}, more...)
		return testenv.Finish(t, exec.Command(filepath.Join(d.Bin, "sallyport-agent"), args...))
	}
	gone := create()
	done(t, d, "admin", "enroll-token", "revoke", gone.ID)
	if got := enrol("gone", gone.Code); got.Status != 77 || !strings.Contains(got.Err, "revoked") {
		t.Errorf("a code that was revoked: got %+v", got)
	}
	meant := create("--name", "press-meant", "--expect-serial", "SN-7")
	if got := enrol("other", meant.Code, "--serial", "SN-8"); got.Status != 77 || !strings.Contains(got.Err, "serial") {
		t.Errorf("another machine: got %+v", got)
	}
	if got := enrol("meant", meant.Code, "--serial", "SN-7"); got.Status != 0 {
		t.Fatalf("the machine that was meant: got %+v", got)
	}
	var dev apitype.Device
	if err := json.Unmarshal([]byte(done(t, d, "admin", "devices", "show", "press-meant", "--json")), &dev); err != nil || dev.State != "waiting" || dev.Serial != "SN-7" {
		t.Errorf("%v, got %+v", err, dev)
	}
	if got := d.Run(t, "admin", "devices", "admit", "press-meant", "--fingerprint", "SHA256:"+strings.Repeat("A", 43)); got.Status == 0 {
		t.Errorf("admitted by another fingerprint: %+v", got)
	}
	if got := done(t, d, "admin", "devices", "admit", "press-meant", "--fingerprint", dev.Fingerprint); !strings.Contains(got, "press-meant is admitted: "+dev.Fingerprint) {
		t.Errorf("admitted by its own: got %s", got)
	}
}
