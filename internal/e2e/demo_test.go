package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/creack/pty"

	"github.com/sallyport/sallyport/internal/testenv"
)

// TestWhatScriptsReadOfADemo: names, kinds and rights of the ready-file stay as they are.
func TestWhatScriptsReadOfADemo(t *testing.T) {
	t.Parallel()
	d := testenv.Start(t, "--ssh", "127.0.0.1:0", "--devices", "2")
	file := d.Dir + ".ready"
	info, err := os.Stat(file)
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("the ready-file: %v, mode %v, want 0600: it holds passwords", err, info.Mode())
	}
	raw, err := os.ReadFile(file)
	var ready map[string]any
	if err == nil {
		err = json.Unmarshal(raw, &ready)
	}
	if err != nil {
		t.Fatal(err)
	}
	hasKeys(t, "ready-file", ready, "data_dir", "devices", "gateway_pid", "identities", "log_key", "ssh", "url", "users")
	if url := ready["url"].(string); !strings.HasPrefix(url, "http://localhost:") || ready["ssh"] != "" {
		t.Errorf("got url %q and ssh %v, want http://localhost:PORT and none", url, ready["ssh"])
	}
	if _, err := os.Stat(ready["data_dir"].(string)); err != nil || !alive(int(ready["gateway_pid"].(float64))) {
		t.Errorf("data_dir or gateway_pid: %v", err)
	}
	scriptsUsers(t, ready["users"].([]any))
	scriptsDevices(t, ready["devices"].([]any))
	identities := ready["identities"].(map[string]any)
	hasKeys(t, "identities", identities, "reader", "unsealer")
	for name, file := range identities {
		if text, err := os.ReadFile(file.(string)); err != nil {
			t.Error(err)
		} else if ids, err := age.ParseIdentities(strings.NewReader(string(text))); err != nil || len(ids) != 1 {
			t.Errorf("%s: %d age identities, %v", name, len(ids), err)
		}
	}
}

func hasKeys(t *testing.T, what string, m map[string]any, want ...string) {
	t.Helper()
	if got := slices.Sorted(maps.Keys(m)); !slices.Equal(got, want) {
		t.Errorf("%s: got the names %v, want %v", what, got, want)
	}
}

func scriptsUsers(t *testing.T, users []any) {
	var roles []string
	for _, u := range users {
		u := u.(map[string]any)
		hasKeys(t, "a user", u, "name", "password", "role", "token")
		if u["name"] != u["role"] || len(u["password"].(string)) < 16 || !strings.HasPrefix(u["token"].(string), "spt_") {
			t.Errorf("got the user %v", u)
		}
		roles = append(roles, u["role"].(string))
	}
	if want := []string{"technician", "approver", "owner", "officer", "admin"}; !slices.Equal(roles, want) {
		t.Errorf("got the roles %v, want %v", roles, want)
	}
}

func scriptsDevices(t *testing.T, devices []any) {
	for i, dev := range devices {
		dev := dev.(map[string]any)
		hasKeys(t, "a device", dev, "login", "name", "pid", "state_dir")
		if dev["name"] != fmt.Sprintf("press-%d", i+1) || dev["login"] == "" || !alive(int(dev["pid"].(float64))) {
			t.Errorf("got the device %v", dev)
		}
		if _, err := os.Stat(filepath.Join(dev["state_dir"].(string), "owner.toml")); err != nil {
			t.Errorf("%v: the owner's rules are not beside its state: %v", dev["name"], err)
		}
	}
	if len(devices) != 2 {
		t.Errorf("got %d devices, want 2", len(devices))
	}
}

// TestNoticesAreDimmedUnlessSomebodyWantsNoColour: NO_COLOR with any value.
func TestNoticesAreDimmedUnlessSomebodyWantsNoColour(t *testing.T) {
	t.Parallel()
	d := testenv.Start(t, "--devices", "1")
	for noColour, dimmed := range map[string]bool{"": true, "1": false, "yes": false} {
		cmd := d.Command(t.Context(), "technician", "shell", "press-1", "--", "true")
		cmd.Env = append(cmd.Env, "NO_COLOR="+noColour)
		tty, err := pty.Start(cmd)
		if err != nil {
			t.Fatal(err)
		}
		shown, _ := io.ReadAll(tty) // ends with EIO when the command has
		cmd.Wait()
		tty.Close()
		if got := strings.Contains(string(shown), "\x1b[2m"); got != dimmed || !strings.Contains(string(shown), "recorded") {
			t.Errorf("NO_COLOR=%q: got %q, want notices dimmed: %v", noColour, shown, dimmed)
		}
	}
}

