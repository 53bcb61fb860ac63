package backup

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"
)

// TestTheFirstCheckpointIsWaitedFor because a log publishes a moment after it has written.
func TestTheFirstCheckpointIsWaitedFor(t *testing.T) {
	path := filepath.Join(t.TempDir(), "checkpoint")
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		if _, err := published(t.Context(), path); !errors.Is(err, fs.ErrNotExist) || time.Since(began) < stampWait {
			t.Errorf("got %v after %s, want that it is missing, after %s", err, time.Since(began), stampWait)
		}
		time.AfterFunc(stampWait/2, func() {
			if err := errors.Join(os.WriteFile(path+".new", []byte("note"), 0o600), os.Rename(path+".new", path)); err != nil { // as a log does
				t.Error(err)
			}
		})
		if note, err := published(t.Context(), path); err != nil || string(note) != "note" {
			t.Errorf("got %q, %v, want the note", note, err)
		}
	})
}
