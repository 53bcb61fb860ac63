package supervise

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/internal/agent/state"
	"github.com/sallyport/sallyport/internal/programtest"
	"github.com/sallyport/sallyport/internal/wire"
)

// under gives a session under a pass and an owner's rules file.
func under(t *testing.T, g wire.Grant, owner string) *session {
	t.Helper()
	dir := state.Dir{Path: t.TempDir()}
	dir.Owner = filepath.Join(dir.Path, "owner.toml")
	if err := os.WriteFile(dir.Owner, []byte("format = 1\n"+owner), 0o600); err != nil {
		t.Fatal(err)
	}
	rules, err := dir.OwnerRules()
	if err != nil {
		t.Fatal(err)
	}
	return &session{order: Order{State: dir}, open: &wire.Open{}, pass: &wire.Pass{Grant: g}, rules: rules,
		clock: state.NewClock(wire.Status{Time: time.Now().UnixMilli()}, state.Boot()), log: slog.New(slog.DiscardHandler)}
}

// The gateway and the signer run the same table: gateway and internal/signer. Here a pass gives what a rule gives
// there.
func TestTheDeviceStartsAProgramByTheActionOfTheTable(t *testing.T) {
	for _, c := range programtest.Cases {
		s := under(t, wire.Grant{Login: c.Program.Login, Actions: c.Allowed}, "preset = \"open\"\n")
		action, why := s.choose(authz.SplitCommand(c.Line), c.Program.Terminal)
		got := action.String()
		if why != "" {
			got = ""
		}
		if got != c.Want {
			t.Errorf("%s: got %q (%s), want %q", c.Name, got, why, c.Want)
		}
	}
}

func TestARefusalOfTheDeviceSaysWhatIsMissing(t *testing.T) {
	run := []string{"run:svc /bin/x"}
	for _, c := range []struct {
		owner    string
		actions  []string
		terminal bool
		want     string
	}{
		{"preset = \"open\"\nrun = \"deny\"\n", run, false, "the owner's rules of this machine deny run"},
		{"preset = \"open\"\nrun = \"deny\"\n", append(run, "shell:svc"), false, ""},
		{"preset = \"open\"\n", run, true, "an exact command runs without a terminal"},
		{"preset = \"open\"\n", []string{"run:svc /bin/y"}, false, "the pass covers run:svc /bin/y and not shell:svc"},
	} {
		s := under(t, wire.Grant{Login: "svc", Actions: c.actions}, c.owner)
		if _, why := s.choose([]string{"/bin/x"}, c.terminal); why != c.want {
			t.Errorf("%v under %q: got %q, want %q", c.actions, c.owner, why, c.want)
		}
	}
}
