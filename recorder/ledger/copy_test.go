package ledger

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestADamagedCopyIsNotAShorterOne: a copy may end in the middle of a write. If a record is damaged and signed entries
// follow, then it is not a log that is behind.
func TestADamagedCopyIsNotAShorterOne(t *testing.T) {
	l, dir, _, v := newLog(t)
	for i := range 5 {
		add(t, l, entry("viewed", fmt.Sprint("body ", i)))
	}
	path := filepath.Join(dir, dataFile)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	read := func(raw []byte) (*Copy, error) {
		if err := os.WriteFile(path, raw, 0o600); err != nil {
			t.Fatal(err)
		}
		return OpenCopy(dir, v)
	}
	if c, err := read(whole[:len(whole)-1]); err != nil || c.Head.Size != 4 {
		t.Errorf("a torn last checkpoint: got %v, want a copy of 4 entries", err)
	}
	if c, err := read(append(bytes.Clone(whole), 0, 0, 0)); err != nil || c.Head.Size != 5 {
		t.Errorf("torn bytes after the last checkpoint: got %v, want a copy of 5 entries", err)
	}
	for _, body := range []string{"body 0", "body 2", "body 3"} {
		bad := bytes.Clone(whole)
		bad[bytes.Index(bad, []byte(body))] ^= 1
		if _, err := read(bad); err == nil || !strings.Contains(err.Error(), "damaged and signed entries follow") {
			t.Errorf("a changed byte of %q: got %v, want a fault", body, err)
		}
	}
}
