package backup

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A writer to the backup's disk, such as its file server, puts links there. A backup that followed them would overwrite
// the gateway's own files.
func TestABackupWritesNothingThroughALinkOnItsDisk(t *testing.T) {
	for name, plant := range map[string]func(h *house, archive, file, target string) error{
		"in place of a half-written recording": func(h *house, archive, file, target string) error {
			return os.Symlink(h.data("gateway.db"), filepath.Join(archive, recordingsDir, file)+partSuffix)
		},
		"in place of the directory of recordings": func(h *house, archive, _, target string) error {
			return replace(filepath.Join(archive, recordingsDir), target)
		},
		"in place of the directory of sets": func(h *house, archive, _, target string) error {
			return replace(filepath.Join(archive, setsDir), target)
		},
		"in place of the lock": func(h *house, archive, _, target string) error {
			return replace(filepath.Join(archive, lockName), filepath.Join(target, "made"))
		},
		"in place of the archive": func(h *house, archive, _, target string) error { return replace(archive, target) },
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			file, end := h.record("one")
			h.make(9)
			end() // the next backup copies it to a place whose name is known
			target := h.path("target")
			must(t, os.MkdirAll(filepath.Join(target, "kept"+partSuffix), 0o700))
			before, err := os.Stat(h.data("gateway.db"))
			must(t, err)
			archive := archiveDir(h.to, Gateway)
			must(t, os.MkdirAll(filepath.Dir(filepath.Join(archive, recordingsDir, file)), 0o700))
			must(t, plant(h, archive, file, target))
			_, err = Make(t.Context(), h.Config, Gateway, Options{To: h.to, Keep: 9})
			t.Logf("the backup: %v", err)
			after, err := os.Stat(h.data("gateway.db"))
			must(t, err)
			if after.Size() != before.Size() || !after.ModTime().Equal(before.ModTime()) {
				t.Errorf("the database was written to: %d bytes, %d before", after.Size(), before.Size())
			}
			left, err := os.ReadDir(target)
			if err != nil || len(left) != 1 || left[0].Name() != "kept"+partSuffix {
				t.Errorf("got %v, %v behind the link, want only what was there", left, err)
			}
		})
	}
}

// replace puts a link in place of a file or directory.
func replace(path, target string) error {
	if err := os.RemoveAll(path); err != nil {
		return err
	}
	return os.Symlink(target, path)
}

func TestAFIFOInABackupKeepsNobodyWaiting(t *testing.T) {
	for name, at := range map[string]string{"the archive": "", "the sets": setsDir, "the backup itself": ".."} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			h.make(1)
			path := filepath.Join(archiveDir(h.to, Gateway), at)
			must(t, os.RemoveAll(path))
			must(t, unix.Mkfifo(path, 0o600))
			for what, act := range map[string]func() error{
				"a look":   func() error { _, err := Newest(h.to, Gateway); return err },
				"a backup": func() error { _, err := Make(t.Context(), h.Config, Gateway, Options{To: h.to}); return err },
			} {
				done := make(chan error, 1)
				go func() { done <- act() }()
				select {
				case err := <-done:
					if err == nil || strings.Contains(err.Error(), "there is no complete backup") {
						t.Errorf("%s: got %v, want the FIFO refused", what, err)
					}
				case <-time.After(time.Minute):
					t.Fatalf("%s waits for a writer", what)
				}
			}
		})
	}
}

// The file lies in a directory of the gateway's user, and doctor reads it as root.
func TestAFIFOInPlaceOfTheLastBackupKeepsNobodyWaiting(t *testing.T) {
	h := newHouse(t)
	must(t, unix.Mkfifo(h.data(lastName), 0o600))
	done := make(chan error, 1)
	go func() { _, err := ReadLast(h.Config, Gateway); done <- err }()
	select {
	case err := <-done:
		if err == nil {
			t.Error("got no error")
		}
	case <-time.After(time.Minute):
		t.Fatal("it waits for a writer")
	}
	h.make(1)
	if l, err := ReadLast(h.Config, Gateway); err != nil || l == nil {
		t.Errorf("after the next backup: got %+v, %v", l, err)
	}
}
