// Package files finds the files of recordings in a directory: by name and time of start, by walking all days, and
// whether a container is finished. It reads directories and names; what is in a container is for others.
//
// The writer, the archive, backups and the verifier share it, so that all of them look in the same places while files
// are being moved. It never writes.
package files

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport/sallyport/recorder/format"
)

// The files of a part are in a directory for the day, in UTC, on which the part began: YYYY/MM/DD/<session>[.N].srec.
// The time is that of the container's header. A single directory would collect four files a session for years, and
// every start would have to read all of it. Earlier releases had one, and the next start moves their files (move.go).
// Until then a reader finds them in either place.

// Locate finds a file of a part (container or slot) under root and gives its path. start is when the part began, from
// the gateway's database or the container's header. The two may differ by the time between two clock readings, so
// Locate tries the adjacent days last. If start is zero, it searches all days. The error is fs.ErrNotExist if the file
// is in none of these places.
func Locate(root, name string, start time.Time) (string, error) {
	if start.IsZero() {
		return Search(root, name)
	}
	// A file only ever moves from the root into its day. Looking there a second time finds one that moved meanwhile.
	for _, dir := range []string{format.Day(start), ".", format.Day(start), format.Day(start.AddDate(0, 0, -1)),
		format.Day(start.AddDate(0, 0, 1))} {
		path := filepath.Join(root, dir, name)
		if _, err := os.Lstat(path); err == nil || !errors.Is(err, fs.ErrNotExist) {
			return path, err
		}
	}
	return "", &fs.PathError{Op: "open", Path: filepath.Join(root, format.Day(start), name), Err: fs.ErrNotExist}
}

// OpenFile opens the file that Locate finds for reading. Its arguments and errors are those of Locate.
func Open(root, name string, start time.Time) (*os.File, error) {
	var err error
	for range 3 { // it may be moved once between the two calls
		var path string
		if path, err = Locate(root, name, start); err != nil {
			return nil, err
		}
		var f *os.File
		if f, err = os.Open(path); !errors.Is(err, fs.ErrNotExist) {
			return f, err
		}
	}
	return nil, err
}

var errFound = errors.New("found")

// Search looks for a file in all days.
func Search(root, name string) (path string, err error) {
	for range 2 { // a file that moved from the root into a day that was already read is found the second time
		err = Walk(root, func(rel string) error {
			if filepath.Base(rel) != name {
				return nil
			}
			path = filepath.Join(root, rel)
			return errFound
		})
		if err != nil {
			break
		}
	}
	switch {
	case errors.Is(err, errFound):
		return path, nil
	case err != nil:
		return "", err
	}
	return "", &fs.PathError{Op: "open", Path: filepath.Join(root, name), Err: fs.ErrNotExist}
}

// Walk calls fn with the path, relative to root, of every file in root itself and in its days, the oldest day first. It
// does not follow symbolic links. Of directories it reports only those that have the name of a container. A file that
// moves from root into its day meanwhile is reported at least once. Walk returns the first error of fn or of reading a
// directory.
func Walk(root string, fn func(rel string) error) error {
	if err := WalkDir(root, ".", fn); err != nil {
		return err
	}
	days, err := Days(root, "")
	if err != nil {
		return err
	}
	for _, day := range days {
		if err := WalkDir(root, day, fn); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// WalkDir calls fn with the path, relative to root, of every file in one directory below root. Of directories it
// reports only those that have the name of a container.
func WalkDir(root, dir string, fn func(rel string) error) error {
	entries, err := os.ReadDir(filepath.Join(root, dir))
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() && filepath.Ext(e.Name()) != ".srec" { // a directory named like a container must be reported
			continue
		}
		if err := fn(filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// Days lists the directories of days under root, the oldest first, from a day on; "" means from the first. It reads
// no directory of an earlier year or month. A file or a symbolic link with the name of such a directory is an error.
// Writing follows the link, so a start that skipped it would leave interrupted recordings there without their end, and
// an auditor would miss all of them.
func Days(root, from string) ([]string, error) {
	dirs := []string{"."}
	for depth, digits := range []int{4, 2, 2} {
		var next []string
		for _, dir := range dirs {
			entries, err := os.ReadDir(filepath.Join(root, dir))
			if err != nil {
				return nil, fmt.Errorf("list recordings: %w", err)
			}
			for _, e := range entries {
				sub := filepath.Join(dir, e.Name())
				if !isNumber(e.Name(), digits) || sub < from[:min(len(from), []int{4, 7, 10}[depth])] {
					continue
				}
				if !e.IsDir() {
					return nil, fmt.Errorf("list recordings: %s is not a directory", filepath.Join(root, sub))
				}
				next = append(next, sub)
			}
		}
		dirs = next
	}
	return dirs, nil
}

func isNumber(s string, digits int) bool {
	_, err := strconv.ParseUint(s, 10, 32)
	return err == nil && len(s) == digits && !strings.ContainsAny(s, "+-")
}
