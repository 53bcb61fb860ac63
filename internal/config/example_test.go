package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestTheExampleLoads(t *testing.T) {
	c, err := Load(filepath.Join("..", "..", "examples", "gateway.toml"))
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Identity) != 2 || c.Identity[0].Groups["sp-tech"] != "technicians" || !c.Identity[1].Builtin || c.Recording.LowWater != 20<<30 || c.Log.Format != "json" {
		t.Errorf("got %+v", c)
	}
}

// unit reads the lines KEY=VALUE of a systemd unit.
func unit(t *testing.T, name string) map[string]string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "..", "deploy", "systemd", name))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for line := range strings.Lines(string(raw)) {
		if k, v, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(k, "#") {
			out[k] = v
		}
	}
	return out
}

// TestTheUnitsFitTheExample: two files that are edited apart and work only together.
func TestTheUnitsFitTheExample(t *testing.T) {
	c, err := Load(filepath.Join("..", "..", "examples", "gateway.toml"))
	if err != nil {
		t.Fatal(err)
	}
	gateway, signer, agent := unit(t, "sallyport.service"), unit(t, "sallyport-signer.service"), unit(t, "sallyport-agent.service")
	same := func(what, got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("%s: got %q, want %q", what, got, want)
		}
	}
	same("the gateway's user", gateway["User"], c.Signer.GatewayUser)
	same("data_dir", "/var/lib/"+gateway["StateDirectory"], c.Site.DataDir)
	same("the signer's directory", "/var/lib/"+signer["StateDirectory"], c.Signer.Dir)
	same("the signer's socket", "/run/"+signer["RuntimeDirectory"], filepath.Dir(c.Signer.Socket))
	same("what stops of the agent", agent["KillMode"], "process")
	for name, u := range map[string]map[string]string{"gateway": gateway, "signer": signer} {
		same(name+": privileges", u["NoNewPrivileges"], "yes")
		same(name+": how it starts", u["Type"], "notify")
		same(name+": mode of its files", u["StateDirectoryMode"], "0700")
	}
	if signer["User"] == gateway["User"] || signer["User"] == "" || signer["User"] == "root" {
		t.Errorf("the signer runs as %q, the gateway as %q: the signer's keys are then no secret", signer["User"], gateway["User"])
	}
	same("the backup's user", unit(t, "sallyport-backup.service")["User"], gateway["User"])
	same("the signer's backup's user", unit(t, "sallyport-signer-backup.service")["User"], signer["User"])
	stop, err := time.ParseDuration(gateway["TimeoutStopSec"] + "s")
	if err != nil || stop < time.Duration(c.Site.DrainAtMost)+30*time.Second {
		t.Errorf("systemd kills after %s, a drain takes %s and what follows", stop, c.Site.DrainAtMost)
	}
}
