package supervise

import (
	"fmt"
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

// under gives a session under a pass of this scope and an owner's rules file.
func under(t *testing.T, scope authz.Scope, owner string) *session {
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
	s := &session{order: Order{State: dir}, open: &wire.Open{}, rules: rules, log: slog.New(slog.DiscardHandler)}
	s.held.Store(&held{pass: &wire.Pass{Grant: wire.Grant{Login: scope.Login()}, Scope: scope},
		clock: state.NewClock(wire.Status{Time: time.Now().UnixMilli()}, state.Boot())})
	return s
}

// The gateway and the signer run the same table: gateway and internal/signer. Here a pass gives what a rule gives
// there.
func TestTheDeviceStartsAProgramByTheActionOfTheTable(t *testing.T) {
	for _, c := range programtest.Cases {
		s := under(t, c.Scope(), "preset = \"open\"\n")
		for _, p := range append([]programtest.Further{{Program: c.Program, Line: c.Line, Want: c.Want}}, c.Further...) {
			if p.Program.Login != c.Program.Login {
				continue // a session line is of one login
			}
			action, why := s.choose(authz.SplitCommand(p.Line), p.Program.Terminal)
			got := action.String()
			if why != "" {
				got = ""
			}
			if got != p.Want {
				t.Errorf("%s: %q: got %q (%s), want %q", c.Name, p.Line, got, why, p.Want)
			}
		}
	}
}

func TestARefusalOfTheDeviceSaysWhatIsMissing(t *testing.T) {
	run := []string{"run:svc /bin/x"}
	many := []string{}
	for i := range 20 {
		many = append(many, fmt.Sprintf("run:svc /bin/a-tool-with-a-name %02d", i))
	}
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
		{"preset = \"open\"\n", []string{"run:svc /bin/x {word}"}, false,
			"the pass covers run:svc /bin/x {word} and not shell:svc"},
		{"preset = \"open\"\n", many, false, "the pass covers 20 actions and not shell:svc"},
	} {
		s := under(t, programtest.Scope("svc", c.actions...), c.owner)
		if _, why := s.choose([]string{"/bin/x"}, c.terminal); why != c.want {
			t.Errorf("%v under %q: got %q, want %q", c.actions, c.owner, why, c.want)
		}
	}
}
