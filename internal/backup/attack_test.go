package backup

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/errkind"
)

// A signed entry that only the damaged log has would be signed a second time, with other content.
func TestADamagedLogIsNotReplacedByAShorterCopy(t *testing.T) {
	for name, lose := range map[string]func(h *house){
		"beside its published checkpoint": func(*house) {},
		"without any published checkpoint": func(h *house) {
			must(t, os.Remove(h.data("signer", "log", "checkpoint")))
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			h.grow(3)
			h.sign.Close()
			behind := h.path("behind")
			must(t, os.CopyFS(behind, os.DirFS(h.Ledger.SecondCopy)))
			h.reopen()
			h.grow(3)
			h.sign.Close()
			lose(h)
			path := h.data("signer", "log", "log.data")
			raw, err := os.ReadFile(path)
			must(t, err)
			raw[bytes.Index(raw, []byte("viewed"))] ^= 1
			must(t, os.WriteFile(path, raw, 0o600))
			back, err := Target{Config: h.Config, LogFrom: behind}.RestoreLog()
			if errkind.KindOf(err) != errkind.Conflict {
				t.Fatalf("got %+v, %v: want a refusal", back, err)
			}
			if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, raw) {
				t.Errorf("the log was changed: %v", err)
			}
			must(t, os.WriteFile(path, raw, 0o600))
			if back, err := (Target{Config: h.Config}).RestoreLog(); err != nil || back.Size != 7 {
				t.Errorf("from a copy that has everything: got %+v, %v", back, err)
			}
		})
	}
}

func TestACopyOfARecordingInTheBackupIsNeverReplaced(t *testing.T) {
	h := newHouse(t)
	file, end := h.record("whole")
	end()
	h.make(9)
	for _, name := range []string{file, strings.TrimSuffix(file, ".srec") + ".rk.age"} { // as by a damaged disk
		path := h.data("recordings", name)
		raw, err := os.ReadFile(path)
		must(t, err)
		raw[len(raw)/2] ^= 1
		must(t, os.WriteFile(path, raw, 0o600))
		must(t, os.Chtimes(path, time.Time{}, time.Now().Add(-time.Hour)))
	}
	for range 3 {
		h.make(9)
	}
	root, err := os.OpenRoot(archiveDir(h.to, Gateway))
	must(t, err)
	defer root.Close()
	all, err := sets(root)
	must(t, err)
	for _, set := range all {
		s, err := Open(h.to, Gateway, set)
		must(t, err)
		if found, err := s.Check(t.Context(), h.ids, nil); err != nil || len(found) > 0 {
			t.Errorf("%s: %v, %v", set, found, err)
		}
		s.Close()
	}
}

func TestADamagedCopyInTheBackupIsMadeAgainOnceItIsRemoved(t *testing.T) {
	h := newHouse(t)
	file, end := h.record("whole")
	end()
	h.make(9)
	pooled := filepath.Join(archiveDir(h.to, Gateway), "recordings", file)
	must(t, os.Remove(pooled))
	if g, _ := h.make(9); g.Copied != 1 {
		t.Errorf("got %+v", g)
	}
	if _, err := h.restore(h.ids); err != nil {
		t.Error(err)
	}
}

func TestAKeyThatIsALinkIsNotLeftOutSilently(t *testing.T) {
	h := newHouse(t)
	must(t, os.Rename(h.data("keys", "noise.key"), h.path("elsewhere.key")))
	must(t, os.Symlink(h.path("elsewhere.key"), h.data("keys", "noise.key")))
	r, err := Make(t.Context(), h.Config, Gateway, Options{To: h.to})
	if err == nil || !strings.Contains(err.Error(), "keys/noise.key") {
		t.Errorf("got %+v, %v: want the link named", r, err)
	}
}

func TestRecordingsBehindALinkAreNotLeftOutSilently(t *testing.T) {
	h := newHouse(t)
	_, end := h.record("one")
	end()
	h.stop()
	must(t, os.Rename(h.data("recordings"), h.path("big-disk")))
	must(t, os.Symlink(h.path("big-disk"), h.data("recordings")))
	r, err := Make(t.Context(), h.Config, Gateway, Options{To: h.to})
	if err == nil || !strings.Contains(err.Error(), "recordings") {
		t.Errorf("got %+v, %v: want the link named", r, err)
	}
}

func TestADataDirectoryMayBeALink(t *testing.T) {
	h := newHouse(t)
	must(t, os.Symlink(h.Site.DataDir, h.path("link")))
	h.Site.DataDir = h.path("link")
	_, end := h.record("one")
	end()
	if g, _ := h.make(1); g.Copied != 3 {
		t.Errorf("got %+v", g)
	}
}

func TestAHalfRestoredDirectoryIsNotBackedUp(t *testing.T) {
	h := newHouse(t)
	must(t, os.Mkdir(h.data(restoring), 0o700))
	for _, k := range []Kind{Gateway, Signer} {
		if r, err := Make(t.Context(), h.Config, k, Options{To: h.to}); errkind.KindOf(err) != errkind.Conflict {
			t.Errorf("%s: got %+v, %v", k, r, err)
		}
	}
}

func TestASetThatWasJustMadeIsNotRemoved(t *testing.T) {
	h := newHouse(t)
	g, _ := h.make(1)
	dir := filepath.Join(archiveDir(h.to, Gateway), setsDir)
	must(t, os.Rename(filepath.Join(dir, g.Set), filepath.Join(dir, "29991231T000000.000Z"))) // a clock was wrong
	g, _ = h.make(1)
	if _, err := os.Stat(filepath.Join(dir, g.Set)); err != nil {
		t.Error(err)
	}
}

func TestTwoBackupsToTwoPlacesLeaveEachOthersSnapshotAlone(t *testing.T) {
	h := newHouse(t)
	running, err := makeTemp(h.Site.DataDir)
	must(t, err)
	crashed, err := makeTemp(h.Site.DataDir)
	must(t, err)
	must(t, crashed.lock.Close()) // as the kernel does when a process is killed
	h.make(1)
	if _, err := os.Stat(running.dir); err != nil {
		t.Errorf("that of a backup that runs: %v", err)
	}
	if _, err := os.Stat(crashed.dir); err == nil {
		t.Error("that of a backup that was killed is still there")
	}
	running.remove()
}
