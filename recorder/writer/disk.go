package writer

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/sallyport/sallyport/internal/errkind"
)

// file has the operations that the recorder needs on a file.
type file interface {
	io.WriterAt
	io.Closer
	Truncate(size int64) error
	Datasync() error
}

// layer opens files and measures the disk. Tests put failures between the node and the disk here.
type layer interface {
	open(path string, flag int) (file, error)
	syncDir(dir string) error
	free(dir string) (int64, error)
}

type osLayer struct{}

type osFile struct{ *os.File }

func (f osFile) Datasync() error { return datasync(f.File) }

func (osLayer) open(path string, flag int) (file, error) {
	f, err := os.OpenFile(path, flag, 0o600)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

// syncDir is a full fsync: on ext4, fdatasync of a directory need not make new names durable.
func (osLayer) syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func (osLayer) free(dir string) (int64, error) { return freeBytes(dir) }

const (
	ballastName   = "ballast"
	startedSuffix = ".new" // a file that is not durable yet; recovery removes it
	// endReserve is the space that a session's last note, close and index may take on a full disk.
	endReserve = 128 << 10
)

// volume is the directory of a node and its disk. The ballast is space that is reserved in advance, so that a full disk
// can still take the ends of running sessions.
type volume struct {
	dir      string
	layer    layer
	lowWater int64
	ballast  int64
	log      *slog.Logger
	full     atomic.Bool // a write found no space, and the ballast is not back yet
	probe    probe

	mu    sync.Mutex // guards armed and the ballast file
	armed bool
	told  string // the fault that was logged last and still lasts; empty: none

	dayMu   sync.Mutex      // guards what follows
	days    map[string]bool // directories of days whose names are durable
	settled string          // the day in settledName
}

func (v *volume) path(name string) string { return filepath.Join(v.dir, name) }

// isFull reports whether an error goes away once space is freed.
func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG)
}

// start writes a file under its startedSuffix name and makes its bytes durable.
func (v *volume) start(name string, content []byte) (file, error) {
	f, err := v.layer.open(v.path(name+startedSuffix), os.O_RDWR|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return nil, err
	}
	if _, err := f.WriteAt(content, 0); err != nil {
		f.Close()
		return nil, err
	}
	if err := f.Datasync(); err != nil {
		f.Close()
		return nil, &syncError{name, err}
	}
	return f, nil
}

// settle gives started files of one directory their final names and makes the names durable.
func (v *volume) settle(names ...string) error {
	for _, name := range names {
		if err := os.Rename(v.path(name+startedSuffix), v.path(name)); err != nil {
			return err
		}
	}
	dir := filepath.Dir(v.path(names[0]))
	if err := v.layer.syncDir(dir); err != nil {
		return &syncError{dir, err}
	}
	return nil
}

func (v *volume) discard(names ...string) {
	for _, name := range names {
		os.Remove(v.path(name + startedSuffix)) // if this fails, the next start removes it
	}
}

// syncError is a failed fsync. The kernel may have dropped the pages and would call the next sync a
// success, so it is never tried again: the node stops recording.
type syncError struct {
	name string
	err  error
}

func (e *syncError) Error() string { return fmt.Sprintf("sync %s: %v", e.name, e.err) }
func (e *syncError) Unwrap() error { return e.err }

// arm takes the ballast's space if the disk has enough.
func (v *volume) arm() {
	v.mu.Lock()
	defer v.mu.Unlock()
	free, err := v.layer.free(v.dir)
	switch {
	case err != nil:
		v.tell("cannot tell how full the disk of the recordings is", err)
		return
	case v.armed:
		v.told = ""
		return
	case v.ballast > 0:
		if free < v.ballast+v.lowWater {
			return
		}
		if err := takeSpace(v.path(ballastName), v.ballast); err != nil {
			os.Remove(v.path(ballastName))
			v.tell("no ballast on the disk of the recordings", err)
			return
		}
	case free < v.lowWater:
		return
	}
	v.armed, v.told = true, ""
	v.full.Store(false)
}

// tell logs a fault once while it lasts, because each tick finds it again. The caller holds mu.
func (v *volume) tell(what string, err error) {
	if text := what + err.Error(); text != v.told {
		v.told = text
		v.log.Error("the disk of the recordings could not be examined or prepared", slog.String("what", what),
			slog.Any("error", err))
	}
}

// takeSpace makes the ballast, unless it has its full size already.
func takeSpace(path string, n int64) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	if err := reserve(f, n); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

// release frees the ballast's space for writes that must still succeed.
func (v *volume) release() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.full.Store(true)
	if !v.armed {
		return
	}
	v.armed = false
	v.log.Error("the disk of the recordings is full: the ballast is released", slog.Int64("bytes", v.ballast))
	if err := os.Remove(v.path(ballastName)); err != nil && !errors.Is(err, os.ErrNotExist) {
		v.log.Error("the ballast cannot be released", slog.Any("error", err))
	}
}

// ready returns the reason why no new session may start, or nil.
func (v *volume) ready() error {
	if v.full.Load() {
		return errFull("the disk that keeps the recordings is full, so no new session starts")
	}
	free, err := v.layer.free(v.dir)
	if err != nil {
		return errDisk.Because(fmt.Errorf("free space of %s: %w", v.dir, err))
	}
	if free < v.lowWater {
		return errFull(fmt.Sprintf("the disk that keeps the recordings has %s free, less than the %s that must stay free, so no new session starts",
			sizeText(free), sizeText(v.lowWater)))
	}
	return v.writable(time.Now())
}

// tight reports whether a disk that was found full has only the space left that the ends of the open sessions need.
func (v *volume) tight(open int) bool {
	if !v.full.Load() {
		return false
	}
	free, err := v.layer.free(v.dir)
	return err != nil || free < int64(open+1)*endReserve
}

var errDisk = errkind.New(errkind.Unavailable, "the disk that keeps the recordings failed, and nothing may happen unrecorded").
	WithHint("The gateway's operator must check the disk and then start the gateway again.")

func errFull(text string) *errkind.Error {
	return errkind.New(errkind.Unavailable, text).WithHint("The gateway's operator must free space on the disk that has the recordings.")
}

// sizeText gives a size as people read it.
func sizeText(n int64) string {
	unit, name := int64(1), "B"
	for _, next := range []string{"KiB", "MiB", "GiB", "TiB"} {
		if n/unit < 1024 {
			break
		}
		unit, name = unit*1024, next
	}
	if n%unit == 0 {
		return fmt.Sprintf("%d %s", n/unit, name)
	}
	return fmt.Sprintf("%.1f %s", float64(n)/float64(unit), name)
}
