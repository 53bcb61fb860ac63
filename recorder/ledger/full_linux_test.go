package ledger

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sallyport/sallyport/internal/errkind"
)

func TestAFullDiskRefusesEntriesAndTheLogGoesOnWhenThereIsSpace(t *testing.T) {
	if !inChild(t) {
		return
	}
	l, dir, s, _ := newLog(t)
	before := uint64(0)
	for l.end < 256<<10 {
		before = add(t, l, entry("viewed", strings.Repeat("before", 2<<10))).Index + 1
	}
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
	if r := add(t, l, entry("viewed", "after")); r.Index != before {
		t.Errorf("got index %d, want %d", r.Index, before)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := Open(dir, s)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if got := again.Head().Size; got != before+1 {
		t.Errorf("got size %d, want %d", got, before+1)
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

// inChild reports whether this is a process of its own for the calling test. If not, it runs the test in one: a limit is
// the whole process's, and go test writes files too.
func inChild(t *testing.T) bool {
	t.Helper()
	const mark = "LEDGER_TEST_ALONE"
	if os.Getenv(mark) != "" {
		return true
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), mark+"=1")
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("%v\n%s", err, out)
	}
	return false
}
