package writer

import (
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

// smallVolume mounts a file system of a given size. Who may not mount gets an ordinary directory whose
// process may not write larger files, which a session's file meets like a full disk.
func smallVolume(t *testing.T, size int64) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "mode=0700,size="+strconv.FormatInt(size, 10)); err != nil {
		t.Logf("no file system of its own: %v", err)
		limitFiles(t, uint64(size)/2)
		return dir
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
		}
	})
	return dir
}

// limitFiles is RLIMIT_FSIZE for the time of a test.
func limitFiles(t *testing.T, size uint64) {
	t.Helper()
	var old unix.Rlimit
	must(t, unix.Getrlimit(unix.RLIMIT_FSIZE, &old))
	must(t, unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: size, Max: old.Max}))
	t.Cleanup(func() { must(t, unix.Setrlimit(unix.RLIMIT_FSIZE, &old)) })
}
