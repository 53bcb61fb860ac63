package writer

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/sallyport/sallyport/internal/errkind"
)

// How long the result of a probe is used. A failure is probed again sooner, so that sessions can start soon after the
// fault is fixed.
const (
	probeGoodFor = 5 * time.Second
	probeBadFor  = time.Second
)

const probeName = "probe" + startedSuffix // a file that a crash leaves is removed at the next start

// probe remembers whether files could be created where the next recording goes. Free space says nothing about it: the
// directory may belong to another user, or its file system may be mounted read-only.
type probe struct {
	mu    sync.Mutex // guards what follows, and lets one probe run at a time
	until time.Time
	err   error
}

// writable returns the reason why no recording can be created, or nil.
func (v *volume) writable(now time.Time) error {
	v.probe.mu.Lock()
	defer v.probe.mu.Unlock()
	if now.Before(v.probe.until) {
		return v.probe.err
	}
	dir, err := nearest(v.dir, now)
	if err == nil {
		err = tryWrite(filepath.Join(dir, probeName))
	}
	switch {
	case err != nil && v.probe.err == nil:
		v.log.Error("recordings cannot be written, so no session starts", slog.String("dir", dir),
			slog.Any("error", err))
	case err == nil && v.probe.err != nil:
		v.log.Info("recordings can be written again", slog.String("dir", dir))
	}
	v.probe.err, v.probe.until = nil, now.Add(probeGoodFor)
	if err != nil {
		v.probe.err, v.probe.until = unwritable(err), now.Add(probeBadFor)
	}
	return v.probe.err
}

// nearest gives the directory of the day's recordings below root (YYYY/MM/DD, UTC), or its nearest parent that exists,
// in which it would be made. It gives root if recordings are flat.
func nearest(root string, now time.Time) (string, error) {
	dir := filepath.Join(root, filepath.FromSlash(now.UTC().Format("2006/01/02")))
	for {
		_, err := os.Stat(dir)
		if !errors.Is(err, fs.ErrNotExist) || dir == root {
			return dir, err
		}
		dir = filepath.Dir(dir)
	}
}

// tryWrite creates a file, writes to it and removes it.
func tryWrite(path string) error {
	os.Remove(path) // an earlier process may have been killed before it removed its file
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write([]byte("probe"))
	return errors.Join(err, f.Close(), os.Remove(path))
}

// Probe checks whether the process's user could create a recording below dir that begins at now, by creating and
// removing a file. Doctor uses it if no gateway is running. The error is one of the file system.
func Probe(dir string, now time.Time) error {
	at, err := nearest(dir, now)
	if err == nil {
		err = tryWrite(filepath.Join(at, fmt.Sprintf("probe-%d%s", os.Getpid(), startedSuffix)))
	}
	return err
}

// unwritable explains the failure of a probe. The path is in the log only: people who ask for a session read this text.
func unwritable(err error) error {
	if isFull(err) {
		return errFull("the disk that keeps the recordings is full, so no new session starts").Because(err)
	}
	why := "the disk failed"
	var errno syscall.Errno
	if errors.As(err, &errno) {
		why = errno.Error()
	}
	return errkind.New(errkind.Unavailable, "recordings cannot be written ("+why+"), so no new session starts").
		WithHint("The gateway's administrator must check the directory of the recordings: " +
			"its owner, its permissions, its disk.").
		Because(err)
}
