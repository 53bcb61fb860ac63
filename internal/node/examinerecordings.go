package node

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sallyport/sallyport/recorder/writer"
)

// recordings tries whether the gateway's user can create files where recordings go. That user is the owner of the data
// directory, because the gateway accepts no other.
func (e *examination) recordings() (string, error) {
	dir := filepath.Join(e.c.Site.DataDir, "recordings")
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return "none yet; the first start makes " + dir, nil
	}
	info, err := os.Stat(e.c.Site.DataDir)
	if err != nil {
		return "", err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return "", fs.ErrInvalid
	}
	err = asOwner(int(st.Uid), int(st.Gid), func() error { return writer.Probe(dir, time.Now()) })
	if err != nil {
		owner := userName(int(st.Uid))
		return "", odd(fmt.Sprintf("%s cannot write recordings, so no session starts: %v", owner, err),
			fmt.Sprintf("Give the directory to that user: chown -R %s %s; or check its disk.", owner, dir))
	}
	return dir + " can be written", nil
}

// asOwner runs f with the rights of a user over files. Only root can do this; for any other user f runs with their own
// rights.
func asOwner(uid, gid int, f func() error) error {
	if os.Geteuid() != 0 || uid == 0 {
		return f()
	}
	runtime.LockOSThread() // these identities belong to one thread
	defer runtime.UnlockOSThread()
	oldGID, err := unix.SetfsgidRetGid(gid)
	if err != nil {
		return err
	}
	defer func() { _, _ = unix.SetfsgidRetGid(oldGID) }()
	oldUID, err := unix.SetfsuidRetUid(uid)
	if err != nil {
		return err
	}
	defer func() { _, _ = unix.SetfsuidRetUid(oldUID) }()
	return f()
}
