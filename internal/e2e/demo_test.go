package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

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
