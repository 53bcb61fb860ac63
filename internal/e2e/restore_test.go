package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"filippo.io/age"

	"github.com/sallyport/sallyport/internal/signer"
	"github.com/sallyport/sallyport/internal/testenv"
)

// rehearsal is an installation with its signer apart, a second copy of its log and a place for backups of each user.
type rehearsal struct {
	*apart
	admin, tess *testenv.Person
	agent       *testenv.Process
	job         token
}

func newRehearsal(t *testing.T) *rehearsal {
	k := &rehearsal{apart: newApart(t)}
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	for path, text := range map[string]string{k.Path("etc", "backup.age"): id.Recipient().String(), k.Path("etc",
		"backup-key.txt"): id.String()} {
		if err := os.WriteFile(path, []byte(text+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for dir, owner := range map[string]int{"copy": signerUID, "of-gateway": gatewayUID, "of-signer": signerUID} {
		os.Mkdir(k.Path(dir), 0o700)
		if k.root {
			os.Chown(k.Path(dir), owner, owner)
		}
	}
	k.Text += fmt.Sprintf("[ledger]\nsecond_copy = %q\n[backup]\nrecipients = [%q]\n", k.Path("copy"), k.Path("etc",
		"backup.age"))
	k.Write()
	k.start()
	k.AddUser("ada", "administrators")
	k.AddUser("tess", "technicians")
	k.AddUser("otto", "compliance")
	k.admin, k.tess = k.Person("ada"), k.Person("tess")
	k.agent = k.Join(k.admin, "press-1", "--ca", k.CA())
	k.job = newToken(t, k.tess)
	return k
}

func (k *rehearsal) start() {
	k.startSigner()
	k.gateway = k.Serve(k.as(gatewayUID))
}

// run runs one of the server's commands as a user.
func (k *rehearsal) run(uid uint32, args ...string) testenv.Result {
	k.t.Helper()
	cmd := k.Command(append(args, "--config", k.Config)...)
	k.as(uid)(cmd)
	return testenv.Finish(k.t, cmd)
}

func (k *rehearsal) must(uid uint32, args ...string) string {
	k.t.Helper()
	got := k.run(uid, args...)
	if got.Status != 0 {
		k.t.Fatalf("%v: %+v", args, got)
	}
	return got.Out
}

func (k *rehearsal) backup() {
	k.t.Helper()
	for _, out := range []string{k.must(gatewayUID, "backup", "--to", k.Path("of-gateway"), "--json"), k.must(signerUID,
		"backup", "--signer", "--to", k.Path("of-signer"), "--json")} {
		if strings.Contains(out,
			"unnamed") { // a file that appears in a data directory needs a rule in internal/backup/rules.go
			k.t.Errorf("files that no rule of the backup names: %s", out)
		}
	}
	// A hint to make the directory anew would take it from the gateway's user.
	got := k.run(signerUID, "backup", "--signer", "--to", k.Path("of-gateway"))
	if got.Status != 2 || !strings.Contains(got.Err, "name the one for the signer") || strings.Contains(got.Err, "install -d") {
		k.t.Errorf("the signer's backup into the gateway's directory: got %+v", got)
	}
}

// restoreWithout restores both archives after the recording of a session was lost in the gateway's.
func (k *rehearsal) restoreWithout(t *testing.T, session string) {
	found, err := filepath.Glob(k.Path("of-gateway", "gateway", "recordings", "*", "*", "*", session+".srec"))
	if err != nil || len(found) != 1 {
		t.Fatalf("the recording of %s: got %v, %v", session, found, err)
	}
	if err := os.Remove(found[0]); err != nil {
		t.Fatal(err)
	}
	k.must(signerUID, "restore", "--signer", "--from", k.Path("of-signer"), "--identity", k.Path("etc", "backup-key.txt"))
	k.startTooEarly(t)
	args := []string{"restore", "--from", k.Path("of-gateway"), "--identity", k.Path("etc", "backup-key.txt")}
	if got := k.run(gatewayUID, args...); got.Status != 1 || !strings.Contains(got.Err, "--without-damaged-recordings") {
		t.Errorf("without the option: got %+v", got)
	}
	got := k.run(gatewayUID, append(args, "--without-damaged-recordings")...)
	if got.Status != 3 || !strings.Contains(got.Out, "LEFT OUT recordings/") || !strings.Contains(got.Out, session) {
		t.Fatalf("got %+v, want the recording listed and status 3", got)
	}
}

// startTooEarly starts the gateway before its restore. What it leaves is moved away by the command that restore prints.
func (k *rehearsal) startTooEarly(t *testing.T) {
	k.startSigner()
	early := k.Start("early", "serve", k.as(gatewayUID))
	if status := early.Wait(); status != 77 || !strings.Contains(early.Output(), "Noise key is not the one") {
		t.Errorf("a start before the restore: got %d %s", status, early.Output())
	}
	k.signer.End(syscall.SIGTERM)
	got := k.run(gatewayUID, "restore", "--from", k.Path("of-gateway"), "--identity", k.Path("etc", "backup-key.txt"))
	_, command, _ := strings.Cut(got.Err, "`")
	command, _, _ = strings.Cut(command, "`")
	if got.Status != 1 || !strings.Contains(got.Err, "gateway.db") || command == "" {
		t.Fatalf("a restore after it: got %+v", got)
	}
	if got := testenv.Finish(t, exec.Command("sh", "-ec", command)); got.Status != 0 {
		t.Fatalf("%s: %+v", command, got)
	}
}

// lose kills both processes and empties both directories.
func (k *rehearsal) lose() {
	k.t.Helper()
	k.gateway.End(syscall.SIGKILL)
	k.signer.End(syscall.SIGKILL)
	wipe(k.t, k.Path("data"))
	wipe(k.t, k.Path("signer"))
}

func wipe(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		if err == nil {
			err = os.RemoveAll(filepath.Join(dir, e.Name()))
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}

// lasts opens a shell that goes on until the gateway ends it.
func (k *rehearsal) lasts(t *testing.T) (end func()) {
	t.Helper()
	cmd := k.tess.Command(t.Context(), "shell", "press-1", "--", "sh", "-c", "echo be''gun; sleep 100")
	var out, errs screen
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	out.wait(t, "begun")
	return func() { cmd.Wait() }
}

func (k *rehearsal) sessions(t *testing.T) (ids []string) {
	t.Helper()
	var rows []struct{ ID string }
	if err := json.Unmarshal([]byte(k.tess.Must("sessions", "list", "--json")), &rows); err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		ids = append(ids, r.ID)
	}
	return ids
}

func TestAWipedInstallationIsRestoredAndItsLogGoesOn(t *testing.T) {
	t.Parallel()
	k := newRehearsal(t)
	if got := k.job.run(t, "shell", "press-1", "--", "echo", "recorded"); got.Out != "recorded\n" {
		t.Fatalf("got %+v", got)
	}
	old := k.sessions(t)[0]
	key, err := signer.LogKey(k.Path("signer"))
	if err != nil {
		t.Fatal(err)
	}
	saved := filepath.Join(t.TempDir(), "checkpoint")
	if err := os.WriteFile(saved, []byte(k.admin.Must("log", "checkpoint")), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := k.tess.Run("shell", "press-1", "--", "echo", "damaged in the backup"); got.Status != 0 {
		t.Fatalf("got %+v", got)
	}
	damaged := k.sessions(t)[0]
	ended, revoked := k.lasts(t), newToken(t, k.tess)
	k.backup()
	var again []struct{ Copied, Kept, Running int }
	if err := json.Unmarshal([]byte(k.must(gatewayUID, "backup", "--to", k.Path("of-gateway"), "--json")),
		&again); err != nil {
		t.Fatal(err)
	}
	if r := again[0]; r.Kept < 5 || r.Copied != 1 ||
		r.Running != 1 { // two slots and a container of the old one, two slots of the one that runs
		t.Errorf("a second backup: got %+v, want what runs alone", r)
	}
	nothingClear(t, k)
	if got := k.tess.Run("shell", "press-1", "--", "echo", "after the backup"); got.Status != 0 {
		t.Fatalf("got %+v", got)
	}
	lost := k.sessions(t)[0]
	k.tess.Must("token", "revoke", revoked.id)
	k.admin.Must("policy", "apply", k.Path("etc", "policy.toml"), "--reason", "after the backup")
	k.lose()
	ended()
	t.Run("a damaged backup and a wrong identity are refused by name", k.refused)
	t.Run("a damaged recording is left out by name", func(t *testing.T) { k.restoreWithout(t, damaged) })
	k.start()
	t.Run("devices come back and tokens work", func(t *testing.T) {
		k.admin = k.Person("ada")
		k.WaitOnline(k.admin, k.agent, "press-1")
		if got := k.job.run(t, "shell", "press-1", "--", "echo", "again"); got.Out != "again\n" {
			t.Errorf("got %+v\n%s", got, k.gateway.Output())
		}
		if got := revoked.run(t, "whoami"); got.Status != 1 {
			t.Errorf("a token that was revoked after the backup: got %+v", got)
		}
	})
	t.Run("old evidence holds against a checkpoint of before", func(t *testing.T) {
		if got := k.admin.Must("log", "consistency", saved); !strings.Contains(got,
			"holds everything of your checkpoint") {
			t.Errorf("got %q", got)
		}
		evidence := filepath.Join(t.TempDir(), "evidence")
		k.Person("otto").Must("sessions", "export", old, "--out", evidence)
		k.Eventually("the copy has the export's entry", k.gateway, func() error {
			got := testenv.Finish(t, exec.Command(filepath.Join(testenv.Binaries(t), "sallyport-verify"), "--log-key", key,
				"--checkpoint", saved, "--log", k.Path("copy"), evidence))
			switch got.Status {
			case 0:
			case 2: // the copy is still behind
				return errors.New(got.Err)
			default:
				t.Errorf("got %+v", got)
			}
			return nil
		})
	})
	t.Run("what only the log knows is named", func(t *testing.T) {
		if !strings.Contains(k.gateway.Output(), "a session is in the log and not in the database") ||
			!strings.Contains(k.gateway.Output(), lost) {
			t.Errorf("the session %s is not named:\n%s", lost, k.gateway.Output())
		}
		doctor := read(t, testenv.Finish(t, k.Command("doctor", "--config", k.Config, "--json")))
		doctor.want(t, "restored", "look", lost)
		doctor.want(t, "restored", "look", damaged+".srec")
		k.olderPolicy(t, doctor)
	})
}

// olderPolicy expects doctor and /readyz to name the policy that was applied after the backup, until one is applied
// again.
func (k *rehearsal) olderPolicy(t *testing.T, doctor found) {
	const text = "version 1 is in force, and the log names version 2"
	doctor.want(t, "policy", "look", text)
	if status, body, err := k.Ask("/readyz"); status != 200 || !strings.Contains(body, "warning: policy: "+text) {
		t.Errorf("/readyz: got %d %q %v", status, body, err)
	}
	k.admin.Must("policy", "apply", k.Path("etc", "policy.toml"), "--reason", "again")
	read(t, testenv.Finish(t, k.Command("doctor", "--config", k.Config, "--json"))).want(t, "policy", "ok", "read well")
	if _, body, err := k.Ask("/readyz"); strings.Contains(body, "policy") {
		t.Errorf("/readyz after that: got %q %v", body, err)
	}
}

// refused tries restores that must fail, and checks that they leave the directories unchanged.
func (k *rehearsal) refused(t *testing.T) {
	other, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	reader, err := os.ReadFile(k.Path("officer", "reader.txt"))
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{string(reader), other.String()} {
		path := k.Path("etc", "other.txt")
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		got := k.run(signerUID, "restore", "--signer", "--from", k.Path("of-signer"), "--identity", path)
		if got.Status != 77 || !strings.Contains(got.Err, "does not open") {
			t.Errorf("another identity: got %+v", got)
		}
	}
	sealed, err := filepath.Glob(k.Path("of-gateway", "gateway", "sets", "*", "database.age"))
	if err != nil || len(sealed) == 0 {
		t.Fatalf("no set: %v", err)
	}
	raw, err := os.ReadFile(sealed[len(sealed)-1])
	if err != nil {
		t.Fatal(err)
	}
	for what, spoil := range map[string]func() error{
		"its bytes are not those": func() error {
			return os.WriteFile(sealed[len(sealed)-1], append([]byte{raw[0] ^ 1}, raw[1:]...), 0o600)
		},
		"it is missing": func() error { return os.Remove(sealed[len(sealed)-1]) },
	} {
		if err := spoil(); err != nil {
			t.Fatal(err)
		}
		got := k.run(gatewayUID, "restore", "--from", k.Path("of-gateway"), "--identity", k.Path("etc", "backup-key.txt"))
		if got.Status != 1 || !strings.Contains(got.Err, "database.age") || !strings.Contains(got.Err, what) {
			t.Errorf("%s: got %+v", what, got)
		}
		if err := os.WriteFile(sealed[len(sealed)-1], raw, 0o600); err != nil {
			t.Fatal(err)
		}
		k.own("of-gateway", gatewayUID)
	}
}

// nothingClear searches both backups for keys, and the gateway's backup for people's names.
func nothingClear(t *testing.T, k *rehearsal) {
	t.Helper()
	key, err := os.ReadFile(k.Path("data", "keys", "noise.key"))
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"of-gateway", "of-signer"} {
		err := filepath.WalkDir(k.Path(dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			raw, err := os.ReadFile(path)
			for _, secret := range []string{string(key[:32]), "PRIVATE KEY", "SECRET-KEY", "SQLite format", "argon2id",
				"\"tess\""} {
				if strings.Contains(string(raw), secret) {
					t.Errorf("%s holds %q in the clear", path, secret)
				}
			}
			if info, _ := d.Info(); info != nil && info.Mode().Perm()&0o077 != 0 {
				t.Errorf("%s has mode %o", path, info.Mode().Perm())
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestAnOlderLogIsRefusedUntilTheNamedStepRestoresIt(t *testing.T) {
	t.Parallel()
	k := newRehearsal(t)
	k.signer.End(syscall.SIGTERM)
	old := filepath.Join(t.TempDir(), "log")
	if err := os.CopyFS(old, os.DirFS(k.Path("signer", "log"))); err != nil {
		t.Fatal(err)
	}
	k.startSigner()
	k.WaitReady(k.gateway)
	for range 2 {
		if got := k.job.run(t, "shell", "press-1", "--", "echo", "newer"); got.Status != 0 {
			t.Fatalf("got %+v", got)
		}
		k.backup()
	}
	k.gateway.End(syscall.SIGTERM)
	k.signer.End(syscall.SIGTERM)
	putOld := func() {
		t.Helper()
		wipe(t, k.Path("signer", "log"))
		if err := os.CopyFS(k.Path("signer", "log"), os.DirFS(old)); err != nil {
			t.Fatal(err)
		}
		k.own("signer", signerUID)
	}
	putOld()
	refused := k.Start("refused", "signer", k.as(signerUID))
	if status := refused.Wait(); status != 1 || !strings.Contains(refused.Output(), "the log was rolled back") ||
		!strings.Contains(refused.Output(), "sallyport restore --log --config FILE") {
		t.Fatalf("got %d %s", status, refused.Output())
	}
	k.must(signerUID, "restore", "--log")
	if got := k.run(signerUID, "restore", "--log"); got.Status == 0 ||
		!strings.Contains(got.Err, "nothing was changed") {
		t.Errorf("a second time: got %+v", got)
	}
	k.start()
	k.WaitOnline(k.admin, k.agent, "press-1")

	k.gateway.End(syscall.SIGTERM) // the gateway's own knowledge: the copy is as old as the log
	k.signer.End(syscall.SIGTERM)
	wipe(t, k.Path("data"))
	k.must(gatewayUID, "restore", "--from", k.Path("of-gateway"), "--identity", k.Path("etc", "backup-key.txt"))
	aside := k.Path("aside")
	if err := os.Rename(k.Path("copy"), aside); err != nil {
		t.Fatal(err)
	}
	os.Mkdir(k.Path("copy"), 0o700)
	k.own("copy", signerUID)
	putOld()
	k.startSigner()
	alone := k.Start("alone", "serve", k.as(gatewayUID))
	if status := alone.Wait(); status != 1 || !strings.Contains(alone.Output(), "so the gateway does not serve") ||
		!strings.Contains(alone.Output(), "sallyport restore --log --config FILE") {
		t.Fatalf("got %d %s", status, alone.Output())
	}
	k.signer.End(syscall.SIGTERM)
	wipe(t, k.Path("copy"))
	os.Remove(k.Path("copy"))
	if err := os.Rename(aside, k.Path("copy")); err != nil {
		t.Fatal(err)
	}
	k.must(signerUID, "restore", "--log")
	k.start()
	k.WaitOnline(k.Person("ada"), k.agent, "press-1")

	k.gateway.End(syscall.SIGTERM) // a gateway that has run makes no keys anew
	for _, name := range []string{"noise.key", "record.key", "archive.txt"} {
		path := k.Path("data", "keys", name)
		if err := os.Rename(path, path+".moved"); err != nil {
			t.Fatal(err)
		}
		p := k.Start("without-"+name, "serve", k.as(gatewayUID))
		if status := p.Wait(); status != 1 || !strings.Contains(p.Output(), name+" is missing") {
			t.Errorf("without %s: got %d %s", name, status, p.Output())
		}
		if err := os.Rename(path+".moved", path); err != nil {
			t.Fatal(err)
		}
	}
}

// own changes the owner of everything below a directory.
func (k *rehearsal) own(dir string, uid int) {
	k.t.Helper()
	if !k.root {
		return
	}
	err := filepath.WalkDir(k.Path(dir), func(path string, _ fs.DirEntry, err error) error {
		if err == nil {
			err = os.Lchown(path, uid, uid)
		}
		return err
	})
	if err != nil {
		k.t.Fatal(err)
	}
}
