package ledger

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestNothingIsWrittenWhereACopysDiskWasUnmounted moves the directory of the copy away, as an unmount does, and back.
func TestNothingIsWrittenWhereACopysDiskWasUnmounted(t *testing.T) {
	second := filepath.Join(t.TempDir(), "copy")
	l, _, _, _ := newLog(t, second)
	eventually := func(what string, behind bool) {
		t.Helper()
		for end := time.Now().Add(time.Minute); (l.Behind() != nil) != behind; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s: got %v", what, l.Behind())
			}
		}
	}
	add(t, l, entry("viewed", "first"))
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) { // not the checkpoint of the empty log
		raw, err := os.ReadFile(filepath.Join(second, "checkpoint"))
		if strings.HasPrefix(string(raw), origin+"\n1\n") {
			break
		} else if time.Now().After(end) {
			t.Fatalf("got %q, %v; want the checkpoint of one entry", raw, err)
		}
	}
	if err := os.Rename(second, second+".away"); err != nil {
		t.Fatal(err)
	}
	add(t, l, entry("viewed", "meanwhile"))
	eventually("the copy is behind", true)
	if _, err := os.Stat(second); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the directory was made anew: %v", err)
	}
	os.RemoveAll(second)
	if err := os.Rename(second+".away", second); err != nil {
		t.Fatal(err)
	}
	add(t, l, entry("viewed", "back"))
	eventually("the copy has everything again", false)
}
