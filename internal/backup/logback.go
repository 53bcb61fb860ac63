package backup

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/signer"
	"github.com/sallyport/sallyport/recorder/ledger"
)

// LogBack is the result of restoring a log.
type LogBack struct {
	Dir   string `json:"dir"`             // directory of the log
	From  string `json:"from"`            // directory of the copy
	Size  uint64 `json:"size"`            // entries of the restored log
	Was   uint64 `json:"was"`             // entries of the log that was there; 0 if it could not be read
	Aside string `json:"aside,omitempty"` // directory that the old log was moved to; empty: there was none
}

// RestoreLog replaces a missing, short or damaged log with its second copy, and sets the old one aside. A missing
// setting is an error of kind errkind.Usage. It is errkind.Conflict if the signer runs, its key cannot be read, the log
// is already complete, or the copy lacks an entry that the old log or the restored backup has seen.
func (t Target) RestoreLog() (*LogBack, error) {
	if t.logFrom() == "" {
		return nil, errkind.New(errkind.Usage, "[ledger] second_copy is missing, so there is no copy of the log").
			WithHint("Name one with --log-from: the second copy, or the `log` directory from the signer's old disk.")
	}
	root := signerPlace(t.Config).signerDir()
	key, err := signer.LogKey(root)
	if err != nil {
		return nil, errkind.New(errkind.Conflict, fmt.Sprintf("the log's key cannot be read: %v", err)).
			WithHint("Run this as the signer's user. If the key is lost, restore the signer's backup, " +
				"which puts the log back too.")
	}
	seen, err := stampOf(root, key)
	if err != nil {
		return nil, err
	}
	out := &LogBack{Dir: filepath.Join(root, "log"), From: t.logFrom()}
	unlock, err := stopped(out.Dir)
	if err != nil {
		return nil, err
	}
	defer unlock()
	staged := filepath.Join(root, logStaged)
	if err := os.RemoveAll(staged); err != nil { // left by an interrupted attempt: the log itself is untouched
		return nil, err
	}
	own, broken := ledger.Check(out.Dir, key)
	shown, err := ledger.Shown(out.Dir, key) // a damaged log may have signed more than its copy has
	if err != nil {
		return nil, err
	}
	head, err := ledger.Restore(t.logFrom(), staged, key, append(seen, shown...)...)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(staged))
	}
	if broken == nil && own.Size >= head.Size {
		return nil, errors.Join(errkind.New(errkind.Conflict,
			fmt.Sprintf("the log has %d entries and its copy %d, so nothing was changed", own.Size, head.Size)),
			os.RemoveAll(staged))
	}
	out.Size, out.Was = head.Size, own.Size
	return out, out.swap(staged, root)
}

func stampOf(dir, key string) ([]ledger.Checkpoint, error) {
	r, err := signer.ReadRestored(dir)
	if err != nil || r == nil {
		return nil, err
	}
	cp, err := ledger.ParseCheckpoint(r.Checkpoint, key)
	return []ledger.Checkpoint{cp}, err
}

// stopped refuses a log that a running signer writes to.
func stopped(dir string) (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) {
		return func() {}, nil
	}
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, errkind.New(errkind.Conflict, "the signer runs and writes to this log").
			WithHint("Stop it first: systemctl stop sallyport-signer (or sallyport, without a signer of its own).")
	}
	return func() { f.Close() }, nil
}

func (l *LogBack) swap(staged, root string) error {
	if err := syncAll(staged); err != nil {
		return err
	}
	if _, err := os.Lstat(l.Dir); err == nil {
		l.Aside = filepath.Join(root, shortLog+time.Now().UTC().Format(setTime))
		if err := os.Rename(l.Dir, l.Aside); err != nil {
			return err
		}
	}
	return errors.Join(os.Rename(staged, l.Dir), syncDir(root))
}
