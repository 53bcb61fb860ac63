package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/internal/testenv"
)

func TestABadConfigurationGetsOneClearLineAndExit2(t *testing.T) {
	t.Parallel()
	s := testenv.NewServer(t)
	good := s.Text
	for name, c := range map[string]struct{ old, new, want string }{
		"an unknown key":                   {"low_water", "low_watr", "gateway.toml:24: the key recording.low_watr is not known; did you mean recording.low_water?"},
		"an unknown table":                 {"[recording]", "[recordings]", "the key recordings is not known; did you mean recording?"},
		"no TOML":                          {"[tls]", "[tls", "gateway.toml:8:"},
		"a bad duration":                   {`"0s"`, `"soon"`, `"soon" is not a length of time; write it as 400d, 12h or 30m`},
		"a bad size":                       {`"16MiB"`, `"16 megs"`, `"16 megs" is not a size; write it as 500MiB or 20GiB`},
		"a missing file":                   {"reader.age", "raeder.age", "[recording] readers_files: open " + s.Path("etc", "raeder.age") + ": no such file or directory"},
		"a directory where a file belongs": {s.Path("etc", "reader.age"), s.Path("etc"), "[recording] readers_files: read " + s.Path("etc") + ": not a regular file"},
		"a missing policy":                 {"policy.toml", "police.toml", `[policy] files: nothing matches "` + s.Path("etc", "police.toml") + `"`},
		"a missing certificate":            {`mode = "self"`, "mode = \"files\"\ncert = \"/nowhere/cert.pem\"\nkey = \"/nowhere/key.pem\"", "[tls] cert: open /nowhere/cert.pem: no such file"},
		"a certificate that is none":       {`mode = "self"`, "mode = \"files\"\ncert = \"" + s.Path("etc", "policy.toml") + "\"\nkey = \"" + s.Path("etc", "policy.toml") + "\"", "failed to find any PEM data"},
		"a reader that is no key":          {s.Path("etc", "reader.age"), s.Path("etc", "policy.toml"), "want age public keys, one a line"},
		"a data directory of a demo":       {s.Path("data"), s.Path("demo"), s.Path("demo") + " is a demo's data, whose keys and passwords lie open"},
		"a data directory that is open":    {s.Path("data"), s.Path("open"), "others may read " + s.Path("open") + " (mode 0755)"},
		"a second copy that is not there":  {"[site]", "[ledger]\nsecond_copy = \"/nowhere\"\n[site]", "[ledger] second_copy: stat /nowhere: no such file or directory"},
		"a log level that is none":         {"[site]", "[log]\nlevel = \"loud\"\n[site]", `[log] level = "loud": write "debug", "info", "warn" or "error"`},
		"a signer inside the data":         {"[site]", "[signer]\nsocket = \"/run/s\"\ndir = \"" + s.Path("data", "signer") + "\"\n[site]", "neither may lie in the other"},
		"a signer without a socket":        {"[site]", "[signer]\ndir = \"/var/lib/x\"\n[site]", "[signer] dir and gateway_user belong to a signer of its own process"},
	} {
		t.Run(name, func(t *testing.T) {
			os.MkdirAll(s.Path("demo"), 0o700)
			os.WriteFile(s.Path("demo", "DEMO"), nil, 0o600)
			os.MkdirAll(s.Path("open"), 0o755)
			s.Text = good
			s.Write(c.old, c.new)
			p := s.Start(filepath.Base(t.Name()), "serve")
			status := p.Wait()
			said, _, _ := strings.Cut(p.Output(), "\n")
			if status != 2 || !strings.HasPrefix(said, "sallyport: ") || !strings.Contains(said, c.want) || strings.Count(p.Output(), "\n") > 1 {
				t.Errorf("got %d\n%s\nwant 2 and one line with …%s…, and perhaps a hint", status, p.Output(), c.want)
			}
		})
	}
}

func TestServersThatCannotStartSayWhy(t *testing.T) {
	t.Parallel()
	s := testenv.NewServer(t)
	cmd := func(args ...string) testenv.Result {
		return testenv.Finish(t, s.Command(args...))
	}
	if got := cmd("serve", "--config", "/nowhere.toml"); got.Status != 2 || !strings.Contains(got.Err, "open /nowhere.toml: no such file or directory") {
		t.Errorf("no configuration: got %+v", got)
	}
	if got := cmd("signer", "--config", s.Config); got.Status != 2 || !strings.Contains(got.Err, "[signer] socket is missing") {
		t.Errorf("a signer without a socket: got %+v", got)
	}
	s.Serve()
	if again := s.Start("again", "serve"); again.Wait() != 1 || !strings.Contains(again.Output(), "address already in use") || !strings.Contains(again.Output(), "ss -ltnp") {
		t.Errorf("a second one: got %s", again.Output())
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"users", "add", "eve", "--group", "nobodies", "--config", s.Config}, "use one of: administrators, compliance, technicians"},
		{[]string{"users", "add", "Eve Adams", "--group", "technicians", "--config", s.Config}, `"eve adams" is no user name`},
		{[]string{"users", "passwd", "eve", "--config", s.Config}, "there is no user eve"},
	} {
		if got := cmd(c.args...); got.Status == 0 || !strings.Contains(got.Err, c.want) {
			t.Errorf("%v: got %+v, want %s", c.args, got, c.want)
		}
	}
	made := cmd("users", "add", "eve", "--group", "technicians", "--config", s.Config)
	if password := strings.TrimSpace(made.Out); made.Status != 0 || len(password) < 16 {
		t.Errorf("without a password one is made: got %+v", made)
	}
	if got := cmd("users", "totp", "eve", "--config", s.Config); got.Status != 0 || !strings.HasPrefix(got.Out, "otpauth://totp/Test%20works:eve?") {
		t.Errorf("a second factor: got %+v", got)
	}
	if got := cmd("users", "list", "--json", "--config", s.Config); !strings.Contains(got.Out, `"name": "eve"`) || !strings.Contains(got.Out, `"second_factor": true`) || strings.Contains(got.Out, "argon") {
		t.Errorf("list: got %+v", got)
	}
	if got := cmd("users", "remove", "eve", "--config", s.Config); got.Status != 0 {
		t.Errorf("remove: got %+v", got)
	}
}
