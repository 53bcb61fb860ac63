package state

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/internal/readfile"
)

// TestAFIFOInPlaceOfTheOwnersFilesBlocksNothing: they are read for each session. The owner's rules and switch then
// allow nothing.
func TestAFIFOInPlaceOfTheOwnersFilesBlocksNothing(t *testing.T) {
	d := newDir(t)
	d.Owner = filepath.Join(t.TempDir(), "owner.toml")
	off := filepath.Join(t.TempDir(), "switch")
	for _, path := range []string{d.Owner, off, d.file(proxyFile), d.file("host_key")} {
		os.Remove(path)
		if err := unix.Mkfifo(path, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for what, read := range map[string]func() error{
		"the owner's rules": func() error { _, err := d.OwnerRules(); return err },
		"the owner's switch": func() error {
			if SwitchOn(&authz.Owner{Switch: off}) {
				return errors.New("a switch that cannot be read is on")
			}
			return readfile.ErrNotRegular
		},
		"the proxy": func() error { _, err := d.Proxy(); return err },
		"the key":   func() error { _, err := d.Keys(); return err },
	} {
		done := make(chan error, 1)
		go func() { done <- read() }()
		select {
		case err := <-done:
			if !errors.Is(err, readfile.ErrNotRegular) {
				t.Errorf("%s: got %v", what, err)
			}
		case <-time.After(time.Minute):
			t.Errorf("%s: the reader hangs", what)
		}
	}
}
