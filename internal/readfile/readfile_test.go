//go:build unix

package readfile

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestOnlyARegularFileOfBoundedSizeIsRead: anything else in its place is refused at once.
func TestOnlyARegularFileOfBoundedSizeIsRead(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	want := bytes.Repeat([]byte("x"), 100)
	for name, n := range map[string]int{"file": 100, "long": 101} {
		if err := os.WriteFile(at(name), bytes.Repeat([]byte("x"), n), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(syscall.Mkfifo(at("fifo"), 0o600), os.Mkdir(at("dir"), 0o700),
		os.Symlink(at("file"), at("link")), os.Symlink(at("fifo"), at("link to a fifo"))); err != nil {
		t.Fatal(err)
	}
	for path, cause := range map[string]string{
		at("file"):           "",
		at("link"):           "",
		at("long"):           "longer than 100 bytes",
		at("fifo"):           "not a regular file",
		at("link to a fifo"): "not a regular file",
		at("dir"):            "not a regular file",
		"/dev/zero":          "not a regular file",
		at("missing"):        "no such file",
	} {
		done := make(chan struct{})
		go func() {
			defer close(done)
			got, err := Regular(path, 100)
			var p *fs.PathError
			switch {
			case cause == "" && (err != nil || !bytes.Equal(got, want)):
				t.Errorf("%s: got %d bytes, %v", path, len(got), err)
			case cause != "" && (!errors.As(err, &p) || !strings.Contains(p.Err.Error(), cause)):
				t.Errorf("%s: got %v, want %s", path, err, cause)
			}
		}()
		select {
		case <-done:
		case <-time.After(time.Minute):
			t.Fatalf("%s: the reader hangs", path)
		}
	}
}

// TestTheHintNamesTheUser: the file may be readable for another user than the one that the service runs as.
func TestTheHintNamesTheUser(t *testing.T) {
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	hint := Hint(&fs.PathError{Op: "open", Path: "/k", Err: syscall.EACCES})
	if !strings.Contains(hint, "as the user "+me.Username+" ("+me.Uid+")") {
		t.Errorf("got %q", hint)
	}
}
