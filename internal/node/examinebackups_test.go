package node

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/backup"
)

func TestDoctorSaysHowOldTheLastCompleteBackupIs(t *testing.T) {
	k := newRestorable(t)
	c := k.opt.Config
	want := func(what string, now time.Time, state, text string) {
		t.Helper()
		for _, kind := range []backup.Kind{backup.Gateway, backup.Signer} {
			got, err := lastBackup(c, kind, now)
			is := OK
			if errors.As(err, new(weakness)) {
				is, got = Weak, err.Error()
			} else if err != nil {
				is, got = Look, err.Error()
			}
			if is != state || !strings.Contains(got, text) {
				t.Errorf("%s: %s: got %s, %s, want %s, …%s…", what, kind, is, got, state, text)
			}
		}
	}
	want("before the first", time.Now(), Weak, "none was made")
	k.backup(func() {})
	now := time.Now()
	want("just made", now, OK, "0 min ago")
	want("made by a clock that is ahead", now.Add(-30*time.Minute), OK, "0 min ago")
	ages := func(what string, now time.Time, most float64) {
		t.Helper()
		all := backupAges(c, now)
		for _, kind := range []backup.Kind{backup.Gateway, backup.Signer} {
			if age, ok := all[kind]; !ok || age < 0 || (age > 172800) != (most > 172800) {
				t.Errorf("%s: %s: got an age of %v s, %t", what, kind, age, ok)
			}
		}
	}
	ages("just made", now, 60)
	ages("made by a clock that is ahead", now.Add(-30*time.Minute), 60)
	ages("made under a wrong clock", now.Add(-3*time.Hour), math.Inf(1))
	want("a night later", now.Add(47*time.Hour), OK, "47 h ago")
	want("after two nights without one", now.Add(49*time.Hour), Weak, "49 h ago")
	want("made under a wrong clock", now.Add(-3*time.Hour), Weak, "in the future")
	manifests, _ := filepath.Glob(filepath.Join(k.to, "*", "sets", "*", "manifest.json"))
	for _, path := range manifests {
		k.must(os.Truncate(path, 10))
	}
	want("damaged", now, Look, "is damaged")
	k.must(os.RemoveAll(k.to))
	want("the disk was replaced", now, Weak, "cannot be read")
	for _, path := range []string{k.path("last-backup.json"), k.path("signer", "last-backup.json")} {
		k.must(os.Truncate(path, 10))
	}
	want("damaged note", now, Weak, "not known")
	ages("damaged note", now, math.Inf(1))
}

func TestDoctorSaysThatABackupKeyCannotBeRead(t *testing.T) {
	k := newRestorable(t)
	found := func() (keys []Finding) {
		e := examination{c: k.opt.Config}
		e.backups()
		for _, f := range e.out {
			if f.What == "backup keys" {
				keys = append(keys, f)
			}
		}
		return keys
	}
	if got := found(); got != nil {
		t.Errorf("with the key: got %+v", got)
	}
	k.must(os.Remove(k.opt.Config.Backup.Recipients[0]))
	got := found()
	if len(got) != 1 || got[0].State != Weak || !strings.Contains(got[0].Text, k.opt.Config.Backup.Recipients[0]) ||
		!strings.Contains(got[0].Hint, "age-keygen") {
		t.Errorf("without the key: got %+v", got)
	}
}
