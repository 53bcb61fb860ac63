package ledger

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sallyport/sallyport/internal/errkind"
)

func TestAFullDiskRefusesEntriesAndTheLogGoesOnWhenThereIsSpace(t *testing.T) {
	l, dir, s, _ := newLog(t)
	add(t, l, entry("viewed", "before"))
	whole := l.end
	lift := limitFiles(t, uint64(whole)+100) // so that a part of the batch is written
	_, err := l.Append(t.Context(), entry("viewed", "does not fit"))
	lift()
	if errkind.KindOf(err) != errkind.Unavailable {
		t.Fatalf("got %v, want unavailable", err)
	}
	if info, _ := os.Stat(filepath.Join(dir, dataFile)); info.Size() != whole {
		t.Errorf("got a file of %d bytes, want %d: a part of what was refused stays", info.Size(), whole)
	}
	if r := add(t, l, entry("viewed", "after")); r.Index != 1 {
		t.Errorf("got index %d, want 1", r.Index)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := Open(dir, s)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if got := again.Head().Size; got != 2 {
		t.Errorf("got size %d, want 2", got)
	}
}

// limitFiles is RLIMIT_FSIZE until lift: a write beyond it is cut short and fails with EFBIG, as on a full disk.
func limitFiles(t *testing.T, size uint64) (lift func()) {
	t.Helper()
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	set := func(cur uint64) {
		if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: cur, Max: old.Max}); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(func() { set(old.Cur) })
	set(size)
	return func() { set(old.Cur) }
}
