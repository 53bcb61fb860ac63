package ledger

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// A copy of the log holds, beside the tiles for outsiders, a data file that is byte for byte the beginning of the log's
// own. Leaves alone are not enough: after the loss of its disk the log must continue, and for that it needs the bodies
// that its leaves commit to. Unlike the tiles, the data file is synced: otherwise a power cut could leave the copy
// behind the log that devices have seen. It is in a separate directory, so that the tiles can be served to outsiders
// without it.
const privateDir = "private"

// mirrorPath is the data file of a copy.
func mirrorPath(dir string) string { return filepath.Join(dir, privateDir, dataFile) }

// mirrored compares the data file of a copy with the log's own and gives the length of their common beginning. It
// fails when the copy holds signed entries that the log does not have; a damaged or half-written copy is written
// again from there.
func (l *Log) mirrored(dir string) (int64, error) {
	path := mirrorPath(dir)
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file", path)
	}
	if err != nil {
		return 0, fmt.Errorf("log: %w", err)
	}
	f, err := os.Open(path)
	if err != nil {
		return 0, fmt.Errorf("log: %w", err)
	}
	defer f.Close()
	same, err := commonPrefix(io.NewSectionReader(l.file, 0, l.end), f)
	if err != nil || same == info.Size() {
		return same, err
	}
	c, err := scanData(f)
	if err != nil {
		return same, nil // no checkpoint in it is whole: it proves nothing
	}
	if l.signedBeyond(append(c.rest, 0),
		l.head.Size) { // the byte keeps a checkpoint at the very end from passing for a torn batch
		return 0, rolledBack(dir, l.head.Size+1, l.head.Size)
	}
	return same, l.has(dir, c.last)
}

// commonPrefix gives the length of the common prefix of two files.
func commonPrefix(a, b io.Reader) (int64, error) {
	x, y := make([]byte, 1<<20), make([]byte, 1<<20)
	for at := int64(0); ; {
		n, errA := io.ReadFull(a, x)
		m, errB := io.ReadFull(b, y)
		least := min(n, m)
		if !bytes.Equal(x[:least], y[:least]) {
			for i := range least {
				if x[i] != y[i] {
					return at + int64(i), nil
				}
			}
		}
		at += int64(least)
		for _, err := range []error{errA, errB} {
			switch {
			case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
				return at, nil
			case err != nil:
				return 0, fmt.Errorf("log: %w", err)
			}
		}
	}
}

// mirror brings the data file of the copy below root from its first from bytes to end, durably.
func (l *Log) mirror(root *os.Root, from, end int64) error {
	if err := root.MkdirAll(privateDir, 0o700); err != nil {
		return err
	}
	f, err := root.OpenFile(privateDir+"/"+dataFile, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a regular file", f.Name())
	}
	if info.Size() < from { // another disk was mounted, or the file was removed
		from = 0
	}
	if err := f.Truncate(from); err != nil {
		return err
	}
	if from == end {
		return nil
	}
	if _, err := io.Copy(io.NewOffsetWriter(f, from), io.NewSectionReader(l.file, from, end-from)); err != nil {
		return err
	}
	return datasync(f)
}