func TestADemoStartsAgainWithEverythingKept(t *testing.T) {
	dir := t.TempDir()
	os.Chmod(filepath.Dir(dir), 0o755)
	os.Chmod(dir, 0o711)
	d := testenv.StartIn(t, filepath.Join(dir, "demo"), "--devices", "2")
	token, key := d.Token("technician"), d.LogKey
	d.Run(t, "technician", "shell", "press-1", "--", "echo", "before")
	sid := last(t, d)
	if got := d.Run(t, "admin", "devices", "revoke", "press-2"); got.Status != 0 {
		t.Fatalf("revoke: got %+v", got)
	}
	if err := d.Stop(); err != nil {
		t.Fatalf("stop: %v\n%s", err, d.Output())
	}
	again := testenv.StartIn(t, filepath.Join(dir, "demo"), "--devices", "2")
	if got := again.Run(t, "admin", "devices", "list", "--state", "revoked"); !strings.Contains(got.Out, "press-2") ||
		!strings.Contains(again.Output(), "press-2 is revoked and stays so") {
		t.Errorf("the machine that was revoked: got %+v\n%s", got, again.Output())
	}
	if again.Token("technician") != token || again.LogKey != key || again.URL != d.URL {
		t.Error("passwords, log or address are others than before")
	}
	if got := again.Run(t, "officer", "sessions", "replay", sid); !strings.Contains(got.Out, "before") {
		t.Errorf("the session of before: %+v", got)
	}
	if got := again.Run(t, "technician", "shell", "press-1", "--", "echo", "after"); got.Out != "after\n" {
		t.Errorf("a new session: %+v\n%s", got, again.Output())
	}
}

// TestADemoRunsForAnOrdinaryUser: also for one whose name is that of root's own shells.
func TestADemoRunsForAnOrdinaryUser(t *testing.T) {
	t.Parallel()
	dir := openDir(t)
	var become []string
	if os.Getuid() == 0 {
		become = []string{"setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"}
		if err := os.Chown(dir, 65534, 65534); err != nil {
			t.Fatal(err)
		}
	}
	d := testenv.StartUnder(t, become, filepath.Join(dir, "demo"), "--devices", "1")
	uid := func(pid int) uint32 {
		info, err := os.Stat(fmt.Sprintf("/proc/%d", pid))
		if err != nil {
			t.Fatal(err)
		}
		return info.Sys().(*syscall.Stat_t).Uid
	}
	got := d.Run(t, "technician", "shell", "press-1", "--", "sh", "-c", "id -u; exit 3")
	if mine := uid(d.Devices[0].PID); mine == 0 || got.Out != fmt.Sprintf("%d\n", mine) || got.Status != 3 || uid(d.GatewayPID) != mine {
		t.Errorf("got %+v, want a command as user %d, whose the gateway is too", got, mine)
	}
	if out := d.Output(); !strings.Contains(out, "Not root: shells run as you, "+d.Devices[0].Login+", beside the agents' own keys") {
		t.Errorf("it does not say what is weaker so:\n%s", out)
	}
	if err := d.Stop(); err != nil {
		t.Errorf("stop: %v", err)
	}
}

func TestKillingTheDemoLeavesNothing(t *testing.T) {
	d := testenv.Start(t, "--devices", "1")
	gateway, agent := d.GatewayPID, d.Devices[0].PID
	if limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", gateway)); err != nil || !regexp.MustCompile(`Max core file size +0 +0 `).Match(limits) {
		t.Errorf("a core of the gateway would hold its keys: %v\n%s", err, limits)
	}
	syscall.Kill(d.PID(), syscall.SIGKILL)
	for end := time.Now().Add(time.Minute); alive(gateway) || alive(agent); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the gateway or an agent outlives a demo that was killed")
		}
	}
}

func alive(pid int) bool {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(raw), ") Z ")
}

func TestADemoSaysWhatIsInItsWay(t *testing.T) {
	t.Parallel()
	d := testenv.Start(t, "--devices", "1")
	again := func(args ...string) testenv.Result {
		return testenv.Finish(t, exec.Command(filepath.Join(d.Bin, "sallyport"), append([]string{"demo"}, args...)...))
	}
	if got := again("--dir", d.Dir, "--devices", "1"); got.Status != 1 || !strings.Contains(got.Err, "a demo runs in "+d.Dir+" already") || strings.Contains(got.Out, "http") {
		t.Errorf("a second one in the same directory: got %+v", got)
	}
	addr := strings.Replace(strings.TrimPrefix(d.URL, "http://"), "localhost", "127.0.0.1", 1)
	if got := again("--dir", filepath.Join(t.TempDir(), "demo"), "--http", addr); got.Status != 1 || !strings.Contains(got.Err, "cannot listen on "+addr+": address already in use") {
		t.Errorf("an address that is taken: got %+v", got)
	}
	if got := d.Run(t, "technician", "shell", "press-1", "--", "true"); got.Status != 0 {
		t.Errorf("the first one was harmed: got %+v", got)
	}
}
