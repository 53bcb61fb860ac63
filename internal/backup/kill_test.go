package backup

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/config"
)

// backupChild names the environment variable that makes this test binary a process which only makes a backup.
const backupChild = "SALLYPORT_TEST_BACKUP"

func TestMain(m *testing.M) {
	if task := os.Getenv(backupChild); task != "" {
		os.Exit(makeInChild(task))
	}
	os.Exit(m.Run())
}

func makeInChild(task string) int {
	var in childTask
	if err := json.Unmarshal([]byte(task), &in); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	for _, k := range []Kind{Gateway, Signer} {
		if _, err := Make(context.Background(), in.config(), k, Options{To: in.To, Keep: 2}); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return 0
}

type childTask struct {
	Data, Origin, To               string
	Readers, Unsealers, Recipients config.Words
}

func (t childTask) config() *config.Config {
	c := &config.Config{}
	c.Site.DataDir, c.Ledger.Origin, c.Backup.Recipients = t.Data, t.Origin, t.Recipients
	c.Recording.ReadersFiles, c.Recording.UnsealersFiles = t.Readers, t.Unsealers
	return c
}

// child is a process that makes both archives.
func (h *house) child() *exec.Cmd {
	h.t.Helper()
	task, err := json.Marshal(childTask{
		Data:       h.Site.DataDir,
		Origin:     h.Ledger.Origin,
		To:         h.to,
		Readers:    h.Recording.ReadersFiles,
		Unsealers:  h.Recording.UnsealersFiles,
		Recipients: h.Backup.Recipients,
	})
	must(h.t, err)
	cmd := exec.CommandContext(h.t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), backupChild+"="+string(task))
	cmd.Stderr = h.t.Output()
	return cmd
}

// kills bounds how many backups the test kills; each takes about 100 ms.
const kills = 10

func TestABackupThatIsKilledAtAnyTimeLeavesOnlyCompleteSets(t *testing.T) {
	h := newHouse(t)
	_, end := h.record("open")
	defer end()
	began := time.Now()
	must(t, h.child().Run())
	takes := time.Since(began)
	for range kills {
		_, close := h.record("closed")
		close()
		h.grow(1)
		cmd := h.child()
		must(t, cmd.Start())
		time.Sleep(rand.N(takes)) // the moment of the kill is what varies
		must(t, cmd.Process.Kill())
		cmd.Wait()
		h.wantWhole()
	}
	h.afterKills()
}

// A crash may come before or after each system call that renames or removes a file.
func TestABackupThatIsKilledBeforeARenameOrRemovalLeavesOnlyCompleteSets(t *testing.T) {
	h := newHouse(t)
	_, end := h.record("open")
	defer end()
	for range 3 { // so that the next one removes a set
		must(t, h.child().Run())
	}
	for _, call := range []string{"renameat", "unlinkat"} {
		n := 1
		for ; n < 50 && !h.killedBefore(call, n); n++ {
			h.wantWhole()
		}
		if n < 4 {
			t.Errorf("%s: killed %d backups, want one at each of several calls", call, n-1)
		}
	}
	h.afterKills()
}

// killedBefore runs a backup that is killed when it makes a system call for the nth time. done means that the backup
// finished, with fewer such calls.
func (h *house) killedBefore(call string, n int) (done bool) {
	h.t.Helper()
	cmd := h.child()
	cmd.Args = append([]string{"strace", "-f", "-qq", "-o", os.DevNull, "-e", "trace=" + call, "-e",
		fmt.Sprintf("inject=%s:signal=SIGKILL:when=%d", call, n), "--"}, cmd.Args...)
	var err error
	if cmd.Path, err = exec.LookPath("strace"); err != nil {
		h.t.Fatalf("%v; `make setup` installs it", err)
	}
	return cmd.Run() == nil
}

// afterKills makes one more backup, which must remove what the killed ones left, and restores it.
func (h *house) afterKills() {
	t := h.t
	t.Helper()
	must(t, h.child().Run())
	h.wantWhole()
	left, _ := filepath.Glob(filepath.Join(h.to, "*", setsDir, "*"+partSuffix))
	for _, pattern := range []string{tempPrefix + "*", "*.new", "signer/*.new"} {
		more, _ := filepath.Glob(h.data(pattern))
		left = append(left, more...)
	}
	if len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	data, err := h.restore(h.ids)
	must(t, err)
	rows(t, filepath.Join(data, "gateway.db"))
	must(t, filepath.WalkDir(h.data("recordings"), func(path string, d os.DirEntry, err error) error {
		if err == nil && (filepath.Ext(path) == ".age" || filepath.Ext(path) == ".srec") {
			name, _ := filepath.Rel(h.Site.DataDir, path)
			same(t, path, filepath.Join(data, name))
		}
		return err
	}))
}

// wantWhole checks every set that looks complete.
func (h *house) wantWhole() {
	h.t.Helper()
	for _, k := range []Kind{Gateway, Signer} {
		root, err := os.OpenRoot(archiveDir(h.to, k))
		must(h.t, err)
		all, err := sets(root)
		root.Close()
		must(h.t, err)
		for _, set := range all {
			s, err := Open(h.to, k, set)
			if err != nil {
				h.t.Errorf("%s %s: %v", k, set, err)
				continue
			}
			if found, err := s.Check(h.t.Context(), h.ids, nil); err != nil || len(found) > 0 {
				h.t.Errorf("%s %s: %v %v", k, set, found, err)
			}
			s.Close()
		}
	}
}
