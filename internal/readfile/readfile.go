// Package readfile reads files that other people and programs put in place: certificates, keys, policies, the owner's
// rules.
//
// They are read while sessions run and handshakes wait. A FIFO in place of such a file would block its reader for good,
// a device could have no end, and a huge file would take all memory. Regular returns an error at once in these cases.
package readfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// Most is the largest size, in bytes, of a file of settings, keys or certificates.
const Most = 1 << 20

// ErrNotRegular is the cause when a path names a directory, FIFO, socket or device.
var ErrNotRegular = errors.New("not a regular file")

// Regular reads a regular file of at most most bytes. It follows symbolic links, because renewal hooks use them. It
// never waits for a writer. Its errors are *fs.PathError, with ErrNotRegular, the size limit or the system's error as
// cause.
func Regular(path string, most int64) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // opening a FIFO waits for a writer otherwise
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "read", Path: path, Err: ErrNotRegular}
	}
	text, err := io.ReadAll(io.LimitReader(f, most+1)) // the size that Stat gives may change, and is 0 in /proc
	if err == nil && int64(len(text)) > most {
		err = &fs.PathError{Op: "read", Path: path, Err: fmt.Errorf("longer than %d bytes", most)}
	}
	if err != nil {
		return nil, err
	}
	return text, nil
}

// Hint says what to do about an error of Regular, or of opening a file: for a missing permission it names the user that
// this process runs as. It is empty for other errors.
func Hint(err error) string {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return fmt.Sprintf("This process runs as the user %s, and that user must be able to read the file: "+
			"chown root:GROUP and chmod 0640, with a group of that user. A hook that replaces the file must do so too.",
			thisUser())
	case errors.Is(err, ErrNotRegular):
		return "Put a regular file there: a directory, FIFO or device cannot be used."
	}
	return ""
}

// thisUser names the user of this process, with the number where there is no name.
func thisUser() string {
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username + " (" + u.Uid + ")"
	}
	return strconv.Itoa(os.Getuid())
}
