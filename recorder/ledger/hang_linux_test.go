package ledger

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A copy's disk that hangs, as a network file system does, must not hang those who ask how the copies are.
func TestACopyThatHangsIsSaidToBeBehind(t *testing.T) {
	s, _ := newKey(t)
	dir := t.TempDir()
	second := filepath.Join(dir, "second")
	l, err := Create(filepath.Join(dir, "log"), origin, s, second)
	if err != nil {
		t.Fatal(err)
	}
	add(t, l, entry("viewed", "before"))
	for end := time.Now().Add(time.Minute); l.pub.size(1) < 1 && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	release, err := lease(mirrorPath(second))
	if err != nil {
		t.Fatal(err)
	}
	add(t, l, entry("viewed", "after"))
	l.pub.slow.Store(int64(time.Millisecond))
	said := func() bool {
		err := l.Behind()
		return err != nil && strings.Contains(err.Error(), "publish log to "+second)
	}
	asked := make(chan bool, 1)
	go func() {
		for !said() && t.Context().Err() == nil {
			time.Sleep(time.Millisecond)
		}
		asked <- true
	}()
	select {
	case <-asked:
	case <-time.After(time.Minute):
		t.Errorf("nothing is said of %s: %v", second, l.Behind())
	}
	if err := errors.Join(release(), l.Close()); err != nil { // Close waits for the disk
		t.Error(err)
	}
}

// lease makes every open of a file wait until release, or until the kernel ends the lease after 45 s (fcntl(2),
// F_SETLEASE).
func lease(path string) (release func() error, err error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	if _, err := unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_WRLCK); err != nil {
		return nil, errors.Join(fmt.Errorf("lease on %s: %w", path, err), f.Close())
	}
	return f.Close, nil
}
