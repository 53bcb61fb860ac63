package ledger

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// A writer to the copy's disk, such as its file server, puts links there. A signer that followed them would overwrite
// its own log or keys.
func TestACopyIsNotWrittenThroughALink(t *testing.T) {
	for name, plant := range map[string]func(copy, log string) error{
		"in place of a half-written checkpoint": func(copy, log string) error {
			return os.Symlink(filepath.Join(log, dataFile), filepath.Join(copy, "checkpoint.new"))
		},
		"in place of the data file": func(copy, log string) error {
			if err := os.Remove(mirrorPath(copy)); err != nil {
				return err
			}
			return os.Symlink(filepath.Join(log, "other"), mirrorPath(copy))
		},
	} {
		t.Run(name, func(t *testing.T) {
			second := filepath.Join(t.TempDir(), "copy")
			l, dir, _, _ := newLog(t, second)
			add(t, l, entry("viewed", "first"))
			waitFor(t, "the copy has the first entry", func() bool { return l.pub.size(1) == 1 })
			if err := os.WriteFile(filepath.Join(dir, "other"), make([]byte, 1<<12), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := plant(second, dir); err != nil {
				t.Fatal(err)
			}
			add(t, l, entry("viewed", "second"))
			waitFor(t, "the copy is behind, or has the second entry",
				func() bool { return l.Behind() != nil || l.pub.size(1) == 2 })
			raw, err := os.ReadFile(filepath.Join(dir, dataFile))
			if err != nil || !bytes.HasPrefix(raw, dataMagic) {
				t.Errorf("the log itself was overwritten: it begins with %q, %v", raw[:min(len(raw), 20)], err)
			}
			if other, err := os.ReadFile(filepath.Join(dir, "other")); err != nil || len(other) != 1<<12 {
				t.Errorf("another file was written to: %d bytes, %v", len(other), err)
			}
		})
	}
}

func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("did not happen: %s", what)
		}
	}
}

func TestAFIFOInACopyKeepsTheSignerFromStartingAtOnce(t *testing.T) {
	second := filepath.Join(t.TempDir(), "copy")
	l, dir, s, _ := newLog(t, second)
	add(t, l, entry("viewed", "first"))
	l.Close()
	path := filepath.Join(second, "checkpoint")
	if err := errors.Join(os.Remove(path), syscall.Mkfifo(path, 0o600)); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { _, err := Open(dir, s, second); done <- err }()
	select {
	case err := <-done:
		if err == nil {
			t.Error("got no error")
		}
	case <-time.After(time.Minute):
		t.Fatal("it waits for a writer")
	}
}
