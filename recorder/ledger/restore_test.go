package ledger

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/errkind"
)

// copied makes a log of n entries with a second copy, and closes it.
func copied(t *testing.T, n int) (dir, second, verifier string, head Checkpoint, reopen func() (*Log, error)) {
	t.Helper()
	s, verifier := newKey(t)
	dir, second = filepath.Join(t.TempDir(), "log"), filepath.Join(t.TempDir(), "second")
	l, err := Create(dir, origin, s, second)
	if err != nil {
		t.Fatal(err)
	}
	for range n {
		add(t, l, entry("viewed", "a body"))
	}
	head = l.Head()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return dir, second, verifier, head, func() (*Log, error) { return Open(dir, s, second) }
}

func TestALostLogGoesOnFromItsCopy(t *testing.T) {
	dir, second, verifier, head, reopen := copied(t, 300)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	got, err := Restore(second, dir, verifier, head)
	if err != nil || got.Size != 300 || got.Root != head.Root {
		t.Fatalf("got %+v, %v", got, err)
	}
	l, err := reopen()
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if r := add(t, l, entry("viewed", "after")); r.Index != 300 {
		t.Errorf("got index %d, want 300", r.Index)
	}
	if _, _, body, err := l.Entry(7); err != nil || string(body) != "a body" {
		t.Errorf("entry 7: got %q, %v", body, err)
	}
	if err := l.Behind(); err != nil {
		t.Error(err)
	}
}

func TestACopyThatWasChangedIsNotRestored(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(t *testing.T, second string)
		want  string
	}{
		"a flipped byte in a body": {func(t *testing.T, second string) { flip(t, mirrorPath(second), "a body") },
			"it shrank"},
		"no data file": {func(t *testing.T, second string) { remove(t, mirrorPath(second)) },
			"only this file can restore the log"},
		"a link": {func(t *testing.T, second string) {
			path := mirrorPath(second)
			if err := os.Rename(path, path+".x"); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(path+".x", path); err != nil {
				t.Fatal(err)
			}
		}, "not a regular file"},
		"cut short, with a checkpoint of more beside it": {func(t *testing.T, second string) {
			path := mirrorPath(second)
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.Truncate(path, info.Size()-1); err != nil {
				t.Fatal(err)
			}
		}, "it shrank"},
	} {
		t.Run(name, func(t *testing.T) {
			dir, second, verifier, head, _ := copied(t, 20)
			remove(t, dir)
			c.spoil(t, second)
			_, err := Restore(second, dir, verifier, head)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want …%s…", err, c.want)
			}
			if _, err := os.Stat(filepath.Join(dir, dataFile)); err == nil {
				t.Error("a log was put in place all the same")
			}
		})
	}
}

func TestALogIsNeverOverwrittenOrReplacedByAnOlderOne(t *testing.T) {
	dir, second, verifier, head, _ := copied(t, 20)
	if _, err := Restore(second, dir, verifier); errkind.KindOf(err) != errkind.Conflict {
		t.Errorf("over a log that is there: got %v", err)
	}
	remove(t, dir)
	head.Size++
	if _, err := Restore(second, dir, verifier, head); err == nil || !strings.Contains(err.Error(), "it shrank") {
		t.Errorf("shorter than what was seen: got %v", err)
	}
}

func TestNoLogBeginsWhereItsCopyShowsOne(t *testing.T) {
	dir, second, _, _, _ := copied(t, 3)
	remove(t, dir)
	s, _ := newKey(t)
	if _, err := Create(dir, origin, s, second); errkind.KindOf(err) != errkind.Conflict {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, dataFile)); err == nil {
		t.Error("it left a log behind")
	}
}

func TestADamagedCopyIsWrittenAgainAndANewerOneStopsTheLog(t *testing.T) {
	dir, second, verifier, _, reopen := copied(t, 20)
	old := filepath.Join(t.TempDir(), "old")
	if err := os.CopyFS(old, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	flip(t, mirrorPath(second), "a body")
	l, err := reopen()
	if err != nil {
		t.Fatal(err)
	}
	add(t, l, entry("viewed", "newer"))
	for end := time.Now().Add(time.Minute); l.Behind() != nil && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	remove(t, dir)
	if err := os.CopyFS(dir, os.DirFS(old)); err != nil {
		t.Fatal(err)
	}
	remove(t, filepath.Join(second, "checkpoint")) // the data file alone must do
	if _, err := reopen(); errkind.KindOf(err) != errkind.Conflict || !strings.Contains(err.Error(), "rolled back") {
		t.Errorf("an older log beside a newer copy: got %v", err)
	}
	remove(t, dir)
	if head, err := Restore(second, dir, verifier); err != nil || head.Size != 21 {
		t.Errorf("got %+v, %v", head, err)
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
}

// flip changes one bit at the first occurrence of text in a file.
func flip(t *testing.T, path, text string) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	at := strings.Index(string(raw), text)
	if at < 0 {
		t.Fatalf("%s has no %q", path, text)
	}
	raw[at] ^= 1
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
}

// A directory below a mount point that is not mounted is not the copy. Entries hold names: they must not be written
// there.
func TestNothingIsWrittenWhereACopyWasUnmounted(t *testing.T) {
	dir, second, _, _, reopen := copied(t, 3)
	l, err := reopen()
	if err != nil {
		t.Fatal(err)
	}
	add(t, l, entry("viewed", "while it is there"))
	for end := time.Now().Add(time.Minute); l.pub.size(1) < 4 && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	if err := os.Rename(second, second+".unmounted"); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(second, 0o755); err != nil {
		t.Fatal(err)
	}
	add(t, l, entry("viewed", "secret"))
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(second); err != nil || len(left) > 0 {
		t.Errorf("got %v, %v: something of %s was written below the mount point", left, err, dir)
	}
}
