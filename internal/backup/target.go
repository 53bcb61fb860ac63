package backup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sallyport/sallyport/internal/errkind"
)

// The directory that a backup writes to: what is made, locked and removed there.

// prepare makes the directories and removes what an interrupted backup left.
func (b *maker) prepare() (err error) {
	if rel, err := filepath.Rel(b.p.dir, b.dir); err == nil && rel != ".." && !strings.HasPrefix(rel, "../") {
		return errkind.New(errkind.Usage,
			fmt.Sprintf("%s is inside %s, the directory to back up", b.o.To, b.p.dir)).
			WithHint("Name a directory on another disk.")
	}
	if _, err := os.Stat(filepath.Join(b.p.dir, "DEMO")); err == nil {
		return errkind.New(errkind.Usage, b.p.dir+" is a demo's data, which needs no backup")
	}
	// A set made from half a restore would look complete, and prune would remove an older one for it.
	if err := Unfinished(b.p.dir); err != nil {
		return err
	}
	if _, err := os.ReadDir(b.p.dir); errors.Is(err, os.ErrPermission) {
		return errkind.New(errkind.Usage, b.p.dir+" cannot be read by the user that this runs as").
			WithHint("Run this as root, or as the user of the " + string(b.p.kind) + ".")
	}
	if err := b.lock(); err != nil {
		return err
	}
	b.m = Manifest{Format: manifestFormat, Kind: b.p.kind, Site: b.c.Site.URL, Origin: b.c.Ledger.Origin,
		Made: time.Now().UTC().Truncate(time.Millisecond)}
	b.set = setsDir + "/" + b.m.name() + partSuffix
	b.out = Result{Kind: b.p.kind, Dir: b.dir, Set: b.m.name()}
	err = errors.Join(removeParts(b.root), removeTemps(b.p.dir),
		removeAll(filepath.Dir(b.p.lastPath()), lastName+".*.new"))
	if err == nil {
		err = b.root.Mkdir(b.set, 0o700)
	}
	if err != nil {
		b.close()
		return b.unwritable(err)
	}
	return nil
}

// close releases the archive and its lock.
func (b *maker) close() {
	b.held.Close()
	b.root.Close()
}

// lock opens the archive and locks it, so that no other backup writes to it.
func (b *maker) lock() (err error) {
	if b.root, err = openArchive(b.o.To, b.p.kind, true); err != nil {
		return b.unwritable(err)
	}
	if err = b.root.MkdirAll(setsDir, 0o700); err == nil {
		b.held, err = b.root.OpenFile(lockName, os.O_CREATE|os.O_RDWR, 0o600)
	}
	if err != nil {
		b.root.Close()
		return b.unwritable(err)
	}
	if err := unix.Flock(int(b.held.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		b.close()
		return errkind.New(errkind.Conflict, "another backup is being written to "+b.dir)
	}
	return nil
}

// mounted returns an error if the archive's directory is no longer the one that was locked. After its disk was
// unmounted, the backup would go on in new directories below the mount point, and the set would look complete without
// the files that are on the disk.
func (b *maker) mounted() error {
	held, err := b.held.Stat()
	if err != nil {
		return err
	}
	if now, err := os.Stat(filepath.Join(b.dir, lockName)); err != nil || !os.SameFile(held, now) {
		return errkind.New(errkind.Unavailable, b.dir+" is not the directory that the backup began in: its disk was "+
			"unmounted or replaced").WithHint("Mount it, remove what was written below the mount point, and run this again.")
	}
	return nil
}

// unwritable adds the next step to an error of making or locking the archive's directories.
func (b *maker) unwritable(err error) error {
	hint := "Make the directory for the user that this runs as: install -d -m 0700 -o " + thisUser() + " " + b.o.To +
		". Below it there must be no link that leads elsewhere and no FIFO."
	_, missing := os.Stat(b.o.To)
	switch {
	case errors.Is(err, fs.ErrPermission) && missing == nil: // most often it is the other archive's
		hint = fmt.Sprintf("%s exists, and the user %s may not write there. The gateway's user and the signer's user each "+
			"have a directory of their own: name the one for the %s.", b.o.To, thisUser(), b.p.kind)
	case errors.Is(err, unix.EROFS):
		hint = "Its file system is mounted read-only. If the kernel did that after an error, check the disk (dmesg)."
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
		hint = "Free space on its disk."
	}
	return errkind.New(errkind.Usage, fmt.Sprintf("the backup cannot be written to %s: %v", b.dir, err)).WithHint(hint)
}

// thisUser names the user that this process runs as, as install -o takes it.
func thisUser() string {
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username
	}
	return strconv.Itoa(os.Getuid())
}

// worded adds the archive's name to an error of run, and the next step if the disk is full.
func (b *maker) worded(err error) error {
	err = fmt.Errorf("backup of the %s to %s: %w", b.p.kind, b.dir, err)
	for _, full := range []error{unix.ENOSPC, unix.EDQUOT, unix.EFBIG} {
		if errors.Is(err, full) {
			return errkind.New(errkind.Unavailable, err.Error()).
				WithHint("The unfinished set was removed, and earlier sets are unchanged. Free space on that disk, for " +
					"example by removing its oldest sets, then run this again.")
		}
	}
	return err
}

// earlier gives the recordings that complete sets share, as the newest of those sets names them. It skips a set whose
// manifest cannot be read, so recordings that only this set names may be copied again.
func (b *maker) earlier() map[string]Entry {
	out := map[string]Entry{}
	all, err := sets(b.root)
	if err != nil {
		return out
	}
	for _, set := range all {
		m, _, err := readManifest(b.root, set)
		if err != nil {
			continue
		}
		for _, e := range m.Files {
			if strings.HasPrefix(e.Path, recordingsDir+"/") {
				out[e.Path] = e
			}
		}
	}
	return out
}

// prune removes the oldest sets above Keep. It leaves the recordings, because the gateway does not delete any either.
func (b *maker) prune() error {
	all, err := sets(b.root)
	for keep := max(b.o.Keep, 1); err == nil && len(all) > keep; all = all[1:] {
		if all[0] != b.m.name() { // after a wrong clock, the new set's name may be the oldest
			err = removeSet(b.root, all[0])
		}
	}
	return err
}

// removeSet first gives the set the suffix of an unfinished one, because a crash during the removal must not leave part
// of a set under the name of a complete one.
func removeSet(root *os.Root, set string) error {
	path := setsDir + "/" + set
	if err := root.Rename(path, path+partSuffix); err != nil {
		return err
	}
	return root.RemoveAll(path + partSuffix)
}
