package backup

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/sallyport/sallyport/recorder/files"
)

// recordings copies a gateway's new recordings. A closed recording never changes, so it is copied once and
// shared by all sets; one that still runs is copied into the set itself.
type recordings struct {
	from   string   // data_dir
	to     *os.Root // archive
	set    string   // directory of the set that is being made, below to
	name   string   // of the finished set
	before map[string]Entry
	result *Result
}

// add brings one file into the backup and gives its entry.
func (r *recordings) add(f found) (Entry, error) {
	source := filepath.Join(r.from, filepath.FromSlash(f.name))
	old, known := r.before[f.name]
	if info, err := r.to.Lstat(f.name); known && err == nil && info.Mode().IsRegular() && info.Size() == old.Size &&
		old.Size == f.info.Size() && old.Modified.Equal(f.info.ModTime()) {
		r.result.Kept++
		return old, nil
	}
	final, err := r.final(source)
	if errors.Is(err, fs.ErrNotExist) {
		return Entry{}, errGone
	}
	if err != nil {
		return Entry{}, err
	}
	to, name := f.name, f.name
	if _, err := r.to.Lstat(f.name); err == nil && known { // it changed after all; earlier sets keep their version
		final = false
	}
	if !final {
		name = setsDir + "/" + r.name + "/" + openDir + "/" + f.name
		to = r.set + "/" + openDir + "/" + f.name
		r.result.Running++
	}
	e, err := copyFile(source, r.to, to)
	e.Path, e.Modified = name, f.info.ModTime()
	r.result.Copied++
	r.result.Bytes += e.Size
	return e, err
}

// final reports whether a file is no longer written to.
func (r *recordings) final(source string) (bool, error) {
	stem, container := strings.CutSuffix(source, ".srec")
	if !container {
		return true, nil
	}
	if _, err := os.Lstat(stem + ".cut"); err == nil {
		return true, nil
	}
	return files.Finished(source)
}

// copyFile copies a file to a name below root under another name, renames it, reads it again and gives its size and
// hash.
func copyFile(from string, root *os.Root, to string) (Entry, error) {
	if err := root.MkdirAll(path.Dir(to), 0o700); err != nil {
		return Entry{}, err
	}
	in, err := os.Open(from)
	if errors.Is(err, fs.ErrNotExist) {
		return Entry{}, errGone
	}
	if err != nil {
		return Entry{}, err
	}
	defer in.Close()
	out, err := newPart(root, to+partSuffix)
	if err != nil {
		return Entry{}, err
	}
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(out, h), in)
	if err == nil {
		err = sameAgain(out, hex.EncodeToString(h.Sum(nil)))
	}
	if err = errors.Join(err, out.Close()); err == nil {
		err = root.Rename(to+partSuffix, to)
	}
	if err != nil {
		_ = root.Remove(to + partSuffix) // an unfinished copy would keep a full disk full
	}
	return Entry{Size: n, SHA256: hex.EncodeToString(h.Sum(nil))}, err
}

// newPart creates a file in place of what an interrupted backup left under its name, which may be a link by now.
func newPart(root *os.Root, name string) (*os.File, error) {
	if err := root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
}

func sameAgain(f *os.File, want string) error {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return err
	}
	if hex.EncodeToString(h.Sum(nil)) != want {
		return errors.New(f.Name() + ": the copy reads back differently")
	}
	return nil
}

// entryOf hashes a file below root that was just written, and gives its entry under another name.
func entryOf(root *os.Root, written, name string, plain int64) (Entry, error) {
	f, _, err := openRegular(root, written)
	if err != nil {
		return Entry{}, err
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, f)
	return Entry{Path: name, Size: n, SHA256: hex.EncodeToString(h.Sum(nil)), Plain: plain}, err
}

// errGone says that the source of a recording's file was moved or removed after the walk found it. A file that is
// missing in the backup itself is another error: if both were skipped, the set would lack recordings and look complete.
var errGone = errors.New("the file was moved or removed while the backup was made")
