package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/internal/testenv"
)

// TestAPassNamesEverythingThatItsRuleGives: a shell, two commands and a template of one role, whatever the session begins
// with. The device shows it to its owner and the verifier to an outsider. What a hostile gateway asks for beyond it is in
// internal/agent.
func TestAPassNamesEverythingThatItsRuleGives(t *testing.T) {
	t.Parallel()
	s := testenv.NewServer(t)
	giveCommands(t, s)
	s.Serve()
	s.AddUser("ada", "administrators")
	s.AddUser("tess", "technicians")
	s.AddUser("olga", "compliance")
	admin, tess, olga := s.Person("ada"), s.Person("tess"), s.Person("olga")
	s.Join(admin, "press-1", "--ca", s.CA())
	set := []string{"run:" + s.Login + " /bin/echo 'a b'", "run:" + s.Login + " /bin/echo one", "shell:" + s.Login,
		"run:" + s.Login + " /bin/echo -n {word}"}

	cmd := tess.Command(t.Context(), "shell", "press-1", "--", "sh", "-c", "echo ready; cat")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var out screen
	cmd.Stdout = &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	out.wait(t, "ready")
	var live []struct{ Actions []string }
	shown := testenv.Finish(t, s.Agent("press-1", "sessions", "--json"))
	if err := json.Unmarshal([]byte(shown.Out), &live); err != nil || len(live) != 1 || !slices.Equal(live[0].Actions, set) {
		t.Errorf("the owner is shown %+v, %v, want %q", shown, err, set)
	}
	in.Close()
	if err := cmd.Wait(); err != nil {
		t.Errorf("the shell: %v", err)
	}

	run := func(p *testenv.Person, want string, argv ...string) {
		t.Helper()
		if got := p.Run(append([]string{"shell", "press-1", "--"}, argv...)...); got.Out != want {
			t.Errorf("%q: got %+v, want %q", argv, got, want)
		}
	}
	run(tess, "one\n", "/bin/echo", "one")
	run(tess, "a b\n", "/bin/echo", "a b")
	run(tess, "go", "/bin/echo", "-n", "go")
	file := s.Path("last.slyb")
	olga.Must("sessions", "export", "last", "-o", file)
	got := testenv.Finish(t, exec.Command(filepath.Join(testenv.Binaries(t), "sallyport-verify"), "--log-key", logKey(t, admin), file))
	if want := fmt.Sprintf("actions %q", set); got.Status != 0 || !strings.Contains(got.Out, want) {
		t.Errorf("verify: got %+v, want %s", got, want)
	}

	run(olga, "go", "/bin/echo", "-n", "go")
	for _, argv := range [][]string{{"/bin/echo", "-n", "{word}"}, {"/bin/echo", "one"}, {"id"}} { // olga has no shell
		if got := olga.Run(append([]string{"shell", "--login", s.Login, "press-1", "--"}, argv...)...); got.Status != 77 || got.Out != "" {
			t.Errorf("%q: got %+v, want it refused", argv, got)
		}
	}
}

// logKey asks the gateway for the key of its log.
func logKey(t *testing.T, p *testenv.Person) string {
	t.Helper()
	var head struct{ Key string }
	if err := json.Unmarshal([]byte(p.Must("log", "checkpoint", "--json")), &head); err != nil {
		t.Fatal(err)
	}
	return head.Key
}

// giveCommands adds commands to the role of technicians, and gives compliance one of them and no shell.
func giveCommands(t *testing.T, s *testenv.Server) {
	t.Helper()
	file := s.Path("etc", "policy.toml")
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	shell := fmt.Sprintf("shell = { as = [%q] }\n", s.Login)
	if !strings.Contains(string(raw), shell) {
		t.Fatalf("no shell in\n%s", raw)
	}
	run := fmt.Sprintf(`run = { as = [%q], argv = [["/bin/echo", "one"], ["/bin/echo", "a b"], ["/bin/echo", "-n", "{word}"]] }
`, s.Login)
	text := strings.Replace(string(raw), shell, shell+run, 1) + fmt.Sprintf(`
[role.echo]
why = "One command."
run = { as = [%q], argv = [["/bin/echo", "-n", "{word}"]] }
[[allow]]
id = "A9"
why = "Compliance may echo."
who = ["compliance"]
role = "echo"
devices = "all"
hours = "always"
`, s.Login)
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
