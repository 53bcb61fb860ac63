package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/sallyport/sallyport/internal/testenv"
)

// TestAStoredPolicyOfAnEarlierReleaseIsUpgraded: its commands name no login. Signer and gateway start with it, refuse
// those commands, and say so until a corrected policy is applied.
func TestAStoredPolicyOfAnEarlierReleaseIsUpgraded(t *testing.T) {
	t.Parallel()
	s := testenv.NewServer(t)
	os.Mkdir(s.Path("signer"), 0o700)
	os.Mkdir(s.Path("run"), 0o755)
	s.Text += fmt.Sprintf("[signer]\nsocket = %q\ndir = %q\ngateway_user = \"%d\"\n",
		s.Path("run", "s"), s.Path("signer"), os.Getuid())
	s.Write()
	signer := s.Start("signer", "signer")
	gateway := s.Serve()
	s.AddUser("ada", "administrators")
	s.AddUser("tess", "technicians")
	admin, tess := s.Person("ada"), s.Person("tess")
	agent := s.Join(admin, "press-1", "--ca", s.CA())
	gateway.End(syscall.SIGTERM)
	signer.End(syscall.SIGTERM)

	u := &earlierPolicy{s, t, s.Path("etc", "policy.toml")}
	u.storeEarlier()
	signer = s.Start("signer", "signer")
	s.Serve()
	s.WaitOnline(admin, agent, "press-1")
	const warning = "version 1 has parts that give nothing (1): run without \"as\", or a role that is too large for a pass"
	status, body, err := s.Ask("/readyz")
	if status != 200 || !strings.Contains(body, "warning: stored policy: "+warning) {
		t.Errorf("/readyz: got %d %q %v", status, body, err)
	}
	doctor := read(t, testenv.Finish(t, s.Command("doctor", "--config", s.Config, "--json")))
	doctor.want(t, "policy", "look", warning)
	if hint := doctor["policy"].Hint; !strings.Contains(hint, `Write run = { as = ["svc"], argv = [[`) {
		t.Errorf("doctor: got hint %q", hint)
	}
	if !strings.Contains(signer.Output(), "run has no") {
		t.Errorf("the signer does not log it:\n%s", signer.Output())
	}
	u.asRoot(tess)
	u.asOwn(tess, "shell:"+s.Login, "--login", s.Login)

	got := admin.Run("policy", "apply", u.file, "--reason", "again")
	if want := `role "look": run has no "as"`; got.Status != 1 || !strings.Contains(got.Err, want) {
		t.Errorf("the policy of then is applied again: got %+v, want …%s…", got, want)
	}
	u.write(fmt.Sprintf("run = { as = [%q], argv = [[\"/bin/uname\", \"-s\"]] }", s.Login))
	admin.Must("policy", "apply", u.file, "--reason", "with logins")
	if _, body, err := s.Ask("/readyz"); strings.Contains(body, "policy") {
		t.Errorf("/readyz after that: got %q %v", body, err)
	}
	u.asRoot(tess)
	u.asOwn(tess, "run:"+s.Login+" /bin/uname -s")
	diff := admin.Must("policy", "diff", "--from", "1", "--to", "2")
	for _, want := range []string{"- role look: The role look is to run exactly /bin/uname -s as any login",
		"+ role look: The role look is to run exactly /bin/uname -s as " + s.Login} {
		if !strings.Contains(diff, want) {
			t.Errorf("history: got %s, want %s", diff, want)
		}
	}
}

// earlierPolicy is a server whose policy has a role with an exact command.
type earlierPolicy struct {
	*testenv.Server
	t    *testing.T
	file string // of the policy
}

// write gives the policy's file a role look with this run, for everybody of technicians, and returns the text.
func (u *earlierPolicy) write(run string) string {
	u.t.Helper()
	raw, err := os.ReadFile(u.file)
	if err != nil {
		u.t.Fatal(err)
	}
	base, _, _ := strings.Cut(string(raw), "[role.look]")
	text := base + "[role.look]\nwhy = \"Look.\"\n" + run + "\n[[allow]]\nid = \"A2\"\nwhy = \"Technicians look.\"\n" +
		"who = [\"technicians\"]\nrole = \"look\"\ndevices = \"all\"\nhours = \"always\"\n"
	if err := os.WriteFile(u.file, []byte(text), 0o644); err != nil {
		u.t.Fatal(err)
	}
	return text
}

// storeEarlier puts the policy of an earlier release into the files of the stopped signer.
func (u *earlierPolicy) storeEarlier() {
	u.t.Helper()
	text := u.write(`run = [["/bin/uname", "-s"]]`)
	path := u.Path("signer", "state", "policy.json")
	raw, err := os.ReadFile(path)
	var p map[string]any
	if err == nil {
		err = json.Unmarshal(raw, &p)
	}
	if err != nil {
		u.t.Fatal(err)
	}
	p["files"].([]any)[0].(map[string]any)["text"] = text
	if raw, err = json.Marshal(p); err == nil {
		err = os.WriteFile(path, raw, 0o600)
	}
	if err != nil {
		u.t.Fatal(err)
	}
}

// asRoot wants the command refused as root.
func (u *earlierPolicy) asRoot(p *testenv.Person) {
	u.t.Helper()
	got := p.Run("shell", "--login", "root", "press-1", "--", "/bin/uname", "-s")
	if got.Status != 77 || got.Out != "" || !strings.Contains(got.Err, "You may not") {
		u.t.Errorf("the command as root: got %+v, want it refused", got)
	}
}

// asOwn wants the command to run as the login of the shell, by the action with this word.
func (u *earlierPolicy) asOwn(p *testenv.Person, action string, args ...string) {
	u.t.Helper()
	args = append(append([]string{"shell"}, args...), "press-1", "--", "/bin/uname", "-s")
	if got := p.Run(args...); got.Out != "Linux\n" || got.Status != 0 {
		u.t.Errorf("the command as %s: got %+v", u.Login, got)
	}
	var rows []struct{ Action string }
	if err := json.Unmarshal([]byte(p.Must("sessions", "list", "--json")), &rows); err != nil || len(rows) == 0 {
		u.t.Fatalf("got %d sessions, %v", len(rows), err)
	}
	if rows[0].Action != action {
		u.t.Errorf("the command ran by %q, want %q", rows[0].Action, action)
	}
}
